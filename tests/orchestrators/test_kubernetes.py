"""docs/how-to/kubernetes: the manifests are what Kubernetes and the program expect, and work as printed."""

import gzip
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from zoneinfo import ZoneInfo

import pytest

from pipeline.cli.parser import build_parser
from pipeline.errors import SettingsError
from pipeline.orchestrators.command import CommandResult, TaskState
from pipeline.settings import Config, load
from pipeline.simulator import Simulator, write_client_keys
from tests.orchestrators.conftest import CHECKOUT
from tests.senders.kills import Lines
from tests.senders.scene import wait_until

MANIFESTS = CHECKOUT / "docs" / "how-to" / "kubernetes"
DOCKERFILE = CHECKOUT / "docs" / "how-to" / "container" / "Dockerfile"
# The oldest version whose podFailurePolicy is stable, and the newest one.
VERSIONS = ("1.31", "1.37")

PYTHON = CHECKOUT / ".venv" / "orchestrators" / "bin" / "python"

Objects = Mapping[str, Any]


def compared(folder: Path) -> tuple[Objects, list[str]]:
    """Return the objects of a folder by file name, and their faults."""
    assert PYTHON.exists(), f"{PYTHON} is missing: run `make .venv/orchestrators/ready`"
    script = Path(__file__).with_name("kubernetes_objects.py")
    done = subprocess.run([PYTHON, script, folder, *VERSIONS], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return found["objects"], found["faults"]


@pytest.fixture(scope="module")
def objects() -> Objects:
    """Return the manifests by file name."""
    found, faults = compared(MANIFESTS)
    assert faults == []
    return found


def pod_of(name: str, objects: Objects) -> Any:
    """Return the template of the pods of workers.yaml or night.yaml."""
    spec = objects[name]["spec"]
    return spec["template"] if name == "workers.yaml" else spec["jobTemplate"]["spec"]["template"]


def container_of(name: str, objects: Objects) -> Any:
    """Return the only container of workers.yaml or night.yaml."""
    (container,) = pod_of(name, objects)["spec"]["containers"]
    return container


def test_kubernetes_has_these_kinds_and_fields(objects: Objects) -> None:
    """The schemas of the oldest and the newest version accept all manifests, which are of these kinds."""
    assert {name: one["kind"] for name, one in objects.items()} == {
        "claim.yaml": "PersistentVolumeClaim",
        "config.yaml": "ConfigMap",
        "night.yaml": "CronJob",
        "secret.yaml": "Secret",
        "workers.yaml": "Deployment",
    }


def test_a_wrong_manifest_is_found(tmp_path: Path) -> None:
    """A misspelt field, a value of a wrong type and an unknown kind are faults in each version."""
    wrong = shutil.copytree(MANIFESTS, tmp_path / "wrong")
    for name, old, new in [
        ("workers.yaml", "readinessProbe", "readynessProbe"),
        ("night.yaml", "backoffLimit: 4", "backoffLimit: four"),
        ("claim.yaml", "kind: PersistentVolumeClaim", "kind: Claim"),
    ]:
        (wrong / name).write_text((MANIFESTS / name).read_text("utf-8").replace(old, new), "utf-8")
    _, faults = compared(wrong)

    assert [re.sub(r" for kubernetes version .*", "", fault) for fault in faults] == [
        *["claim.yaml: Couldn't find schema for kind Claim with api version v1"] * 2,
        *["night.yaml: 'four' is not of type 'integer', 'null'"] * 2,
        *["workers.yaml: Additional properties are not allowed ('readynessProbe' was unexpected)"] * 2,
    ]


@pytest.mark.parametrize("name", ["workers.yaml", "night.yaml"])
def test_a_pod_finds_what_it_names(name: str, objects: Objects) -> None:
    """Objects, volumes, files and users that a pod names are in the other manifests and in the image."""
    pod, container = pod_of(name, objects)["spec"], container_of(name, objects)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = container["volumeMounts"]
    mounted = {mount["subPath"] for mount in mounts if mount["name"] == "config"}
    secret, config = objects["secret.yaml"], objects["config.yaml"]
    user = re.findall(r"^USER (\d+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)[-1]
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

    assert {mount["name"] for mount in mounts} == volumes.keys()
    assert volumes["config"]["configMap"] == {"name": config["metadata"]["name"]}
    assert mounted == config["data"].keys()
    assert volumes["claim"]["persistentVolumeClaim"] == {"claimName": objects["claim.yaml"]["metadata"]["name"]}
    assert container["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert container["image"].endswith(f"/backfill:{version}")
    assert {str(pod["securityContext"][key]) for key in ("runAsUser", "runAsGroup", "fsGroup")} == {user}
    # Nothing but volumes can be written, so each folder that the program writes is one.
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} == {
        "/tmp",
        "/data",
        "/data/exports",
        "/data/reports",
    }


@pytest.mark.parametrize("name", ["workers.yaml", "night.yaml"])
def test_the_folders_of_the_claim_are_made_by_the_user_of_the_program(name: str, objects: Objects) -> None:
    """Each folder that is mounted is made before, with the image, user and rights of the program."""
    (before,) = pod_of(name, objects)["spec"]["initContainers"]
    container = container_of(name, objects)
    mounted = [mount["subPath"] for mount in container["volumeMounts"] if mount["name"] == "claim"]
    (claim,) = before["volumeMounts"]

    assert before["command"] == ["mkdir", "-p", *(f"{claim['mountPath']}/{folder}" for folder in mounted)]
    assert claim["name"] == "claim"
    assert {name: before[name] for name in ("image", "securityContext")} == {
        name: container[name] for name in ("image", "securityContext")
    }


def test_a_probe_knocks_at_the_port_of_the_worker(objects: Objects) -> None:
    """The probes of a worker name paths that it answers, at the port of `--health-port`."""
    container = container_of("workers.yaml", objects)
    (port,) = container["ports"]
    args = build_parser().parse_args(container["args"])

    assert args.health_port == ("0.0.0.0", port["containerPort"])
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}


def test_a_deployment_selects_its_own_pods(objects: Objects) -> None:
    """The workers' labels are those that the deployment selects; a driver has others."""
    selected = objects["workers.yaml"]["spec"]["selector"]["matchLabels"]

    assert pod_of("workers.yaml", objects)["metadata"]["labels"] == selected
    assert pod_of("night.yaml", objects)["metadata"]["labels"] != selected


def test_what_a_retry_can_help_is_retried(objects: Objects) -> None:
    """The job of a night fails at once with the exit codes that fail a task of Airflow; others are tried again."""
    job = objects["night.yaml"]["spec"]["jobTemplate"]["spec"]
    ignored, failed = job["podFailurePolicy"]["rules"]

    def state(exit_code: int) -> TaskState:
        return CommandResult(exit_code, {"codes": {"deadline": 1}}, "", "csv").state(accept_rows_left=False)

    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert failed == {
        "action": "FailJob",
        "onExitCodes": {
            "containerName": container_of("night.yaml", objects)["name"],
            "operator": "In",
            "values": [exit_code for exit_code in range(7) if state(exit_code) is TaskState.FAILED],
        },
    }
    # Kubernetes asks for it with such a policy.
    assert pod_of("night.yaml", objects)["spec"]["restartPolicy"] == "Never"
    # Pauses of 10, 20, 40, ... seconds are longer than the lease of a driver that was killed.
    assert sum(10 * 2**n for n in range(job["backoffLimit"])) > 30


def test_a_night_ends_by_itself(objects: Objects) -> None:
    """`--until` is before the job's deadline, and a pod has more time to end than a request may take."""
    spec = objects["night.yaml"]["spec"]
    args = build_parser().parse_args(container_of("night.yaml", objects)["args"])
    minute, hour, *rest = spec["schedule"].split()
    night = datetime(2025, 11, 21, int(hour), int(minute), tzinfo=ZoneInfo(spec["timeZone"]))
    seconds = (datetime.combine(night, args.until, night.tzinfo) - night).total_seconds()

    assert rest == ["*", "*", "*"]
    assert seconds < spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < seconds + 3600
    for name in ("workers.yaml", "night.yaml"):
        assert pod_of(name, objects)["spec"]["terminationGracePeriodSeconds"] >= 120


@pytest.fixture
def folder(tmp_path: Path, objects: Objects) -> Path:
    """Return a folder with the files of the config map, and a public key in place of the placeholder."""
    for name, text in objects["config.yaml"]["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    write_client_keys(tmp_path / "keys")
    shutil.copy(tmp_path / "keys" / "alipay_public_key.pem", tmp_path)
    return tmp_path


def app_key(folder: Path) -> str:
    """Return the private key of the app that the simulator knows."""
    return (folder / "keys" / "app_private_key.pem").read_text("utf-8")


def settings(folder: Path, environ: Mapping[str, str]) -> Config:
    return load(folder / "backfill.toml", environ=environ, at=datetime(2025, 11, 21, tzinfo=UTC))


def test_the_config_is_one_of_ours(folder: Path, objects: Objects) -> None:
    """With real keys the config can be read; it has the job of the night, and the ledger is on a server."""
    secret = {**objects["secret.yaml"]["stringData"], "ALIPAY_PRIVATE_KEY": app_key(folder)}
    config = settings(folder, secret)
    args = build_parser().parse_args(container_of("night.yaml", objects)["args"])

    assert (args.command, args.job in config.jobs, args.config) == ("run", True, None)
    assert config.ledger_server is not None
    assert secret.keys() == {"PGPASSWORD", "ALIPAY_PRIVATE_KEY"}


def test_placeholders_are_refused(folder: Path, objects: Objects) -> None:
    """A key that nobody replaced is no key, and the message names its variable or its file."""
    (folder / "alipay_public_key.pem").write_text(objects["config.yaml"]["data"]["alipay_public_key.pem"], "utf-8")

    with pytest.raises(SettingsError) as refused:
        settings(folder, objects["secret.yaml"]["stringData"])

    assert [name in str(refused.value) for name in ("ALIPAY_PRIVATE_KEY", "alipay_public_key.pem")] == [True, True]


@pytest.fixture
def start(folder: Path, objects: Objects) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Return a function that starts the command of a container in a folder in place of /data, with a test key."""
    variables = {**objects["secret.yaml"]["stringData"], "ALIPAY_PRIVATE_KEY": app_key(folder)}
    begun = []

    def run(name: str, changes: Mapping[str, str], *more: str) -> "subprocess.Popen[str]":
        words = [changes.get(word, word) for word in container_of(name, objects)["args"]]
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words, *more], cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def write_orders(path: Path, count: int) -> None:
    """Write an export that the config can read."""
    path.parent.mkdir(parents=True)
    lines = [f"A{n},20250000000000000001,2088000000000001,2025-11-20 12:00:00,T{n},12.50" for n in range(count)]
    columns = "order_id,agreement_no,user_id,paid_at,trade_no,paid_yuan"
    path.write_bytes(gzip.compress("\n".join([columns, *lines]).encode()))


@pytest.mark.slow
def test_a_night_runs_as_printed(
    folder: Path, objects: Objects, database: str, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """
    With the args and variables of the manifests a worker becomes ready and a driver sends a night; only addresses, keys
    and times are those of the test. The worker ends with 0 when its pod is deleted.
    """
    write_orders(folder / "exports" / "2025-11-20" / "orders-1.csv.gz", 8)
    config = objects["config.yaml"]["data"]["backfill.toml"].replace("postgresql://etl@db.example/backfill", database)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        place = f"127.0.0.1:{unused.getsockname()[1]}"
    soon = datetime.now(ZoneInfo("Asia/Shanghai")) + timedelta(hours=2)
    with Simulator() as simulator:
        account = f'[accounts.zhima]\nbase_url = "{simulator.url}"'
        (folder / "backfill.toml").write_text(config.replace("[accounts.zhima]", account), encoding="utf-8")
        worker = start("workers.yaml", {"8080": place})
        lines = Lines(worker)
        wait_until(lambda: lines.has("worker_begun"))
        driver = start("night.yaml", {"06:00": f"{soon:%H:%M}"}, "--date", "2025-11-20")
        log = driver.communicate(timeout=60)[1]
        answers = [urlopen(f"http://{place}{path}", timeout=10).read() for path in ("/healthz", "/readyz")]
        worker.terminate()
        exit_codes = [driver.returncode, worker.wait(60)]
        sent = sorted(entry.key for entry in simulator.journal.entries)
    (summary,) = folder.glob("reports/*/summary.json")

    assert (exit_codes, answers) == ([0, 0], [b"ok\n"] * 2), log
    assert sent == [f"A{n}" for n in range(8)]
    assert json.loads(summary.read_bytes())["counts"]["succeeded"] == 8
