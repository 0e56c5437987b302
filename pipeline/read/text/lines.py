"""Bytes and text, cut at line feeds."""

from collections.abc import Callable, Iterator

from pipeline.read.files.bounds import Bounds


def whole_lines(read: Callable[[int], bytes], bounds: Bounds) -> Iterator[bytes | None]:
    """
    Yield blocks of whole lines, and None in place of each line longer than `bounds.line_bytes`.

    Each block ends with a line feed, except perhaps the last one. A too long line is skipped in pieces, so that a file
    without line feeds needs no more memory than the bound.
    """
    # No block is longer than a line may be, so only lines over several blocks need measuring.
    size = min(bounds.block_bytes, bounds.line_bytes)
    begun: list[bytes] = []
    begun_bytes = 0
    while block := read(size):
        first = block.find(b"\n") + 1
        if not first:
            begun_bytes += len(block)
            if begun_bytes <= bounds.line_bytes:
                begun.append(block)
            else:
                begun.clear()
            continue
        if begun_bytes + first - 1 > bounds.line_bytes:
            yield None
            begun.clear()
            block = block[first:]
        last = block.rfind(b"\n") + 1
        if last:
            yield b"".join((*begun, memoryview(block)[:last]))
        begun, begun_bytes = [block[last:]], len(block) - last
    if begun_bytes > bounds.line_bytes:
        yield None
    elif begun_bytes:
        yield b"".join(begun)


def without_first(texts: Iterator[str], lines: int) -> Iterator[str]:
    """Yield texts of whole lines without the first `lines` lines."""
    for text in texts:
        start = 0
        while lines and start < len(text):
            start = text.find("\n", start) + 1 or len(text)
            lines -= 1
        if start < len(text):
            yield text[start:]
        if not lines:
            yield from texts


def in_pieces(text: str, size: int) -> list[str]:
    """Cut a text after line feeds into pieces of about `size` characters; a longer line stays whole."""
    pieces = []
    start = 0
    while start < len(text):
        end = text.find("\n", start + size - 1) + 1 or len(text)
        pieces.append(text[start:end])
        start = end
    return pieces
