"""
The members of a JSON object as the bytes they came in.

A gateway answer is signed over the raw bytes of one member's value, in the charset of the answer, so the value has to
be cut out before anything is decoded. A scan of the top level can't be fooled by texts that repeat a member's name.
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
    Return the raw value of each top-level member by its raw name; None where the body is no whole JSON object.

    `double_byte` is for GBK and its kin, where the second byte of a character can look like a backslash or a brace.
    A name that comes twice makes the body ambiguous, so it counts as no object. The values themselves are cut out,
    not checked.
    """
    try:
        return _Scan(body, double_byte=double_byte).members()
    except (IndexError, _NotAnObject):
        return None


class _NotAnObject(Exception):
    """The bytes are no JSON object, or an ambiguous one."""


class _Scan:
    """One walk over the bytes; running off their end is an IndexError."""

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
        """Step over the comma before a member, or over the brace that ends the object."""
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
