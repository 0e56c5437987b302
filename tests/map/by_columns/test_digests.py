"""Digests by columns are equal to digests row by row."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map.by_columns.digests import digests_of_parts, written
from pipeline.model import digest
from pipeline.tables.text_columns import column_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@settings(deadline=None)  # Arrow imports pandas at its first conversion to numpy
@given(bodies=st.lists(st.binary(max_size=300)))
def test_bodies_have_the_ledger_s_digests(bodies: list[bytes]) -> None:
    """A body has the digest that the ledger keeps."""
    column = pa.array(bodies, pa.binary())

    assert digests_of_parts([column], len(bodies)).to_pylist() == [digest(body) for body in bodies]
    assert written(digests_of_parts([column], len(bodies))).to_pylist() == [digest(body).hex() for body in bodies]


@settings(deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1), fixed=TEXTS)
def test_parts_are_digested_row_by_row(rows: list[tuple[str, str]], fixed: str) -> None:
    """Parts of any length, some equal in every row, have the same digests as with `digest`."""
    one, other = (column_of(texts) for texts in zip(*rows, strict=True))

    assert digests_of_parts([fixed, one, other], len(rows)).to_pylist() == [digest(fixed, *row) for row in rows]
    assert digests_of_parts([one, other], len(rows)).to_pylist() == [digest(*row) for row in rows]
    assert digests_of_parts(["a", fixed], len(rows)).to_pylist() == [digest("a", fixed)] * len(rows)
