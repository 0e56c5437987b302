"""
Thrift's compact protocol, as far as Parquet's footer and page headers need it.

Only a page header gives the unpacked size of a page before it is unpacked, and pyarrow does not expose it. pyarrow also
aborts the process for some damaged footers, so footers are read here first.
"""

from typing import Any

Struct = dict[int, Any]

_DEEPEST = 8  # levels of nested structs


class CutShortError(Exception):
    """The bytes end before the struct does."""


class MalformedError(Exception):
    """The bytes are no struct."""


def read_struct(data: bytes) -> tuple[Struct, int]:
    """Return the fields, by number, of the struct at the start of the bytes, and its length in bytes."""
    reader = _Reader(data)
    return reader.struct(0), reader.at


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def struct(self, depth: int) -> Struct:
        if depth > _DEEPEST:
            raise MalformedError
        fields: Struct = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:  # true, false
                value: Any = kind == 1
            case 3:
                value = self._byte()
            case 4 | 5 | 6:  # whole numbers of 16, 32 and 64 bits
                value = self._zigzag()
            case 7:  # a float of 64 bits
                value = self._bytes(8)
            case 8:  # bytes or text
                value = self._bytes(self._varint())
            case 9:
                value = self._list(depth)
            case 12:
                value = self.struct(depth + 1)
            case _:  # sets and maps, which Parquet does not use
                raise MalformedError
        return value

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._varint()
        if self.at + size > len(self._data):  # each item takes at least one byte
            raise CutShortError
        kind = 3 if head & 15 in (1, 2) else head & 15
        return [self._value(kind, depth) for _ in range(size)]

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise CutShortError
        self.at += size
        return self._data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise MalformedError

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
