"""
Holds the reports of runs against what the simulated platform says of itself.

    python sample_data/audit.py URL REPORTS

Prints the platform's own account, and ends with 1 where it contradicts the reports or what `backfill` promises: more
than 5 points requests in one second, a key applied twice, a success that was none, something applied and not reported.
"""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

POINTS = "wechatpay.points"
STATE = "alipay.state"
POINTS_PER_SECOND = 5


def main(url: str, reports: str) -> int:
    """Tell what the platform saw; return the exit code."""
    journal, summary = _ask(url, "journal"), _ask(url, "summary")
    for line in account(journal, summary):
        _tell(f"  {line}")
    faults = [*broken_promises(journal, summary), *contradictions(journal, Path(reports))]
    for fault in faults:
        _tell(f"  WRONG: {fault}")
    if not faults:
        _tell("  no key was applied twice, and what the reports call succeeded is what was applied: nothing else")
    return 1 if faults else 0


def account(journal: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each API, and one for the faults."""
    for peak in summary["peaks"]:
        decisions = Counter(entry["decision"] for entry in journal if entry["api"] == peak["api"])
        told = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
        yield f"{peak['api']:<18} at most {peak['requests_in_one_second']:>2} requests in any second; {told}"
    faults = ", ".join(f"{count} {kind}" for kind, count in summary["faults"].items())
    yield f"{'faults':<18} {faults}"


def broken_promises(journal: Iterable[Mapping[str, Any]], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield what should never happen, whatever the reports say."""
    for peak in summary["peaks"]:
        if peak["api"] == POINTS and peak["requests_in_one_second"] > POINTS_PER_SECOND:
            yield f"{peak['requests_in_one_second']} points requests in one second; {POINTS_PER_SECOND} are allowed"
    for (api, key, _), times in Counter(map(_deed, _of(journal, "applied"))).items():
        if times > 1:
            yield f"{api} {key} was applied {times} times"


def contradictions(journal: Iterable[Mapping[str, Any]], reports: Path) -> Iterator[str]:
    """Yield where the reports and the platform say different things."""
    reported = set(_succeeded(reports))
    applied = {(api, _key_of_row(api, key, reported)) for api, key in _applied(journal)}
    yield from (f"{api} {key} was reported as succeeded, and never applied" for api, key in sorted(reported - applied))
    yield from (f"{api} {key} was applied, and never reported as such" for api, key in sorted(applied - reported))


def _applied(journal: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((entry["api"], entry["key"]) for entry in _of(journal, "applied"))


def _of(journal: Iterable[Mapping[str, Any]], decision: str) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in journal if entry["decision"] == decision)


def _deed(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what is to be applied once: a key; of states, a key with its content, which may change."""
    return entry["api"], entry["key"], entry["body_digest"] if entry["api"] == STATE else ""


def _succeeded(reports: Path) -> Iterator[tuple[str, str]]:
    for folder in sorted(reports.iterdir()):
        api = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["api"]
        with (folder / "outcome.csv").open(encoding="utf-8", newline="") as lines:
            yield from ((api, row["request_key"]) for row in csv.DictReader(lines) if row["status"] == "succeeded")


def _key_of_row(api: str, key: str, reported: set[tuple[str, str]]) -> str:
    """Return the key a report has: without the state that the simulator adds, or the count of a repeated task."""
    plain = key.partition("|")[0]
    return plain if (api, plain) in reported else plain.rpartition("-")[0] or plain


def _ask(url: str, what: str) -> Any:
    # The simulator is on this machine: no proxy of the environment stands in between.
    with build_opener(ProxyHandler({})).open(f"{url}/_simulator/{what}", timeout=10) as answer:
        return json.load(answer)


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
