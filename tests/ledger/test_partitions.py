"""Digests as numbers, whichever way they come."""

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.ledger.partitions import digests, numbers, numbers_of
from pipeline.sheet import DIGEST


@given(st.lists(st.binary(min_size=16, max_size=16)))
@example([bytes(16), b"\x00" * 15 + b"\x01", b"\x01" + bytes(15), b"\xff" * 16])
def test_digests_become_numbers_and_digests_again(told: list[bytes]) -> None:
    """Nothing of a digest is lost, also where it ends in zeros, and they sort as their numbers do."""
    table = numbers_of(np.array(told, "S16"))

    assert digests(table) == told
    assert (table == numbers(pa.array(told, DIGEST))).all()
    assert sorted(told) == digests(table[np.lexsort((table[:, 1], table[:, 0]))])
