"""Rows of a staged run that were fixed: recognises rows of an export whose fix was delivered, and notes new fixes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import ROW_BITS, RunRecord, position
from pipeline.ledger.rules.fixes import (
    OtherVariants,
    VariantDelivery,
    delivered_otherwise,
    first_variant,
    is_whole,
    knows_fixes,
    own_contents,
    own_keys,
    same_rows,
    state_of_other_variants,
    variant_deliveries,
    variants_with,
    write_contents,
    write_first_variant,
    write_variant,
)
from pipeline.ledger.staging.staged_chunk import RowDecision, StagedChunk, Variant
from pipeline.ledger.store.port import Connection
from pipeline.model import Api, digest
from pipeline.tables.mapped_chunk import MappedChunk, OriginOfRow

# Decisions of rows that are delivered, or were: only of these rows variants are written.
_COUNTS = (RowDecision.DUE, RowDecision.ALREADY_SUCCEEDED, RowDecision.UNCHANGED, RowDecision.DUPLICATE_ROW)
# The positions of the first row and of its variant.
_KnownVariant = tuple[int, int]
# The identity and the digest of a delivery.
_Pair = tuple[str, bytes]


class Recognition:
    """
    What a run knows of rows that were fixed before it. It looks up nothing if no row ever was.

    `unfixed` are fixed rows that earlier rows of the run were found to be: see `Taken`.
    """

    def __init__(self, connection: Connection, run: RunRecord, unfixed: frozenset[int] = frozenset()) -> None:
        self._run = run
        self._knows_fixes = knows_fixes(connection, run)
        self._keys = own_keys(connection, run) if self._knows_fixes else set()
        self.taken = Taken(set(unfixed))

    def judge(self, connection: Connection, staged: StagedChunk, mapped: MappedChunk) -> dict[int, VariantDelivery]:
        """
        Skip the rows of a chunk whose fix was delivered, and note what its fixed rows are variants of.

        Returns what was delivered instead of skipped rows, by index. `connection` is only read.
        """
        candidates = self._candidates(staged, mapped)
        if not candidates:
            return {}
        chunk = _Candidates(connection, self._run, staged, mapped, candidates, self.taken)
        for at, origin in mapped.origins.items():
            if chunk.is_as_first(at):
                chunk.note_unchanged(at, origin)
            else:
                chunk.judge_fix(at, origin)
        return {at: delivery for at in candidates if (delivery := chunk.judge_unfixed(at)) is not None}

    def _candidates(self, staged: StagedChunk, mapped: MappedChunk) -> list[int]:
        """Return the indexes of fixed rows, and of rows that may have been fixed: by key, or since they are invalid."""
        found = set(mapped.origins)
        if self._knows_fixes:
            found.update(staged.faults)
            keys = staged.rows.values("request_key")
            found.update(at for at, key in enumerate(keys) if key in self._keys)
        return sorted(found)


@dataclass(slots=True)
class Taken:
    """
    Which rows of a run were found to be which fixed row, by the position of the first row.

    `unfixed` are rows of an export, `fixed` are rows that came back fixed, with the position of their origin.
    """

    unfixed: set[int] = field(default_factory=set)
    fixed: dict[int, int] = field(default_factory=dict)


class _Candidates:
    """
    The rows of one chunk that may be variants of fixed rows, with all that is known of those.

    `taken` are the rows of the run that were found to be a fixed row.
    """

    def __init__(
        self,
        connection: Connection,
        run: RunRecord,
        staged: StagedChunk,
        mapped: MappedChunk,
        indexes: Sequence[int],
        taken: "Taken",
    ) -> None:
        self._run = run
        self._taken = taken
        self._chunk = staged
        self._contents = {at: mapped.contents(at) for at in indexes}
        self._parts = dict(_parts_of(staged, set(indexes)))
        origins = {at: position(origin.run_no, origin.row_no) for at, origin in mapped.origins.items()}
        known = own_contents(connection, {origins[at] for at, origin in mapped.origins.items() if not origin.contents})
        self._first_contents = {at: origin.contents or known[origins[at]] for at, origin in mapped.origins.items()}
        all_contents = [*self._contents.values(), *self._first_contents.values()]
        self._variants = variants_with(connection, run, {content for contents in all_contents for content in contents})
        firsts = {first for known_variants in self._variants.values() for first, _ in known_variants}
        self._deliveries = variant_deliveries(connection, run, firsts | set(origins.values()))
        self._connection = connection

    def is_as_first(self, at: int) -> bool:
        """Return whether a fixed row says what its origin said."""
        return not set(self._contents[at]).isdisjoint(self._first_contents[at])

    def note_unchanged(self, at: int, origin: OriginOfRow) -> None:
        """Note a fixed row without a change: whether it is sent depends on the other variants of its origin."""
        if self._chunk.decisions[at] == RowDecision.DUE:
            own = position(self._run.run_no, self._chunk.first_row_no + at)
            first = position(origin.run_no, origin.row_no)
            self._chunk.variants[at] = Variant(first, own, self._parts_at(at), (), origin)

    def judge_fix(self, at: int, origin: OriginOfRow) -> None:
        """Note a fixed row as a variant; skip it if it was delivered before, refuse it if another variant was."""
        staged, first = self._chunk, self._first_of(at, origin)
        if staged.decisions[at] != RowDecision.DUE:
            return
        row = (origin.run_no, origin.row_no)
        deliveries = [
            *self._deliveries.get(first, ()),
            *first_variant(self._connection, self._run, first, row),
            *same_rows(self._connection, self._run, first, row, origin.payloads).deliveries,
        ]
        same = {variant for one, variant in self._known(at) if one == first and variant != first}
        if any(is_whole(deliveries, variant) for variant in same):
            staged.decisions[at] = RowDecision.ALREADY_SUCCEEDED
            return
        own = position(self._run.run_no, staged.first_row_no + at)
        others = state_of_other_variants(deliveries, own, self._pairs(at))
        if others is OtherVariants.DELIVERED and self._run.api is Api.CUMULATION:
            staged.refuse(at, delivered_otherwise())
            return
        staged.variants[at] = Variant(first, own, self._parts_at(at), self._contents[at], origin)

    def judge_unfixed(self, at: int) -> VariantDelivery | None:
        """Skip a row whose fix was delivered, and return that delivery; let a row wait whose fix is open."""
        staged = self._chunk
        if staged.decisions[at] not in (RowDecision.DUE, RowDecision.INVALID):
            return None
        own = position(self._run.run_no, staged.first_row_no + at)
        for first in self._firsts(at):
            deliveries = self._deliveries.get(first, [])
            pairs = self._pairs(at) | {delivery.pair for delivery in deliveries if delivery.variant == first}
            others = state_of_other_variants(deliveries, first, pairs)
            if others is OtherVariants.DELIVERED:
                self._taken.unfixed.add(first)
                staged.decisions[at] = RowDecision.FIXED_ALREADY
                staged.faults.pop(at, None)
                staged.variants[at] = Variant(first, own, (), self._contents[at])
                return next(delivery for delivery in deliveries if delivery.variant != first and delivery.counts)
            if staged.decisions[at] != RowDecision.DUE:
                continue
            if others is OtherVariants.OPEN:
                staged.variants[at] = Variant(first, first, self._parts_at(at), self._contents[at])
            elif at not in staged.variants:
                # The fix may be delivered before this row is sent.
                staged.variants[at] = Variant(first, own, (), self._contents[at])
        return None

    def _first_of(self, at: int, origin: OriginOfRow) -> int:
        """
        Return the position of the first row that a fixed row stands for.

        That is its origin. But if a row of an earlier run says the same and was fixed, the origin is that row once
        more, unless another row of the origin's run was found to be it.
        """
        own = position(origin.run_no, origin.row_no)
        known = [variant for content in self._first_contents[at] for variant in self._variants.get(content, ())]
        firsts = sorted({first for first, variant in known if first == variant})
        if own in firsts:
            return own
        others = {first for first, variant in known if variant >> ROW_BITS == origin.run_no and variant != own}
        for first in firsts:
            if first not in others and self._taken.fixed.setdefault(first, own) == own:
                return first
        return own

    def _firsts(self, at: int) -> list[int]:
        """
        Return the positions of the fixed rows that this row may be.

        Each invalid row is a different one, also where several say the same: not all of them may have been fixed.
        """
        firsts = dict.fromkeys(first for first, variant in self._known(at) if first == variant)
        is_invalid = self._chunk.decisions[at] == RowDecision.INVALID
        return [first for first in firsts if not (is_invalid and first in self._taken.unfixed)]

    def _known(self, at: int) -> Iterator[_KnownVariant]:
        for content in self._contents[at]:
            yield from self._variants.get(content, ())

    def _parts_at(self, at: int) -> tuple[tuple[object, ...], ...]:
        return tuple(self._parts.get(at, ()))

    def _pairs(self, at: int) -> set[_Pair]:
        return {(str(identity), bytes(content)) for _, identity, content, *_ in self._parts.get(at, ())}  # type: ignore[call-overload]


def _parts_of(staged: StagedChunk, indexes: set[int]) -> Mapping[int, list[tuple[object, ...]]]:
    """Return part, identity, digest, card, points and version of the deliveries of some rows, by index."""
    found: dict[int, list[tuple[object, ...]]] = {}
    columns = [staged.parts.values(name) for name in ("at", "part", "identity", "digest", "card", "points", "version")]
    bodies = staged.parts.values("body")
    for n, (at, part, identity, content, *balance) in enumerate(zip(*columns, strict=True)):
        if at in indexes:
            found.setdefault(at, []).append((part, identity, content or digest(bodies[n]), *balance))
    return found


def write_variants(connection: Connection, run: RunRecord, staged: StagedChunk) -> None:
    """Write the variants of a chunk's rows that are delivered or may be."""
    if not staged.variants:
        return
    parts = _parts_of(staged, {at for at in staged.variants if staged.decisions[at] in _COUNTS})
    for at, noted in staged.variants.items():
        decision = staged.decisions[at]
        if noted.origin is None and decision in (RowDecision.FIXED_ALREADY, RowDecision.DUE):
            # This row is the fixed row, so no other row of the run is.
            own = position(run.run_no, staged.first_row_no + at)
            write_contents(connection, run, origin=noted.first, variant=own, contents=noted.contents)
        if decision not in _COUNTS or not (noted.origin or noted.waits):
            continue
        if noted.origin is not None:
            _write_origin(connection, run, noted, noted.origin)
        # The decision may have given a balance another key, and a state another identity: these are written.
        write_variant(connection, run, noted.first, noted.position, parts.get(at, noted.parts))


def _write_origin(connection: Connection, run: RunRecord, fixed: Variant, origin: OriginOfRow) -> None:
    """Write what is known of the row that a fixed row stands for."""
    first, contents = fixed.first, origin.contents
    # Also where the row came back as it was: a row of another run may say the same, and be fixed later.
    write_contents(connection, run, origin=first, variant=first, contents=contents, key=origin.request_key)
    if not fixed.contents:
        return
    row = (origin.run_no, origin.row_no)
    write_first_variant(connection, run, first, row)
    same = same_rows(connection, run, first, row, origin.payloads)
    write_variant(connection, run, first, first, (each.as_part for each in same.deliveries))
    for own in same.positions:
        write_contents(connection, run, origin=first, variant=own, contents=contents)
    write_contents(connection, run, origin=first, variant=fixed.position, contents=fixed.contents)
