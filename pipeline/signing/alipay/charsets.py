"""Charsets of gateway.do. Requests name the charset in which bytes are signed, sent and answered."""

from dataclasses import dataclass
from typing import Final

from pipeline.errors import SettingsError
from pipeline.language import t

_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030"}


@dataclass(frozen=True, slots=True)
class Charset:
    """A charset under the name used in the request."""

    name: str
    codec: str

    @property
    def double_byte(self) -> bool:
        """Whether the second byte of a character may look like ASCII."""
        return self.codec != "utf-8"

    def encode(self, text: bytes) -> bytes:
        """Convert UTF-8 to this charset. Raises UnicodeEncodeError for a missing character."""
        return text.decode("utf-8").encode(self.codec) if self.double_byte else text

    def decode(self, text: bytes) -> bytes:
        """Convert this charset to UTF-8, with a replacement character for each undecodable byte."""
        # GB18030 includes GBK and GB2312, and an answer may use more than its charset's name promises.
        return text.decode("gb18030" if self.double_byte else "utf-8", errors="replace").encode()

    def without_escaped_slashes(self, text: bytes) -> bytes:
        r"""Return text of this charset with every `\/` written as `/`."""
        if not self.double_byte:
            return text.replace(b"\\/", b"/")
        # A backslash can be the second byte of a character, so bytes must not be replaced.
        return text.decode("gb18030", errors="replace").replace("\\/", "/").encode("gb18030")


def charset_named(name: str) -> Charset:
    """Return the charset of this name. Raises SettingsError for one that the gateway or the scan does not support."""
    codec = _CODECS.get(name.lower())
    if codec is None:
        raise SettingsError([t("charset {name!r} is none of the gateway's; use utf-8 or gbk", name=name)])
    return Charset(name, codec)
