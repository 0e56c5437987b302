"""From exports to numbered rows of text: CSV, JSON lines, Parquet and workbooks, here or in a store."""

from pipeline.read.files.source_file import SourceFile, sha256_of, verify_unchanged
from pipeline.read.find.inputs import FoundInputs, find, find_inputs
from pipeline.read.open_source import CHUNK_ROWS, open_source
from pipeline.read.source import Source
from pipeline.tables.chunk import Chunk

__all__ = [
    "CHUNK_ROWS",
    "Chunk",
    "FoundInputs",
    "Source",
    "SourceFile",
    "find",
    "find_inputs",
    "open_source",
    "sha256_of",
    "verify_unchanged",
]
