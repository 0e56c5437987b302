"""The charsets of gateway.do: bytes are signed, sent and answered in the one the request names."""

from dataclasses import dataclass
from typing import Final

from pipeline.errors import SettingsError

_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030"}


@dataclass(frozen=True, slots=True)
class Charset:
    """A charset as the request names it."""

    name: str
    codec: str

    @property
    def double_byte(self) -> bool:
        """Whether the second byte of a character can look like ASCII."""
        return self.codec != "utf-8"

    def encode(self, text: bytes) -> bytes:
        """Return UTF-8 text in this charset; a character that it lacks is a UnicodeEncodeError."""
        return text.decode("utf-8").encode(self.codec) if self.double_byte else text

    def decode(self, text: bytes) -> bytes:
        """Return text of this charset in UTF-8, with a mark in place of what can't be decoded."""
        # GB18030 holds all of GBK and GB2312, so an answer may use more than its charset's name promises.
        return text.decode("gb18030" if self.double_byte else "utf-8", errors="replace").encode()

    def without_escaped_slashes(self, text: bytes) -> bytes:
        r"""Return text of this charset with every `\/` written as `/`."""
        if not self.double_byte:
            return text.replace(b"\\/", b"/")
        # A backslash can be the second byte of a character, so bytes must not be replaced.
        return text.decode("gb18030", errors="replace").replace("\\/", "/").encode("gb18030")


def charset_named(name: str) -> Charset:
    """Return the charset; `SettingsError` for one that the gateway does not take or that can't be scanned safely."""
    codec = _CODECS.get(name.lower())
    if codec is None:
        raise SettingsError([f"charset {name!r} is none of the gateway's; use utf-8 or gbk"])
    return Charset(name, codec)
