"""
Which encoding a text is likely in, where its bytes are good UTF-8 and good GB18030 alike.

The two bytes of a Chinese character in GB18030 may be one letter of UTF-8 that no Chinese text holds: 学习 is ѧϰ.
"""

import codecs
import re
from collections.abc import Sequence

UTF_8, GB18030 = "utf-8", "gb18030"

_NOT_ASCII_BYTES = re.compile(rb"[\x80-\xff]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LONG_IN_UTF8 = re.compile(r"[\u0800-\uffff]+")
# The hanzi of GB 2312, which are those in use; and its signs, of which hanzi need some.
_HANZI = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe])+")
_CHINESE = re.compile(rb"(?:[\xa1\xa3][\xa1-\xfe])*[\xb0-\xf7][\xa1-\xfe](?:[\xa1\xa3\xb0-\xf7][\xa1-\xfe])*")
_LATIN = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u01a0\u01a1\u01af\u01b0"
# What text in UTF-8 that is not Chinese holds beside letters and digits of ASCII.
_IN_PLACE = re.compile(
    f"(?<=[A-Za-z])[{_LATIN}]+|[{_LATIN}]+(?=[A-Za-z])"  # José
    r"|[¢£¤¥](?= ?[0-9])|(?<=[0-9])[°ªº¼½¾]|±(?=[0-9])|§(?= ?[0-9])"  # ¥12, 25°, 1½
    r"|(?<=[A-Za-z])[²³®©·]|©(?= ?[A-Za-z0-9])|µ(?=[A-Za-z])"  # m², Nike®
    f"|[«¡¿](?=[A-Za-z])|(?<=[A-Za-z0-9.!?{_LATIN}])»"  # «Sí»
)


def clear_encoding(line: bytes) -> str | None:
    """
    Return the encoding that a line decides for, None where it leaves both open.

    A line decides for the one encoding in which its bytes are good, or for UTF-8 where that makes them Chinese.
    """
    as_utf8, as_gb18030 = _decoded(line, UTF_8), _decoded(line, GB18030)
    if as_utf8 is None:
        return None if as_gb18030 is None else GB18030
    is_chinese = any(map(_is_chinese, _LONG_IN_UTF8.findall(as_utf8))) and not _are_hanzi(line)
    return UTF_8 if as_gb18030 is None or is_chinese else None


def is_doubtful(text: str) -> bool:
    """Tell whether a text that was decoded as UTF-8 is more likely GB18030: hanzi there, and odd letters here."""
    if text.isascii() or not _are_hanzi(text.encode(UTF_8, "surrogatepass")):
        return False
    return not all(map(_is_chinese, _NOT_ASCII.findall(_IN_PLACE.sub("", text))))


def likelier_encoding(lines: Sequence[bytes]) -> str | None:
    """Return the encoding that most of the lines decide for; None where they leave it open."""
    valid = [line for line in lines if _decoded(line, UTF_8) is not None]
    if len(valid) == len(lines):
        return UTF_8 if any(clear_encoding(line) for line in lines) else None
    told = [clear_encoding(line) for line in lines]
    for_utf8, for_gb18030 = told.count(UTF_8), told.count(GB18030)
    if for_utf8 or for_gb18030:
        return UTF_8 if for_utf8 >= for_gb18030 else GB18030
    return None if valid else GB18030


def _decoded(line: bytes, encoding: str) -> str | None:
    """Return the text of a line, None where there is none; what a sample cuts may end within a letter."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(line)
    except UnicodeDecodeError:
        return None


def _are_hanzi(line: bytes) -> bool:
    """Tell whether all that is not ASCII is, in GB18030, hanzi that are in use."""
    return all(map(_HANZI.fullmatch, _NOT_ASCII_BYTES.findall(line)))


def _is_chinese(text: str) -> bool:
    """Tell whether a text is hanzi that are in use, with Chinese signs."""
    return _CHINESE.fullmatch(text.encode("gbk", "replace")) is not None
