"""Loading of keys in each form, and messages for wrong ones."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.signing.keys import (
    check_validity,
    load_apiv3_key,
    load_certificates,
    load_encrypt_key,
    load_private_key,
    load_public_key,
    matches,
    public_key_of,
)

PKCS1 = "keys/TEST-A-alipay-app-private-pkcs1.pem"
PKCS8 = "keys/TEST-A-alipay-app-private-pkcs8.pem"
PUBLIC = "keys/TEST-A-alipay-app-public.pem"
CERTIFICATE = "keys/TEST-A-alipay-app-cert.pem"
OTHER_CERTIFICATE = "keys/TEST-A-alipay-platform-cert.pem"
SM2 = (Path(__file__).parent / "data" / "TEST-root-sm2.pem").read_bytes()
EC_CERTIFICATE = "keys/TEST-A-alipay-root-ecdsa.pem"

ReadFile = Callable[[str], bytes]
PrivateKeys = Callable[[str], RSAPrivateKey]
Certificates = Callable[[str], tuple[x509.Certificate, ...]]


def bare(pem: bytes) -> bytes:
    return b"".join(line for line in pem.splitlines() if not line.startswith(b"-----"))


FORMS = {
    "as it is": lambda pem: pem,
    "windows line ends": lambda pem: pem.replace(b"\n", b"\r\n"),
    "byte order mark": lambda pem: b"\xef\xbb\xbf" + pem,
    "text around it": lambda pem: b"Bag Attributes\n    friendlyName: app\n" + pem + b"\nend\n",
    "one line with escaped line feeds": lambda pem: pem.replace(b"\n", b"\\n"),
    "bare base64 in one line": bare,
    "bare base64 with line feeds": lambda pem: b"\n".join(pem.splitlines()[1:-1]) + b"\n",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("path", [PKCS1, PKCS8], ids=["pkcs1", "pkcs8"])
def test_a_private_key_is_read_in_every_form(
    key_file: ReadFile, private_key: PrivateKeys, path: str, form: Callable[[bytes], bytes]
) -> None:
    """PKCS#1 and PKCS#8 give the same key, as PEM, in an environment variable, and as bare base64."""
    key = load_private_key(form(key_file(path)), "app.pem")

    assert key.private_numbers() == private_key(PKCS8).private_numbers()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("layout", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1], ids=["spki", "pkcs1"])
def test_a_public_key_is_read_in_every_form(
    private_key: PrivateKeys, layout: PublicFormat, form: Callable[[bytes], bytes]
) -> None:
    """SubjectPublicKeyInfo and PKCS#1 give the same key, as PEM, in an environment variable, and as bare base64."""
    whole = private_key(PKCS8).public_key()

    key = load_public_key(form(whole.public_bytes(Encoding.PEM, layout)), "alipay.pem")

    assert key == whole


def test_all_certificates_of_a_file_are_read_in_its_order(key_file: ReadFile) -> None:
    """A root file gives its certificates in order, including other kinds."""
    first, second = (key_file(path) for path in (EC_CERTIFICATE, CERTIFICATE))

    found = load_certificates(first + b"--- the next one ---\n" + second, "root.crt")

    assert [certificate.serial_number for certificate in found] == [90210, 20251120000000000000000000012345]


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def encrypted_pkcs1(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))


EC_KEY = ec.generate_private_key(ec.SECP256R1())
SMALL_KEY = rsa.generate_private_key(65537, 1024)
AES_ADVICE = "give the base64 text of 16 bytes that the console shows"
APIV3_ADVICE = "give the 32 characters set in the merchant console"
PRIVATE_ADVICE = "give the RSA private key, as PEM or bare base64"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param(PUBLIC, f"x.pem holds a public key; {PRIVATE_ADVICE}", id="public key"),
        pytest.param(CERTIFICATE, f"x.pem holds a certificate; {PRIVATE_ADVICE}", id="certificate"),
    ],
)
@pytest.mark.parametrize("form", [FORMS["as it is"], bare], ids=["pem", "bare"])
def test_a_wrong_file_is_named(key_file: ReadFile, path: str, message: str, form: Callable[[bytes], bytes]) -> None:
    """The message says what a wrong file contains, also without a PEM label."""
    with pytest.raises(SettingsError) as caught:
        load_private_key(form(key_file(path)), "x.pem")

    assert caught.value.faults == (message,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", f"x.pem holds nothing that can be read as a key; {PRIVATE_ADVICE}", id="empty"),
        pytest.param(b"-----BEGIN", f"x.pem holds nothing that can be read as a key; {PRIVATE_ADVICE}", id="cut"),
        pytest.param(b"hunter2", f"x.pem holds nothing that can be read as a key; {PRIVATE_ADVICE}", id="no key"),
        pytest.param(b"\xff\xfe\x00", f"x.pem holds nothing that can be read as a key; {PRIVATE_ADVICE}", id="binary"),
        pytest.param(pem_of(EC_KEY), f"x.pem holds no RSA key; {PRIVATE_ADVICE}", id="ec"),
        pytest.param(bare(pem_of(EC_KEY)), f"x.pem holds no RSA key; {PRIVATE_ADVICE}", id="ec, bare"),
        pytest.param(
            pem_of(SMALL_KEY), "x.pem holds a key of 1024 bits; both platforms ask for 2048 or more", id="short"
        ),
    ],
)
def test_an_unusable_private_key_is_refused(data: bytes, message: str) -> None:
    """The message for damaged text, other kinds of keys and short keys says what to give."""
    with pytest.raises(SettingsError) as caught:
        load_private_key(data, "x.pem")

    assert caught.value.faults == (message,)


@pytest.mark.parametrize("layout", ["pkcs1", "pkcs8", "pkcs8, bare"])
def test_a_private_key_with_a_password_is_refused(private_key: PrivateKeys, layout: str) -> None:
    """The message for an encrypted key says how to remove the password."""
    key = private_key(PKCS8)
    pem = encrypted_pkcs1(key) if layout == "pkcs1" else pem_of(key, b"secret")

    with pytest.raises(SettingsError) as caught:
        load_private_key(bare(pem) if layout.endswith("bare") else pem, "x.pem")

    assert caught.value.faults == (
        "x.pem holds a private key with a password; remove the password (openssl pkcs8) and give the plain key",
    )


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param(
            PKCS8,
            "x.pem holds a private key; give the platform's RSA public key, as PEM or bare base64",
            id="private key",
        ),
        pytest.param(
            CERTIFICATE,
            "x.pem holds a certificate; give the public key, or name the file as a certificate",
            id="certificate",
        ),
    ],
)
def test_a_wrong_file_for_a_public_key_is_named(key_file: ReadFile, path: str, message: str) -> None:
    """A private key and a certificate are refused as public keys."""
    with pytest.raises(SettingsError) as caught:
        load_public_key(key_file(path), "x.pem")

    assert caught.value.faults == (message,)


def test_a_wrong_file_for_a_certificate_is_named(key_file: ReadFile) -> None:
    """A key is refused as a certificate, and so is a file with a damaged part."""
    with pytest.raises(SettingsError) as swapped:
        load_certificates(key_file(PKCS8), "x.crt")
    with pytest.raises(SettingsError) as damaged:
        load_certificates(key_file(CERTIFICATE) + key_file(CERTIFICATE).replace(b"MII", b"AAA"), "x.crt")

    assert swapped.value.faults == ("x.crt holds a private key; give the certificate, as PEM",)
    assert damaged.value.faults == ("x.crt: part 2 of it is damaged; fetch the file again",)


@pytest.mark.parametrize("kind", ["ec", "sm2"])
def test_a_certificate_without_an_rsa_key_is_refused(key_file: ReadFile, kind: str) -> None:
    """A certificate with another kind of key is refused, also if no library here can read it."""
    certificate = load_certificates(SM2 if kind == "sm2" else key_file(EC_CERTIFICATE), "x.crt")[0]

    with pytest.raises(SettingsError) as caught:
        public_key_of(certificate, "x.crt")

    assert caught.value.faults == ("x.crt holds a certificate whose key is no RSA key; give the RSA certificate",)


@given(st.binary(max_size=60) | st.text(alphabet="MIIB-ENDG PRVTKY\n=", max_size=120).map(str.encode))
def test_loaders_refuse_but_never_break(data: bytes) -> None:
    """For any content a loader raises SettingsError, which names the file and shows no content."""
    for load in (load_private_key, load_public_key, load_certificates):
        with pytest.raises(SettingsError, match=r"^x\.pem(:| holds) [a-zA-Z0-9 ();,'-]+$"):
            load(data, "x.pem")


@pytest.mark.parametrize(
    ("at", "message"),
    [
        pytest.param(datetime(2025, 11, 20, tzinfo=UTC), None, id="valid"),
        pytest.param(
            datetime(2044, 1, 1, tzinfo=UTC),
            "x.crt expired on 2043-12-27; fetch a new certificate from the platform",
            id="expired",
        ),
        pytest.param(
            datetime(2023, 12, 31, tzinfo=UTC),
            "x.crt is valid only from 2024-01-01 on; check the clock, or use the certificate before it",
            id="too early",
        ),
    ],
)
def test_an_expired_certificate_is_reported(certificates: Certificates, at: datetime, message: str | None) -> None:
    """The message for a certificate that is not valid has file and date."""
    assert check_validity(certificates(CERTIFICATE)[0], "x.crt", at) == message


def test_a_private_key_matches_its_own_certificate_and_public_key_only(
    private_key: PrivateKeys, certificates: Certificates
) -> None:
    """A key matches its own certificate and public key, and no other kind."""
    key = private_key(PKCS8)
    others: list[x509.Certificate | RSAPublicKey] = [
        certificates(CERTIFICATE)[0],
        key.public_key(),
        certificates(OTHER_CERTIFICATE)[0],
        certificates(EC_CERTIFICATE)[0],
        load_certificates(SM2, "x.crt")[0],
    ]

    assert [matches(key, other) for other in others] == [True, True, False, False, False]


def test_symmetric_keys_are_read() -> None:
    """An AES key is base64 of 16 bytes, an APIv3 key is 32 characters; surrounding space is ignored."""
    aes, apiv3 = bytes(range(16)), b"TEST-A-apiv3-key-0123456789abcde"

    assert load_encrypt_key(base64.b64encode(aes) + b"\n", "aes.txt") == aes
    assert load_apiv3_key(apiv3 + b"\n", "$KEY") == apiv3


@pytest.mark.parametrize(
    ("load", "data", "message"),
    [
        pytest.param(load_encrypt_key, b"AAAA", "x is no AES key; " + AES_ADVICE, id="aes, short"),
        pytest.param(load_encrypt_key, b"hunter2!", "x is no AES key; " + AES_ADVICE, id="aes, no base64"),
        pytest.param(load_apiv3_key, b"hunter2", "x is no APIv3 key; " + APIV3_ADVICE, id="apiv3, short"),
        pytest.param(load_apiv3_key, b"\xff" * 32, "x is no APIv3 key; " + APIV3_ADVICE, id="apiv3, no text"),
    ],
)
def test_a_malformed_symmetric_key_is_refused(load: Callable[[bytes, str], bytes], data: bytes, message: str) -> None:
    """A malformed key is refused, and not shown."""
    with pytest.raises(SettingsError) as caught:
        load(data, "x")

    assert caught.value.faults == (message,)
