"""Recognising rows that were fixed before, while a run is staged, and noting those that are fixed now."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import ROW_BITS, DeliveryState, RunRecord, position
from pipeline.ledger.rules.fixes import (
    DELIVERED_OTHERWISE,
    OtherVariants,
    VariantDelivery,
    first_variant,
    is_whole,
    knows_fixes,
    own_contents,
    own_keys,
    state_of_other_variants,
    variant_deliveries,
    variants_with,
    write_contents,
    write_first_variant,
    write_variant,
)
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk, Variant
from pipeline.model import Api, digest
from pipeline.tables.mapped_chunk import MappedChunk, OriginOfRow

# What is delivered, or was: of other rows nobody asks which variant they are.
_COUNTS = (RowDecision.DUE, RowDecision.ALREADY_SUCCEEDED, RowDecision.UNCHANGED, RowDecision.DUPLICATE_ROW)
# The places of the first row and of its variant.
_Known = tuple[int, int]
_Pair = tuple[str, bytes]


class Recognition:
    """What a run knows of rows that were fixed before it; nothing is looked up where none ever was."""

    def __init__(self, connection: sqlite3.Connection, run: RunRecord) -> None:
        self._run = run
        self._knows_fixes = knows_fixes(connection, run)
        self._keys = own_keys(connection, run) if self._knows_fixes else set()
        self._taken = _Taken()

    def judge(
        self, connection: sqlite3.Connection, staged: StagedChunk, mapped: MappedChunk
    ) -> dict[int, VariantDelivery]:
        """
        Skip the rows of a leaf whose fix was delivered, and note what its fixed rows are variants of.

        Returns by the places of the skipped rows what was delivered in their stead. `connection` is only read.
        """
        candidates = self._candidates(staged, mapped)
        if not candidates:
            return {}
        chunk = _Candidates(connection, self._run, staged, mapped, candidates, self._taken)
        for at, origin in mapped.origins.items():
            if chunk.is_as_first(at):
                chunk.note_unchanged(at, origin)
            else:
                chunk.judge_fix(at, origin)
        return {at: line for at in candidates if (line := chunk.judge_unfixed(at)) is not None}

    def _candidates(self, staged: StagedChunk, mapped: MappedChunk) -> list[int]:
        """Return the places of rows that stand for another row, or may be one that was fixed: by key, or invalid."""
        found = set(mapped.origins)
        if self._knows_fixes:
            found.update(staged.faults)
            keys = staged.rows.values("request_key")
            found.update(at for at, key in enumerate(keys) if key in self._keys)
        return sorted(found)


@dataclass(slots=True)
class _Taken:
    """
    Which rows of a run were found to be which fixed row, by the place of the first row.

    `unfixed` are those found in an export, `fixed` those that came back fixed, each with the place of its origin.
    """

    unfixed: set[int] = field(default_factory=set)
    fixed: dict[int, int] = field(default_factory=dict)


class _Candidates:
    """
    Rows of one leaf that may be variants of rows that were fixed, with all that is known of these.

    `taken` says which rows of the run were found to be which fixed row.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        run: RunRecord,
        staged: StagedChunk,
        mapped: MappedChunk,
        places: Sequence[int],
        taken: "_Taken",
    ) -> None:
        self._run = run
        self._taken = taken
        self._chunk = staged
        self._contents = {at: mapped.contents(at) for at in places}
        self._parts = dict(_parts_of(staged, set(places)))
        stood_for = {at: position(origin.run_no, origin.row_no) for at, origin in mapped.origins.items()}
        known = own_contents(
            connection, {stood_for[at] for at, origin in mapped.origins.items() if not origin.contents}
        )
        self._said_first = {at: origin.contents or known[stood_for[at]] for at, origin in mapped.origins.items()}
        said = [*self._contents.values(), *self._said_first.values()]
        self._variants = variants_with(connection, run, {content for several in said for content in several})
        firsts = {first for known in self._variants.values() for first, _ in known}
        self._lines = variant_deliveries(connection, run, firsts | set(stood_for.values()))
        self._connection = connection

    def is_as_first(self, at: int) -> bool:
        """Return whether a row says what the row said that it is to fix."""
        return not set(self._contents[at]).isdisjoint(self._said_first[at])

    def note_unchanged(self, at: int, origin: OriginOfRow) -> None:
        """Note a row that came back as it was: it may go out, or be left out, while another variant of it does."""
        if self._chunk.decisions[at] == RowDecision.DUE:
            place = position(self._run.run_no, self._chunk.first_row_no + at)
            first = position(origin.run_no, origin.row_no)
            self._chunk.variants[at] = Variant(first, place, self._parts_at(at), (), origin)

    def judge_fix(self, at: int, origin: OriginOfRow) -> None:
        """Note a fixed row as a variant; skip it where it was delivered before, refuse it where another one was."""
        staged, first = self._chunk, self._first_of(at, origin)
        if staged.decisions[at] != RowDecision.DUE:
            return
        row = (origin.run_no, origin.row_no)
        lines = [*self._lines.get(first, ()), *first_variant(self._connection, self._run, first, row)]
        same = {variant for one, variant in self._known(at) if one == first and variant != first}
        if any(is_whole(lines, variant) for variant in same):
            staged.decisions[at] = RowDecision.ALREADY_SUCCEEDED
            return
        place = position(self._run.run_no, staged.first_row_no + at)
        standing = state_of_other_variants(lines, place, self._pairs(at))
        if standing is OtherVariants.DELIVERED and self._run.api is Api.CUMULATION:
            staged.refuse(at, DELIVERED_OTHERWISE.message)
            return
        staged.variants[at] = Variant(first, place, self._parts_at(at), self._contents[at], origin)

    def judge_unfixed(self, at: int) -> VariantDelivery | None:
        """Skip a row that was fixed, where a fix was delivered, and return that; else let it wait for an open fix."""
        staged = self._chunk
        if staged.decisions[at] not in (RowDecision.DUE, RowDecision.INVALID):
            return None
        for first in self._firsts(at):
            lines = self._lines.get(first, [])
            own = self._pairs(at) | {line.pair for line in lines if line.variant == first}
            standing = state_of_other_variants(lines, first, own)
            if standing is OtherVariants.DELIVERED:
                self._taken.unfixed.add(first)
                staged.decisions[at] = RowDecision.FIXED_ALREADY
                staged.faults.pop(at, None)
                place = position(self._run.run_no, staged.first_row_no + at)
                staged.variants[at] = Variant(first, place, (), self._contents[at])
                return next(line for line in lines if line.variant != first and _counts(line))
            if standing is OtherVariants.OPEN and staged.decisions[at] == RowDecision.DUE:
                staged.variants[at] = Variant(first, first, self._parts_at(at))
        return None

    def _first_of(self, at: int, origin: OriginOfRow) -> int:
        """
        Return the place of the first row that a fixed row stands for.

        That is its origin; but a row of an earlier run that says the same, and was fixed, is the same row, unless
        another row of the origin's run was found to be that.
        """
        place = position(origin.run_no, origin.row_no)
        known = [known for content in self._said_first[at] for known in self._variants.get(content, ())]
        firsts = sorted({first for first, variant in known if first == variant})
        if place in firsts:
            return place
        others = {first for first, variant in known if variant >> ROW_BITS == origin.run_no and variant != place}
        for first in firsts:
            if first not in others and self._taken.fixed.setdefault(first, place) == place:
                return first
        return place

    def _firsts(self, at: int) -> list[int]:
        """
        Return the places of the rows that were fixed and that this row may be.

        Of invalid rows that say the same each is one: nobody may have fixed as many as there are.
        """
        firsts = dict.fromkeys(first for first, variant in self._known(at) if first == variant)
        is_invalid = self._chunk.decisions[at] == RowDecision.INVALID
        return [first for first in firsts if not (is_invalid and first in self._taken.unfixed)]

    def _known(self, at: int) -> Iterator[_Known]:
        for content in self._contents[at]:
            yield from self._variants.get(content, ())

    def _parts_at(self, at: int) -> tuple[tuple[object, ...], ...]:
        return tuple(self._parts.get(at, ()))

    def _pairs(self, at: int) -> set[_Pair]:
        return {(str(identity), bytes(content)) for _, identity, content, *_ in self._parts.get(at, ())}  # type: ignore[call-overload]


def _counts(line: VariantDelivery) -> bool:
    return line.state is DeliveryState.SUCCEEDED and line.is_current


def _parts_of(staged: StagedChunk, places: set[int]) -> Mapping[int, list[tuple[object, ...]]]:
    """Return what the deliveries of some rows are, by their places: part, identity, digest, and what a balance says."""
    found: dict[int, list[tuple[object, ...]]] = {}
    columns = [staged.parts.values(name) for name in ("at", "part", "identity", "digest", "card", "points", "version")]
    bodies = staged.parts.values("body")
    for n, (at, part, identity, content, *balance) in enumerate(zip(*columns, strict=True)):
        if at in places:
            found.setdefault(at, []).append((part, identity, content or digest(bodies[n]), *balance))
    return found


def write_variants(connection: sqlite3.Connection, run: RunRecord, staged: StagedChunk) -> None:
    """Write the variants that a leaf's rows are, where they count or may count."""
    if not staged.variants:
        return
    parts = _parts_of(staged, {at for at in staged.variants if staged.decisions[at] in _COUNTS})
    for at, noted in staged.variants.items():
        if staged.decisions[at] == RowDecision.FIXED_ALREADY:
            # A row of this run is that row: no other one is.
            write_contents(connection, run, origin=noted.first, variant=noted.place, contents=noted.contents)
        if staged.decisions[at] not in _COUNTS:
            continue
        if noted.origin is not None and noted.contents:
            row = (noted.origin.run_no, noted.origin.row_no)
            first, key = noted.origin.contents, noted.origin.request_key
            write_contents(connection, run, origin=noted.first, variant=noted.first, contents=first, key=key)
            write_first_variant(connection, run, noted.first, row)
            write_contents(connection, run, origin=noted.first, variant=noted.place, contents=noted.contents)
        # A balance that came back was given another key meanwhile, and a state its place among those of its object.
        write_variant(connection, run, noted.first, noted.place, parts.get(at, noted.parts))
