"""
Decode bytes to text, line by line if a block as a whole can't be decoded.

Two lone surrogates, which no decoded text can hold, mark unread parts: `UNDECODABLE` replaces bytes that are not valid
in the encoding, `LINE_TOO_LONG` a whole line that was skipped.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from pipeline.errors import SettingsError, SourceError
from pipeline.language import t
from pipeline.read.text.likely_encoding import GB18030, UTF_8, clear_encoding, decoded, likelier_encoding

AUTO = "auto"

UNDECODABLE = "\udcff"
LINE_TOO_LONG = "\udbff"
# Marks unread text in the cells of a bad row, until a person fixes the row.
UNREAD = "\ufffd"
_MARKING = "pipeline.undecodable"
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins the same
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# In these encodings the byte 0x0A is always a line feed, and each line can be decoded by itself.
LINEWISE = frozenset({"ascii", "utf-8", "gb18030", "gbk", "gb2312"})
# Python's codecs for names and source code, which are not encodings of files.
_NOT_FOR_FILES = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# It begins with a class, because re then skips other bytes 10 times as fast.
_HANZI_IN_UTF8 = re.compile(rb"[\xe4-\xe9](?<![\x80-\xff].)[\x80-\xbf]{2}(?:[\xe4-\xe9][\x80-\xbf]{2})*(?![\x80-\xff])")
_NEVER_IN_GB18030 = b"\xff"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE, error.end


codecs.register_error(_MARKING, _mark)


def known_encoding(name: str) -> str:
    """Return Python's name of an encoding (`auto` stays); raise `SettingsError` for an unknown one."""
    if name.lower() == AUTO:
        return AUTO
    try:
        encoding = codecs.lookup(name).name
        is_known = encoding not in _NOT_FOR_FILES and "a,1".encode(encoding).decode(encoding) == "a,1"
    except (LookupError, ValueError):
        is_known = False
    if not is_known:
        raise SettingsError(
            [t("csv encoding {name!r} is not known; use auto, utf-8, gb18030 or another encoding", name=name)]
        )
    return "utf-8" if encoding == "utf-8-sig" else encoding


def encoding_by_mark(head: bytes, encoding: str) -> str:
    """Return the encoding of a byte order mark if the given encoding leaves it open, else the given one."""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if encoding == AUTO:
        return marked or encoding
    if encoding in {"utf-16", "utf-32"}:
        return marked if marked and marked.startswith(encoding) else f"{encoding}-le"
    return encoding


def linewise(name: str, read: Callable[[int], bytes], encoding: str) -> tuple[Callable[[int], bytes], str]:
    """
    Return a reader of bytes that can be cut at line feeds, and their encoding.

    UTF-16 and other encodings in which 0x0A may be part of a character are converted to UTF-8. Undecodable bytes become
    bytes that UTF-8 can't decode either. Reading raises `SourceError` if the decoder fails in the file `name`.
    """
    if encoding == AUTO or encoding in LINEWISE:
        return read, encoding
    decoder = codecs.getincrementaldecoder(encoding)(errors=_MARKING)

    def transcoded(size: int) -> bytes:
        text = ""
        data = b"-"
        while data and not text:
            data = read(max(1, size // 3))  # one byte may become three in UTF-8
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:  # a shift sequence that never ends
                raise SourceError(
                    t(
                        "{name} is not text in {encoding}: {error}; set csv.encoding for the job",
                        name=name,
                        encoding=encoding,
                        error=error,
                    )
                ) from error
        return text.encode("utf-8", "surrogatepass")

    return transcoded, "utf-8"


class Decoder:
    """
    Decodes the blocks of a file to text.

    With `auto` all bytes are ASCII up to the first other byte. The lines with other bytes, in the next `sample_bytes`,
    then decide between UTF-8 and GB18030. If they leave it open, `resolve` reads the whole file. `encoding` is the
    encoding as far as it is known.
    """

    def __init__(self, encoding: str, sample_bytes: int, resolve: Callable[[], str]) -> None:
        self.encoding = UTF_8 if encoding == AUTO else encoding
        self._is_open = encoding == AUTO
        self._sample_bytes = sample_bytes
        self._resolve = resolve

    def texts(self, blocks: Iterable[bytes | None]) -> Iterator[str]:
        """Yield the text of each block of whole lines, with marks for unread parts, without a byte order mark."""
        texts = self._detected(iter(blocks)) if self._is_open else decoded_blocks(blocks, self.encoding)
        for first in texts:
            yield first.removeprefix("\ufeff")
            yield from texts

    def _detected(self, blocks: Iterator[bytes | None]) -> Iterator[str]:
        for block in blocks:
            if block is None or block.isascii():
                yield from decoded_blocks([block], "ascii")
                continue
            blocks_read, sample = _sample(block, blocks, self._sample_bytes)
            self.encoding = likelier_encoding(sample) or self._resolve()
            rest = chain(blocks_read, blocks)
            yield from decoded_blocks(map(_without_utf8, rest) if self.encoding == GB18030 else rest, self.encoding)


def text_of_head(head: bytes, encoding: str) -> str:
    """Return the text of a file's first bytes, by which header and delimiter are detected."""
    if encoding == AUTO:
        encoding = GB18030 if decoded(head, UTF_8) is None else UTF_8
    return head.decode(encoding, "ignore").removeprefix("\ufeff")


def _sample(
    first: bytes, blocks: Iterator[bytes | None], sample_bytes: int
) -> tuple[list[bytes | None], Sequence[bytes]]:
    """
    Read on until there is enough to decide by; return the blocks, and the lines of the sample that are not ASCII.

    The sample begins with the first line that is not ASCII, and has a fixed length. So it is the same for any size of
    blocks.
    """
    blocks_read: list[bytes | None] = [first]
    found = _NOT_ASCII.search(first)
    sample = bytearray(first[first.rfind(b"\n", 0, found.start() if found else 0) + 1 :])
    while len(sample) < sample_bytes and (block := next(blocks, b"")) != b"":
        blocks_read.append(block)
        sample += block or b""
    lines = bytes(sample[:sample_bytes]).splitlines(keepends=True)
    return blocks_read, [line for line in lines if not line.isascii()]


def decoded_blocks(blocks: Iterable[bytes | None], encoding: str) -> Iterator[str]:
    """Yield the text of each block of whole lines, with marks for unread parts."""
    for block in blocks:
        yield LINE_TOO_LONG if block is None else _text(block, encoding)


def _without_utf8(block: bytes | None) -> bytes | None:
    """
    Return a block of GB18030 in which lines of clear UTF-8 can't be decoded.

    Two exports put together may have two encodings, and nearly all of UTF-8 can be decoded as GB18030.
    """
    if block is None or not _HANZI_IN_UTF8.search(block):
        return block
    return b"\n".join(
        _NOT_ASCII.sub(_NEVER_IN_GB18030, line)
        if _HANZI_IN_UTF8.search(line) and clear_encoding(line) == UTF_8
        else line
        for line in block.split(b"\n")
    )


def _text(block: bytes, encoding: str) -> str:
    try:
        return block.decode(encoding)
    except UnicodeDecodeError:
        return "\n".join([line.decode(encoding, _MARKING) for line in block.split(b"\n")])
