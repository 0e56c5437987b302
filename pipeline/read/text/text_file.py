"""The text of a file of any encoding, in blocks of whole lines."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.compressed import DecompressedBytes
from pipeline.read.text.ambiguous_encoding import resolved_encoding
from pipeline.read.text.decoder import Decoder, encoding_by_mark, known_encoding, linewise, text_of_head
from pipeline.read.text.lines import whole_lines

_QUOTED = re.compile(r'"[^"]*"')
# Bytes that are searched for NULs, and how many NULs it takes.
_NULS_LOOKED_FOR = 1 << 12
_FEWEST_NULS = 4


class TextFile:
    """
    The text of one file, to be read once; `head` is its start.

    `first_gb18030_line` returns the number of the first line that is likely GB18030; it is called if no line of the
    file is valid in only one encoding. Raises `SourceError` for a file whose lines end in CR only, and for UTF-16 and
    UTF-32 without a byte order mark.
    """

    def __init__(
        self, plain: DecompressedBytes, encoding: str, bounds: Bounds, first_gb18030_line: Callable[[], int | None]
    ) -> None:
        self._plain = plain
        self._bounds = bounds
        self._first_gb18030_line = first_gb18030_line
        self._encoding = encoding_by_mark(plain.head, known_encoding(encoding))
        _check_nuls(plain.name, plain.head, self._encoding)
        self.head = text_of_head(plain.head, self._encoding)
        _check_line_ends(plain.name, self.head)
        self._read, decoded_as = linewise(plain.name, plain.read, self._encoding)
        self._is_brought_into_utf8 = decoded_as != self._encoding
        self._decoder = Decoder(decoded_as, bounds.sample_bytes, self._resolved)

    @property
    def encoding(self) -> str:
        """The encoding of the text, as far as it is known from the part that was read."""
        if not self._is_brought_into_utf8:
            return self._decoder.encoding
        return re.sub(r"-[lb]e$", "", self._encoding)

    def texts(self) -> Iterator[str]:
        """Yield the text block by block."""
        return self._decoder.texts(whole_lines(self._read, self._bounds))

    def _resolved(self) -> str:
        """Return the encoding by the whole file, if its first lines leave it open."""
        with closing(self._plain.again()) as again:
            return resolved_encoding(self._plain.name, whole_lines(again.read, self._bounds), self._first_gb18030_line)


def _check_nuls(name: str, head: bytes, encoding: str) -> None:
    """Raise `SourceError` for text with NULs at regular places, as UTF-16 and UTF-32 have."""
    if encoding.startswith(("utf-16", "utf-32")):
        return
    sample = head[:_NULS_LOOKED_FOR]
    nuls = [sample[at::4].count(0) for at in range(4)]
    if sum(nuls) < max(_FEWEST_NULS, len(sample) // 8):
        return
    for likely, (without, with_nuls) in _NULS.items():
        if max(nuls[at] for at in without) < sum(nuls) / 8 <= min(nuls[at] for at in with_nuls):
            raise SourceError(
                t(
                    '{name} seems to be {upper} without a byte order mark; write csv.encoding = "{likely}" for the job',
                    name=name,
                    upper=likely[:6].upper(),
                    likely=likely,
                )
            )


# The places within 4 bytes of ASCII text without and with a NUL.
_NULS = {
    "utf-32-le": ((0,), (1, 2, 3)),
    "utf-32-be": ((3,), (0, 1, 2)),
    "utf-16-le": ((0, 2), (1, 3)),
    "utf-16-be": ((1, 3), (0, 2)),
}


def _check_line_ends(name: str, head: str) -> None:
    first = _QUOTED.sub("", head.partition("\n")[0]).rstrip("\r")
    if "\r" in first:
        raise SourceError(
            t(
                "{name} ends its lines with a carriage return (CR) alone, as old Macs do; save it with line feeds",
                name=name,
            )
        )
