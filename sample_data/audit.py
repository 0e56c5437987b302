"""
Compares the reports of runs with the journal of the simulated platform.

    python sample_data/audit.py URL REPORTS

Prints the platform's counts. Exits with 1 if they contradict the reports or the promises of `backfill`: more points
requests in a second than a quota allows, a key applied twice, a false success, or an application that is not reported.
"""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

POINTS_PER_SECOND = {"wechatpay.points": 5, "wechatpay.brand_points": 10}
STATE = "alipay.state"


def main(url: str, reports: str) -> int:
    """Print the platform's counts and the audit; return the exit code."""
    journal, summary = _read(url, "journal"), _read(url, "summary")
    for line in account(journal, summary):
        _print(f"  {line}")
    faults = [*broken_promises(journal, summary), *contradictions(journal, Path(reports))]
    for fault in faults:
        _print(f"  WRONG: {fault}")
    if not faults:
        _print("  OK: no key was applied twice; the rows reported as succeeded are exactly those applied")
    return 1 if faults else 0


def account(journal: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each API, and one for the injected faults."""
    for peak in summary["peaks"]:
        decisions = Counter(entry["decision"] for entry in journal if entry["api"] == peak["api"])
        counts = ", ".join(f"{count} {decision}" for decision, count in decisions.most_common())
        yield f"{peak['api']:<22} at most {peak['requests_in_one_second']:>2} requests in any second; {counts}"
    faults = ", ".join(f"{count} {kind}" for kind, count in summary["faults"].items())
    yield f"{'faults':<22} {faults}"


def broken_promises(journal: Iterable[Mapping[str, Any]], summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield broken promises that the journal alone shows."""
    for peak in summary["peaks"]:
        most, allowed = peak["requests_in_one_second"], POINTS_PER_SECOND.get(peak["api"])
        if allowed is not None and most > allowed:
            yield f"{most} requests of {peak['api']} in one second; {allowed} are allowed"
    for (api, key, _), times in Counter(map(_identity, _of(journal, "applied"))).items():
        if times > 1:
            yield f"{api} {key} was applied {times} times"


def contradictions(journal: Iterable[Mapping[str, Any]], reports: Path) -> Iterator[str]:
    """Yield differences between reports and journal."""
    reported = set(_succeeded(reports))
    applied = {(api, _key_of_row(api, key, reported)) for api, key in _applied(journal)}
    yield from (f"{api} {key} was reported as succeeded, but never applied" for api, key in sorted(reported - applied))
    yield from (f"{api} {key} was applied, but never reported as succeeded" for api, key in sorted(applied - reported))


def _applied(journal: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((entry["api"], entry["key"]) for entry in _of(journal, "applied"))


def _of(journal: Iterable[Mapping[str, Any]], decision: str) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in journal if entry["decision"] == decision)


def _identity(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the identity that may be applied once: the key; for states, which may change, key and content."""
    return entry["api"], entry["key"], entry["body_digest"] if entry["api"] == STATE else ""


def _succeeded(reports: Path) -> Iterator[tuple[str, str]]:
    for folder in sorted(reports.iterdir()):
        api = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["api"]
        with (folder / "outcome.csv").open(encoding="utf-8", newline="") as lines:
            yield from ((api, row["request_key"]) for row in csv.DictReader(lines) if row["status"] == "succeeded")


def _key_of_row(api: str, key: str, reported: set[tuple[str, str]]) -> str:
    """Return the key in the report: without the simulator's state code, or the number of a repeated task."""
    plain = key.partition("|")[0]
    return plain if (api, plain) in reported else plain.rpartition("-")[0] or plain


def _read(url: str, what: str) -> Any:
    # Without the proxy of the environment, because the simulator is on this machine.
    with build_opener(ProxyHandler({})).open(f"{url}/_simulator/{what}", timeout=10) as answer:
        return json.load(answer)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
