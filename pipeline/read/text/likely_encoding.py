"""
The likely encoding of text whose bytes are valid in UTF-8 and in GB18030.

The 2 bytes of a Chinese character in GB18030 may be a letter in UTF-8 that Chinese text never has: 学习 reads as ѧϰ.
"""

import codecs
import re
from collections.abc import Sequence

UTF_8, GB18030 = "utf-8", "gb18030"

_NOT_ASCII_BYTES = re.compile(rb"[\x80-\xff]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LONG_IN_UTF8 = re.compile(r"[\u0800-\uffff]+")
# The hanzi of GB 2312, which are the common ones; and hanzi with its punctuation.
_HANZI = re.compile(rb"(?:[\xb0-\xf7][\xa1-\xfe])+")
_CHINESE = re.compile(rb"(?:[\xa1\xa3][\xa1-\xfe])*[\xb0-\xf7][\xa1-\xfe](?:[\xa1\xa3\xb0-\xf7][\xa1-\xfe])*")
_LATIN = "\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017f\u01a0\u01a1\u01af\u01b0"
# Characters, with their context, that are common in UTF-8 text that is not Chinese.
_IN_PLACE = re.compile(
    f"(?<=[A-Za-z])[{_LATIN}]+|[{_LATIN}]+(?=[A-Za-z])"  # José
    r"|[¢£¤¥](?= ?[0-9])|(?<=[0-9])[°ªº¼½¾]|±(?=[0-9])|§(?= ?[0-9])"  # ¥12, 25°, 1½
    r"|(?<=[A-Za-z])[²³®©·]|©(?= ?[A-Za-z0-9])|µ(?=[A-Za-z])"  # m², Nike®
    f"|[«¡¿](?=[A-Za-z])|(?<=[A-Za-z0-9.!?{_LATIN}])»"  # «Sí»
)


def clear_encoding(line: bytes) -> str | None:
    """
    Return the encoding that a line decides for, None if it leaves both open.

    A line decides for the only encoding in which it is valid, or for UTF-8 if it is then Chinese.
    """
    as_utf8, as_gb18030 = decoded(line, UTF_8), decoded(line, GB18030)
    if as_utf8 is None:
        return None if as_gb18030 is None else GB18030
    is_chinese = any(map(_is_chinese, _LONG_IN_UTF8.findall(as_utf8))) and not _are_hanzi(line)
    return UTF_8 if as_gb18030 is None or is_chinese else None


def is_likely_gb18030(text: str) -> bool:
    """Return whether text decoded as UTF-8 is more likely GB18030: hanzi in GB18030, rare letters in UTF-8."""
    if text.isascii() or not _are_hanzi(text.encode(UTF_8, "surrogatepass")):
        return False
    return not all(map(_is_chinese, _NOT_ASCII.findall(_IN_PLACE.sub("", text))))


def likelier_encoding(lines: Sequence[bytes]) -> str | None:
    """Return the encoding that most of the lines decide for; None if they leave it open."""
    valid = [line for line in lines if decoded(line, UTF_8) is not None]
    if len(valid) == len(lines):
        return UTF_8 if any(clear_encoding(line) for line in lines) else None
    decided = [clear_encoding(line) for line in lines]
    for_utf8, for_gb18030 = decided.count(UTF_8), decided.count(GB18030)
    if for_utf8 or for_gb18030:
        return UTF_8 if for_utf8 >= for_gb18030 else GB18030
    return None if valid else GB18030


def decoded(line: bytes, encoding: str) -> str | None:
    """Return bytes as text, None if invalid; the last character may be cut off."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(line)
    except UnicodeDecodeError:
        return None


def _are_hanzi(line: bytes) -> bool:
    """Return whether all bytes that are not ASCII are common hanzi in GB18030."""
    return all(map(_HANZI.fullmatch, _NOT_ASCII_BYTES.findall(line)))


def _is_chinese(text: str) -> bool:
    """Return whether a text is common hanzi, with or without Chinese punctuation."""
    return _CHINESE.fullmatch(text.encode("gbk", "replace")) is not None
