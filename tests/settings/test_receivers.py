"""Receivers of messages and telemetry: their settings, secrets and faults."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.settings import (
    Config,
    MailReceiver,
    MailTls,
    ReceiverType,
    Telemetry,
    WebReceiver,
    When,
    secrets,
    warnings,
)

Load = Callable[..., Config]
FaultsOf = Callable[..., list[str]]

URL = "https://oapi.dingtalk.com/robot/send?access_token=0123456789abcdef"
ENVIRON = {"TEAM_URL": URL, "TEAM_SECRET": "SECtest", "MAIL_PASSWORD": "TEST pass word"}
ROBOT = '\n[notify.team]\ntype = "dingtalk"\nurl_env = "TEAM_URL"\n'
MAIL = """
[notify.ops]
type = "mail"
host = "smtp.example.com"
from = "backfill@example.com"
to = ["ops@example.com"]
"""
TEAM, OPS = "backfill.toml [notify.team]", "backfill.toml [notify.ops]"


def test_a_robot_has_url_and_secret_of_the_environment(sample: str, load_text: Load) -> None:
    """By default it hears of changes of all jobs."""
    config = load_text(f'{sample}{ROBOT}secret_env = "TEAM_SECRET"\n', environ=ENVIRON)

    assert config.receivers == (
        WebReceiver("team", ReceiverType.DINGTALK, When.CHANGE, frozenset({"orders"}), URL, "SECtest"),
    )
    assert "0123456789abcdef" not in repr(config)


def test_a_robot_has_the_url_of_a_file(sample: str, now: datetime, load_text: Load, folder: Path) -> None:
    """The file is protected as a key is, and others must not read it."""
    (folder / "url").write_text(f"{URL}\n", encoding="utf-8")
    (folder / "url").chmod(0o644)
    robot = '\n[notify.team]\ntype = "wecom"\nurl_file = "url"\nwhen = "failure"\njobs = ["orders"]\n'
    config = load_text(sample + robot)

    assert config.receivers == (
        WebReceiver(
            "team", ReceiverType.WECOM, When.FAILURE, frozenset({"orders"}), URL, secret_files=(folder / "url",)
        ),
    )
    assert folder / "url" in config.key_files
    expected = (
        f"{folder}/backfill.toml [notify.team]: users other than its owner may open {folder}/url; run chmod 600 on it"
    )
    assert expected in warnings(config, at=now)


@pytest.mark.parametrize(
    ("tls", "port"), [("", 587), ('tls = "tls"\n', 465), ('tls = "none"\n', 25), ("port = 2525\n", 2525)]
)
def test_a_mail_server_has_the_port_of_its_encryption(sample: str, load_text: Load, tls: str, port: int) -> None:
    """587 with STARTTLS, 465 with TLS, 25 with none, or the given one."""
    (receiver,) = load_text(sample + MAIL + tls).receivers

    assert isinstance(receiver, MailReceiver)
    assert receiver.port == port


def test_a_mail_server_has_user_and_password(sample: str, load_text: Load) -> None:
    """The password is a secret."""
    config = load_text(f'{sample}{MAIL}user = "ops"\npassword_env = "MAIL_PASSWORD"\n', environ=ENVIRON)

    assert config.receivers == (
        MailReceiver(
            name="ops",
            when=When.CHANGE,
            jobs=frozenset({"orders"}),
            host="smtp.example.com",
            port=587,
            tls=MailTls.STARTTLS,
            user="ops",
            password="TEST pass word",
            sender="backfill@example.com",
            recipients=("ops@example.com",),
        ),
    )
    assert "TEST pass word" not in repr(config)


def test_logs_mask_the_secrets_of_receivers(sample: str, load_text: Load) -> None:
    """URL, query, long path, signing secret, password, API key; not a short path, which may be a word."""
    text = f'{sample}{ROBOT}secret_env = "TEAM_SECRET"\n{MAIL}user = "ops"\npassword_env = "MAIL_PASSWORD"\n'
    environ = {**ENVIRON, "OPENLINEAGE_URL": "https://lineage", "OPENLINEAGE_API_KEY": "TESTKEY"}

    assert secrets(load_text(text, environ=environ)) == (
        URL,
        "access_token=0123456789abcdef",
        "SECtest",
        "TEST pass word",
        "TESTKEY",
    )


def test_commands_that_send_nothing_need_no_secret(sample: str, load_text: Load) -> None:
    """`runs` works without the environment of a run."""
    assert load_text(sample + ROBOT, with_keys=False).receivers == ()


@pytest.mark.parametrize(
    ("text", "environ", "fault"),
    [
        pytest.param(
            '\n[notify.team]\ntype = "wecom"\n',
            {},
            f"{TEAM} url_file: missing; name a file here, or an environment variable in url_env",
            id="no URL",
        ),
        pytest.param(
            f'\n[notify.team]\ntype = "wecom"\nurl = "{URL}"\n',
            {},
            f"{TEAM} url: a secret must not be in the config; put it into a file and name the file in url_file, or "
            "into an environment variable and name the variable in url_env",
            id="URL in the config",
        ),
        pytest.param(ROBOT, {}, f"{TEAM} url_env: the environment variable TEAM_URL is not set", id="not set"),
        pytest.param(
            ROBOT,
            {"TEAM_URL": "0123456789abcdef"},
            f"{TEAM} url_env: the environment variable TEAM_URL holds no URL; put the whole URL there, such as "
            "https://HOST/PATH",
            id="token alone",
        ),
        pytest.param(
            ROBOT,
            {"TEAM_URL": "http://example.com/hook"},
            f"{TEAM} url_env: the environment variable TEAM_URL: http is for this machine only (localhost, "
            "127.0.0.0/8, ::1); write https",
            id="http",
        ),
        pytest.param(
            ROBOT,
            {"TEAM_URL": "https://"},
            f"{TEAM} url_env: the environment variable TEAM_URL: the URL there must name a host, and a port from 1 to "
            "65535 if any",
            id="no host",
        ),
        pytest.param(
            '\n[notify.team]\ntype = "wecom"\nurl_env = "TEAM_URL"\nsecret_env = "TEAM_SECRET"\n',
            ENVIRON,
            f'{TEAM} secret_env: is not used with type = "wecom"; remove it',
            id="a secret that WeCom does not know",
        ),
        pytest.param(
            f"{ROBOT}host = \"smtp.example.com\"\n",
            ENVIRON,
            f'{TEAM} host: is not used with type = "dingtalk"; remove it',
            id="a mail server's key",
        ),
        pytest.param(
            f'{ROBOT}jobs = ["order"]\n',
            ENVIRON,
            f"{TEAM} jobs: no job has the name order; did you mean orders?",
            id="unknown job",
        ),
        pytest.param(
            f'{ROBOT}when = "never"\n', ENVIRON, f"{TEAM} when: must be change, failure or always", id="unknown rule"
        ),
        pytest.param(
            '\n[notify.team]\ntype = "slack"\n',
            {},
            f"{TEAM} type: must be dingtalk, wecom, feishu, webhook or mail",
            id="unknown type",
        ),
        pytest.param(
            MAIL.replace('host = "smtp.example.com"\n', ""),
            {},
            f"{OPS} host: missing; a mail needs a server, a sender and recipients",
            id="no mail server",
        ),
        pytest.param(
            MAIL.replace("ops@example.com", "ops"),
            {},
            f'{OPS} to: must be a mail address in quotes, such as "ops@example.com"',
            id="no address",
        ),
        pytest.param(
            f'{MAIL}password_env = "MAIL_PASSWORD"\n',
            ENVIRON,
            f"{OPS} user: missing; a password needs a user",
            id="a password without a user",
        ),
        pytest.param(
            f'{MAIL}user = "ops"\npassword_env = "MAIL_PASSWORD"\ntls = "none"\n',
            ENVIRON,
            f"{OPS} tls: a password is not sent unencrypted; write starttls or tls",
            id="a password in clear",
        ),
    ],
)  # fmt: skip
def test_a_wrong_receiver_is_named(
    sample: str, faults_of: FaultsOf, text: str, environ: Mapping[str, str], fault: str
) -> None:
    """Each fault names table and key, says what to do, and holds no secret."""
    faults = faults_of(sample + text, environ=environ)

    assert faults == [fault]


@pytest.mark.parametrize(
    ("table", "environ", "telemetry"),
    [
        pytest.param("", {}, Telemetry(), id="none"),
        pytest.param(
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OPENLINEAGE_URL": "http://marquez:5000"},
            Telemetry("http://collector:4318", "http://marquez:5000"),
            id="environment",
        ),
        pytest.param(
            '\n[telemetry]\notlp_endpoint = "http://own:4318"\nopenlineage_url = "https://own"\n'
            'namespace = "nightly"\n',
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OPENLINEAGE_API_KEY": "TESTKEY"},
            Telemetry("http://own:4318", "https://own", "TESTKEY", "nightly"),
            id="config before environment",
        ),
        pytest.param(
            "",
            {"OPENLINEAGE_URL": "http://marquez:5000", "OPENLINEAGE_API_KEY": "TESTKEY"},
            Telemetry(None, "http://marquez:5000"),
            id="no key in clear over a network",
        ),
        pytest.param(
            "",
            {"OPENLINEAGE_URL": "http://127.0.0.1:5000", "OPENLINEAGE_API_KEY": "TESTKEY"},
            Telemetry(None, "http://127.0.0.1:5000", "TESTKEY"),
            id="a key on this machine",
        ),
        pytest.param(
            "",
            {"OPENLINEAGE_URL": "http://[", "OPENLINEAGE_API_KEY": "TESTKEY"},
            Telemetry(None, "http://["),
            id="a wrong URL of the environment is no fault",
        ),
    ],
)
def test_telemetry_goes_where_config_or_environment_say(
    sample: str, load_text: Load, table: str, environ: Mapping[str, str], telemetry: Telemetry
) -> None:
    """The config counts before the environment. Telemetry may be unencrypted, an API key may not."""
    assert load_text(sample + table, environ=environ).telemetry == telemetry


def test_a_wrong_endpoint_of_the_config_is_a_fault(sample: str, faults_of: FaultsOf) -> None:
    """It names table and key."""
    assert faults_of(f'{sample}\n[telemetry]\notlp_endpoint = "collector:4318"\n') == [
        "backfill.toml [telemetry] otlp_endpoint: must be https://HOST:PORT or http://HOST:PORT of an OTLP receiver, "
        "with a path if it has one"
    ]
