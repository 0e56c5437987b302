"""Promises about balances: no older one after a newer one, and true reports."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.contradictions import contradicted_cards
from tests.simulation.evidence import (
    Age,
    Broken,
    Line,
    effective_requests,
    exports,
    is_resynced_between,
    lane_of,
    lines_of_runs,
    place_of,
    read_in_part,
    reports,
    row_of,
    run_of,
)
from tests.simulation.history import CommandResult, Evidence
from tests.simulation.platform import Entry


def check_balances(evidence: Evidence) -> None:
    """Raise Broken for the first promise about balances that the evidence contradicts."""
    _no_older_after_a_newer(evidence)
    if evidence.scenario.trusted_for is None:
        _unchanged_is_held(evidence)
    else:
        _succeeded_is_held(evidence)
        _unchanged_is_recent(evidence)
    _the_last_one_holds(evidence)


def _by_card(evidence: Evidence) -> dict[str, list[Entry]]:
    cards: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        cards[lane_of(evidence, entry)[1]].append(entry)
    return cards


def _no_older_after_a_newer(evidence: Evidence) -> None:
    """
    After a balance of a card may be applied, no balance that the exports have before it is sent.

    A resync trusts nothing that was sent before: the next export counts as the newest.
    """
    ages = _ages(evidence)
    for card, entries in _by_card(evidence).items():
        newest, newest_key = Age("", (0, 0)), ""
        last_sent_at = 0.0
        for entry in entries:
            if is_resynced_between(evidence, last_sent_at, entry.sent_at):
                newest, newest_key = Age("", (0, 0)), ""
            last_sent_at = entry.sent_at
            age = ages.get((run_of(evidence, entry), entry.key), newest)
            # The same balance again changes nothing.
            if age.is_older(newest) and entry.key != newest_key:
                raise Broken(f"card {card}: {entry.key} was sent after a newer balance")
            if entry.decided == "accepted" and not age.is_older(newest):
                newest, newest_key = age, entry.key


def _ages(evidence: Evidence) -> dict[tuple[str, str], Age]:
    """
    Return the age of each balance that a run sends under a key; of equal rows the newest.

    Runs that read an export in part are left out: they know no newer row.
    """
    ages: dict[tuple[str, str], Age] = {}
    in_part = read_in_part(evidence)
    for run_id, lines in lines_of_runs(evidence).items():
        if run_id in in_part:
            continue
        for line in lines:
            key, age = (run_id, line["request_key"]), _age(row_of(evidence, line), place_of(line))
            ages[key] = age if ages.get(key, age).is_older(age) else ages.get(key, age)
    return ages


def _age(row: Line, place: tuple[int, int]) -> Age:
    changed_at = row["updated_at"]
    return Age(changed_at if changed_at.isprintable() else "", place)


def _unchanged_is_held(evidence: Evidence) -> None:
    """A balance is `unchanged` only if the platform holds it at some time of the run."""
    for result, line in _lines(evidence, code="unchanged"):
        _is_held(evidence, result, line)


def _succeeded_is_held(evidence: Evidence) -> None:
    """
    If others send too, a balance of an export has succeeded only if the platform holds it at some time of the run.

    An answer from memory would not do: another balance may have been sent since. Excepted are reruns, which settle
    doubt, and keys of an export that the ledger has lost.
    """
    for result, line in _lines(evidence, code="SUCCESS"):
        is_known = not evidence.losses or not row_of(evidence, line)["out_request_no"]
        if is_known and not _is_rerun(evidence, result):
            _is_held(evidence, result, line)


def _unchanged_is_recent(evidence: Evidence) -> None:
    """
    If others send too, a balance is `unchanged` only if this program set it less than `trusted_for` ago.

    A resync trusts nothing that was set before.
    """
    assert evidence.scenario.trusted_for is not None
    trusted_for = evidence.scenario.trusted_for.total_seconds()
    for result, line in _lines(evidence, code="unchanged"):
        row, began = row_of(evidence, line), _began(evidence, result)
        own = [change for change in _changes(evidence, row["user_card_code"]) if change.entry is not None]
        set_at = [change.at for change in own if change.points == row["point_balance"]]
        recent = [at for at in set_at if began - trusted_for < at <= result.ended_at]
        if all(is_resynced_between(evidence, at, began) for at in recent):
            raise Broken(f"{result.run_id} row {line['source_row']}: unchanged at {began}, and set at {set_at}")


def _lines(evidence: Evidence, code: str) -> Iterator[tuple[CommandResult, Line]]:
    for result, lines in reports(evidence):
        yield from ((result, line) for line in lines if line["code"] == code)


def _began(evidence: Evidence, result: CommandResult) -> float:
    """Return when the first command of a run began."""
    return min(other.began_at for other in evidence.results if other.run_id == result.run_id)


def _is_rerun(evidence: Evidence, result: CommandResult) -> bool:
    """Return whether a run is a rerun, maybe a resumed one."""
    return any(other.step.verb == "rerun" for other in evidence.results if other.run_id == result.run_id)


def _is_held(evidence: Evidence, result: CommandResult, line: Line) -> None:
    row = row_of(evidence, line)
    held = list(_held(_changes(evidence, row["user_card_code"]), _began(evidence, result), result.ended_at))
    if row["point_balance"] not in held:
        raise Broken(f"{result.run_id} row {line['source_row']}: {line['code']}, and the platform held {held}")


@dataclass(frozen=True, slots=True)
class _BalanceChange:
    """A change of the balance that the platform holds for a card; `entry` is None if the online system made it."""

    at: float
    points: str
    entry: Entry | None = None


def _changes(evidence: Evidence, card: str) -> list[_BalanceChange]:
    """Return the changes of a card's balance, in order."""
    own = effective_requests([entry for entry in evidence.journal.entries if lane_of(evidence, entry)[1] == card])
    online = [_BalanceChange(each.at, each.points) for each in evidence.journal.online if each.card == card]
    changes = [*(_BalanceChange(entry.sent_at, _points(entry), entry) for entry in own), *online]
    return sorted(changes, key=lambda change: change.at)


def _held(changes: list[_BalanceChange], begins: float, ends: float) -> Iterator[str]:
    """Yield the balances that the platform holds between two times."""
    before = [change for change in changes if change.at < begins]
    for change in before[-1:] + [change for change in changes if begins <= change.at <= ends]:
        yield change.points


def _points(entry: Entry) -> str:
    return str(json.loads(entry.body)["point_balance"])


def _the_last_one_holds(evidence: Evidence) -> None:
    """At the end the platform holds, for each card, the last balance of the export."""
    cards = _by_card(evidence)
    for job in evidence.scenario.jobs:
        for card, row in _newest(exports(evidence, job)[-1]).items():
            if row["out_request_no"] in evidence.scenario.refusals or _is_any_refused(cards[card]):
                continue
            changes = _changes(evidence, card)
            if _is_followed_by_another(evidence, changes, row["out_request_no"]):
                continue
            if not changes:
                raise Broken(f"card {card}: nothing was ever accepted, and {row['point_balance']} is due")
            if changes[-1].points != row["point_balance"]:
                raise Broken(f"card {card}: {changes[-1].points} was set last, not {row['point_balance']}")


def _is_followed_by_another(evidence: Evidence, changes: list[_BalanceChange], own_key: str) -> bool:
    """
    Return whether another balance followed this one of a key of its own, from a run that did not know it.

    Such a run read an export in part, or ran an older export after a resync; or the online system sent it. The key is
    delivered, so the platform would not act on it again.
    """
    keys = [change.entry.key if change.entry else "" for change in changes]
    if not own_key or own_key not in keys:
        return False
    own, *later = changes[keys.index(own_key) :]
    in_part = read_in_part(evidence)
    return any(
        change.entry is None
        or run_of(evidence, change.entry) in in_part
        or is_resynced_between(evidence, own.at, change.at)
        for change in later
    )


def _newest(rows: list[Line]) -> dict[str, Line]:
    newest: dict[str, tuple[Age, Line]] = {}
    sendable = [row for row in rows if _is_sendable(row)]
    contradicted = contradicted_cards(sendable)
    for n, row in enumerate(sendable):
        age, card = _age(row, (0, n)), row["user_card_code"]
        if card not in contradicted and (card not in newest or newest[card][0].is_older(age)):
            newest[card] = (age, row)
    return {card: row for card, (_, row) in newest.items()}


def _is_sendable(row: Line) -> bool:
    return all(value.isprintable() for value in row.values()) and bool(row["openid"])


def _is_any_refused(sent: list[Entry]) -> bool:
    return any(entry.decided in ("refused", "conflict") for entry in sent)
