from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.settings import Config, warnings

Load = Callable[..., Config]


def test_a_config_in_good_order_has_no_warnings(sample_with_points: str, load_text: Load, now: datetime) -> None:
    """Keys readable only by their owner and certificates valid for long give no warning."""
    assert warnings(load_text(sample_with_points), at=now) == []


def test_files_open_to_others_are_warned_of(folder: Path, sample: str, load_text: Load, now: datetime) -> None:
    """A config that others may change, a key that others may read and an unused account each give a warning."""
    config = load_text(sample)
    config.path.chmod(0o664)
    key = folder / "keys/app_private_key.pem"
    key.chmod(0o640)

    assert warnings(config, at=now) == [
        f"{config.path}: users other than its owner may change it; run chmod go-w on it",
        f"{config.path} [accounts.card]: no job uses it, so its keys are not checked",
        f"{config.path} [accounts.zhima]: users other than its owner may open {key}; run chmod 600 on it",
    ]


@pytest.mark.parametrize(("mode", "is_warned_of"), [(0o440, False), (0o640, False), (0o660, True), (0o444, True)])
def test_a_key_of_another_user_may_be_read_by_the_group(
    mode: int, is_warned_of: bool, folder: Path, sample_with_points: str, load_text: Load, now: datetime
) -> None:
    """A reader who does not own a key has it from the group, as in a Kubernetes Secret; more rights give a warning."""
    config = load_text(sample_with_points)
    key = folder / "keys/app_private_key.pem"
    key.chmod(mode)
    owner = key.stat().st_uid
    for file in config.accounts["card"].secret_files:
        file.chmod(0o440)

    warned = [str(key) in text for text in warnings(config, at=now, user=owner + 10001)]
    assert warned == [True] * is_warned_of
    assert any(str(key) in text for text in warnings(config, at=now, user=owner))


def test_certificates_about_to_expire_are_warned_of(sample_with_points: str, load_text: Load, now: datetime) -> None:
    """A certificate that expires within 30 days gives a warning with its date."""
    certificates = """\
        app_cert_file = "keys/app_cert_soon.crt"
        alipay_cert_file = "keys/alipay_cert.crt"
        alipay_root_cert_file = "keys/root_cert.crt"
        """
    text = sample_with_points.replace('alipay_public_key_file = "keys/alipay_public_key.pem"', certificates).replace(
        'mchid = "1900000001"', 'mchid = "1900000001"\nplatform_cert_file = "keys/platform_cert.pem"'
    )
    config = load_text(text)

    assert warnings(config, at=now) == [
        f"{config.path} [accounts.zhima] app_cert_file: a certificate expires on 2026-03-10; "
        "replace it before that day",
        f"{config.path} [accounts.card] platform_cert_file: a certificate expires on 2026-03-10; "
        "replace it before that day",
    ]


def test_a_reissued_certificate_ends_the_warning(sample: str, load_text: Load, now: datetime) -> None:
    """A certificate that expires soon is no reason to act once its successor is beside it."""
    certificates = """\
        app_cert_file = "keys/app_cert.crt"
        alipay_cert_file = ["keys/alipay_cert_soon.crt", "keys/alipay_cert_reissued.crt"]
        alipay_root_cert_file = "keys/root_cert.crt"
        """
    config = load_text(sample.replace('alipay_public_key_file = "keys/alipay_public_key.pem"', certificates))

    assert [text for text in warnings(config, at=now) if "expires" in text] == []


@pytest.mark.parametrize(
    ("zone", "warning"),
    [
        ("Etc/GMT+8", "Etc/GMT+8 means UTC-8 (the sign is reversed); for China's time write Asia/Shanghai"),
        ("Etc/GMT-8", "Etc/GMT-8 means UTC+8 (the sign is reversed); for China's time write Asia/Shanghai"),
        ("Etc/GMT-9", "Etc/GMT-9 means UTC+9 (the sign is reversed)"),
    ],
)
def test_zones_with_a_reversed_sign_are_warned_of(
    zone: str, warning: str, sample_with_points: str, load_text: Load, now: datetime
) -> None:
    """A zone with a reversed sign in its name gives a warning with its real offset."""
    config = load_text(sample_with_points.replace("Asia/Shanghai", zone))

    assert warnings(config, at=now) == [f"{config.path} [jobs.orders] timezone: {warning}"]


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Etc/GMT", "Etc/GMT+0", "Etc/UTC", "GMT0", "PRC"])
def test_other_zones_are_not_warned_of(zone: str, sample_with_points: str, load_text: Load, now: datetime) -> None:
    """A zone whose name shows its real offset gives no warning."""
    assert warnings(load_text(sample_with_points.replace("Asia/Shanghai", zone)), at=now) == []


def test_sha1_is_warned_of(sample: str, load_text: Load, now: datetime) -> None:
    """The gateway's old signature type works, and gives a warning."""
    config = load_text(sample.replace('platform = "alipay"', 'platform = "alipay"\nsign_type = "RSA"'))

    assert warnings(config, at=now)[-1] == (
        f"{config.path} [accounts.zhima] sign_type: RSA signs with SHA-1; Alipay advises RSA2"
    )
