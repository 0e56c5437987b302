"""
The raw bytes of the members of a JSON object.

A gateway answer's signature covers the raw bytes of one member's value, in the answer's charset. So the value is cut
out before decoding. The scan only reads the top level, so texts that repeat a member's name do not mislead it.
"""

from typing import Final

_SPACE: Final = b" \t\r\n"
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")
_COLON: Final = ord(":")
_COMMA: Final = ord(",")
_OPEN_OBJECT: Final = ord("{")
_CLOSE_OBJECT: Final = ord("}")
_FIRST_LEAD_BYTE: Final = 0x81


def top_level(body: bytes, *, double_byte: bool = False) -> dict[bytes, bytes] | None:
    """
    Return the raw value of each top-level member by its raw name; None if the body is no complete JSON object.

    `double_byte` is for GBK and related charsets, where the second byte of a character may look like a backslash or a
    brace. An object with a repeated name is ambiguous, so the result is None. Values are not validated.
    """
    try:
        return _Scan(body, double_byte=double_byte).members()
    except (IndexError, _NotAnObject):
        return None


class _NotAnObject(Exception):
    """The bytes are no JSON object, or an ambiguous one."""


class _Scan:
    """One scan over the bytes. Their early end raises IndexError."""

    __slots__ = ("_at", "_body", "_double_byte")

    def __init__(self, body: bytes, *, double_byte: bool) -> None:
        self._body = body
        self._at = 0
        self._double_byte = double_byte

    def members(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        self._expect(_OPEN_OBJECT)
        while self._next_is_member(first=not found):
            name = self._string()[1:-1]
            self._expect(_COLON)
            self._skip_space()
            if name in found:
                raise _NotAnObject
            found[name] = self._value()
        if self._body[self._at :].strip(_SPACE):
            raise _NotAnObject
        return found

    def _next_is_member(self, *, first: bool) -> bool:
        """Skip the comma before a member, or the brace at the end of the object; return whether a member follows."""
        self._skip_space()
        if self._body[self._at] == _CLOSE_OBJECT:
            self._at += 1
            return False
        if not first:
            self._expect(_COMMA)
            self._skip_space()
        return True

    def _expect(self, byte: int) -> None:
        self._skip_space()
        if self._body[self._at] != byte:
            raise _NotAnObject
        self._at += 1

    def _skip_space(self) -> None:
        while self._body[self._at] in _SPACE:
            self._at += 1

    def _string(self) -> bytes:
        start = self._at
        if self._body[start] != _QUOTE:
            raise _NotAnObject
        self._at += 1
        while (byte := self._body[self._at]) != _QUOTE:
            two = byte == _BACKSLASH or (self._double_byte and byte >= _FIRST_LEAD_BYTE)
            self._at += 2 if two else 1
        self._at += 1
        return self._body[start : self._at]

    def _value(self) -> bytes:
        start = self._at
        if self._body[start] == _QUOTE:
            return self._string()
        depth = 0
        while depth or self._body[self._at] not in b",} \t\r\n":
            byte = self._body[self._at]
            if byte == _QUOTE:
                self._string()
                continue
            depth += (byte in b"{[") - (byte in b"}]")
            self._at += 1
        if self._at == start:
            raise _NotAnObject
        return self._body[start : self._at]
