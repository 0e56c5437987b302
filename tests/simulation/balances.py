"""Promises about balances: no older one after a newer one, and true reports."""

import json
from collections import defaultdict
from collections.abc import Iterator

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
from tests.simulation.history import Evidence
from tests.simulation.platform import Entry


def check_balances(evidence: Evidence) -> None:
    """Raise Broken for the first promise about balances that the evidence contradicts."""
    _no_older_after_a_newer(evidence)
    _unchanged_is_held(evidence)
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
    cards = _by_card(evidence)
    for result, lines in reports(evidence):
        began = min(other.began_at for other in evidence.results if other.run_id == result.run_id)
        for line in (line for line in lines if line["code"] == "unchanged"):
            row = row_of(evidence, line)
            held = list(_held(cards[row["user_card_code"]], began, result.ended_at))
            if row["point_balance"] not in held:
                raise Broken(f"{result.run_id} row {line['source_row']}: unchanged, and the platform held {held}")


def _held(entries: list[Entry], begins: float, ends: float) -> Iterator[str]:
    """Yield the balances that the platform holds between two times."""
    effective = effective_requests(entries)
    before = [entry for entry in effective if entry.sent_at < begins]
    for entry in before[-1:] + [entry for entry in effective if begins <= entry.sent_at <= ends]:
        yield _points(entry)


def _points(entry: Entry) -> str:
    return str(json.loads(entry.body)["point_balance"])


def _the_last_one_holds(evidence: Evidence) -> None:
    """At the end the platform holds, for each card, the last balance of the export."""
    cards = _by_card(evidence)
    for job in evidence.scenario.jobs:
        for card, row in _newest(exports(evidence, job)[-1]).items():
            sent = cards[card]
            if row["out_request_no"] in evidence.scenario.refusals or _is_any_refused(sent):
                continue
            effective = effective_requests(sent)
            if _is_followed_by_another_run(evidence, effective, row["out_request_no"]):
                continue
            if not effective:
                raise Broken(f"card {card}: nothing was ever accepted, and {row['point_balance']} is due")
            if _points(effective[-1]) != row["point_balance"]:
                raise Broken(f"card {card}: {_points(effective[-1])} was set last, not {row['point_balance']}")


def _is_followed_by_another_run(evidence: Evidence, effective: list[Entry], own_key: str) -> bool:
    """
    Return whether another balance followed this one of a key of its own, from a run that did not know it.

    Such a run read an export in part, or ran an older export after a resync. The key is delivered, so the platform
    would not act on it again.
    """
    keys = [entry.key for entry in effective]
    if own_key not in keys:
        return False
    own, *later = effective[keys.index(own_key) :]
    in_part = read_in_part(evidence)
    return any(
        run_of(evidence, entry) in in_part or is_resynced_between(evidence, own.sent_at, entry.sent_at)
        for entry in later
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
