"""The promise about totals: they are what the platform has, as far as all rows of an agreement are settled."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal

from pipeline.model import Export
from tests.simulation.evidence import Broken, Line, exports, read, reports, row_of
from tests.simulation.history import FIRST_TOTALS_NAME, TOTALS_NAME, Evidence

# Reports, tasks, amount and discount.
_MEASURES = ("reports", "tasks", "amount", "discount")
# The sums of one agreement, by direction and measure.
_Sums = dict[tuple[str, str], Decimal]


def check_totals(evidence: Evidence) -> None:
    """
    Raise Broken if the totals are not those of what the platform applied.

    Forward and reverse, the platform has all that succeeded, and at most what is unknown besides: before the last
    reruns, and after them. A ledger that was lost may not know of reports that the platform has.
    """
    if evidence.first_applied is not None:
        _sums_are_those_of(evidence.first_applied, read(evidence.folder / FIRST_TOTALS_NAME), is_whole=True)
    lines = read(evidence.folder / TOTALS_NAME)
    _sums_are_those_of(evidence.journal.applied, lines, is_whole=not evidence.losses)
    if not evidence.losses:
        _each_row_counts_once(evidence, lines)
    _open_rows_decide(evidence, lines)


def _sums_are_those_of(bodies: Mapping[str, str], lines: list[Line], *, is_whole: bool) -> None:
    """Raise Broken if the sums are not those of the applied bodies. `is_whole`: the ledger knows all of them."""
    succeeded, unknown = (_sums(lines, status) for status in ("succeeded", "unknown"))
    applied = _applied(bodies)
    for agreement in {*applied, *succeeded, *unknown}:
        for key in {*applied[agreement], *succeeded[agreement], *unknown[agreement]}:
            least, has = succeeded[agreement][key], applied[agreement][key]
            most = least + unknown[agreement][key] if is_whole else has
            if not least <= has <= most:
                raise Broken(f"totals of {agreement}: {key} is {least} to {most}, and the platform has {has}")


def _sums(lines: list[Line], status: str) -> dict[str, _Sums]:
    sums: dict[str, _Sums] = defaultdict(lambda: defaultdict(Decimal))
    for line in lines:
        if line["status"] == status:
            if line["agreement_no"] in sums:
                raise Broken(f"totals of {line['agreement_no']}: two lines are {status}")
            of_agreement = sums[line["agreement_no"]]
            for measure in _MEASURES:
                reverse = Decimal(line[f"reverse_{measure}"])
                of_agreement["reverse", measure] += reverse
                of_agreement["forward", measure] += Decimal(line[measure]) + reverse
    return sums


def _applied(bodies: Mapping[str, str]) -> dict[str, _Sums]:
    sums: dict[str, _Sums] = defaultdict(lambda: defaultdict(Decimal))
    for body in bodies.values():
        fields = json.loads(body)
        direction = "reverse" if fields["biz_action"] == "ORDER_REFUND" else "forward"
        amounts = fields.get("amount_type_data", {})
        of_agreement = sums[fields["agreement_no"]]
        of_agreement[direction, "reports"] += 1
        of_agreement[direction, "tasks"] += "task_type_data" in fields
        of_agreement[direction, "amount"] += Decimal(amounts.get("trade_info", {}).get("amount", 0))
        for discount in amounts.get("out_discount_infos", []):
            of_agreement[direction, "discount"] += Decimal(discount["discount_amount"])
    return sums


def _each_row_counts_once(evidence: Evidence, lines: list[Line]) -> None:
    """
    A row counts once, also if it was fixed or given another key, whatever its status.

    A row and its fix may both wait until one of them is sent.
    """
    is_left_out = ("invalid", "blocked", "unsent") if evidence.scenario.fixes else ("invalid",)
    counted: Counter[str] = Counter()
    for line in lines:
        if line["status"] not in is_left_out:
            counted[line["agreement_no"]] += int(line["reports"]) + 2 * int(line["reverse_reports"])
    forms = {
        (row["agreement_no"], row["out_biz_no"], row.get("times") or "1")
        for job in evidence.scenario.jobs
        for day in exports(evidence, job)
        for row in day
    }
    rows: Counter[str] = Counter()
    for agreement, _, times in forms:
        rows[agreement] += int(times) if evidence.scenario.export is Export.TASKS else 1
    for agreement, count in counted.items():
        if count > rows[agreement]:
            raise Broken(f"totals of {agreement}: {count} reports, and its exports have {rows[agreement]} rows")


def _open_rows_decide(evidence: Evidence, lines: list[Line]) -> None:
    """
    Totals are final only if the last reports have no open row of the agreement; then no row is left to be sent.

    A row that was invalid once, because its key had other content, stays in the totals. An invalid row does not count
    if a valid row of another day has its key, or a row that was fixed.
    """
    by_agreement: dict[str, set[str]] = defaultdict(set)
    unclear: set[str] = set()
    for job in evidence.scenario.jobs:
        last = [of_job for result, of_job in reports(evidence) if result.step.job == job][-1]
        fixed = {row_of(evidence, line)["out_biz_no"] for line in last if line["code"] == "fixed_already"}
        for line in last:
            agreement, key = (row_of(evidence, line)[name] for name in ("agreement_no", "out_biz_no"))
            if line["status"] == "invalid" and (key in fixed or _has_valid_row(evidence, key)):
                unclear.add(agreement)
            elif evidence.scenario.fixes and line["code"] == "key_conflict":
                # A fixed row counts as its fix does; under the key may also be other content that is not done.
                unclear.add(agreement)
            else:
                by_agreement[agreement].add(line["status"])
    has_all_rows = evidence.scenario.days == 1 and not evidence.losses
    for line in lines:
        open_statuses = by_agreement[line["agreement_no"]] - {"succeeded", "skipped"}
        if line["final"] == "true" and open_statuses:
            raise Broken(f"totals of {line['agreement_no']} are final, and it has rows that are {open_statuses}")
        is_known = has_all_rows and line["agreement_no"] not in unclear
        if line["status"] not in ("succeeded", "invalid") and is_known and not open_statuses:
            raise Broken(f"totals of {line['agreement_no']} have {line['status']} rows, and all its rows are done")


def _has_valid_row(evidence: Evidence, key: str) -> bool:
    """Return whether a report was sent under the key of a row."""
    return any(entry.identity in (key, f"{key}-1") for entry in evidence.journal.entries)
