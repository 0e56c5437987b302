"""INT96 times in Parquet: the columns that have them, and whether they are in UTC by the file's writer."""

import re

import pyarrow.parquet as pq

# Keys of Spark; and the key in which Hive and Trino keep the zone that they convert from.
_UTC_KEYS = re.compile(r"org\.apache\.(?:spark|hive)\.|writer\.time\.zone$|trino")
_UTC_WRITERS = ("spark", "hive", "trino")
# The library that all three write with. Other programs that use it name themselves in this key.
_THEIR_LIBRARY = "parquet-mr"
_MODEL_KEY = "writer.model.name"
_ROOT = re.compile(r"group field_id=\S+ (\S+) \{")


def int96_columns(parquet: pq.ParquetFile) -> frozenset[str]:
    """Return the INT96 columns of a file, without those within lists and structs."""
    schema = parquet.schema
    columns = (schema.column(at) for at in range(len(schema.names)))
    return frozenset(column.path for column in columns if column.physical_type == "INT96")


def is_int96_in_utc(parquet: pq.ParquetFile) -> bool:
    """Return whether the footer shows that Spark, Hive or Trino wrote the file; they write INT96 in UTC."""
    metadata = parquet.metadata
    keys = {key.decode("utf-8", "replace"): value for key, value in (metadata.metadata or {}).items()}
    if any(map(_UTC_KEYS.match, keys)):
        return True
    root = _ROOT.search(str(parquet.schema))
    model = keys.get(_MODEL_KEY, b"").decode("utf-8", "replace")
    created_by = str(metadata.created_by)
    if any(writer in name.lower() for name in (created_by, model, root[1] if root else "") for writer in _UTC_WRITERS):
        return True
    return created_by.startswith(_THEIR_LIBRARY) and not model
