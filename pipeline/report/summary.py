"""The summary of a run: `summary.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from pipeline.model import Api, Status
from pipeline.tables.agreement_totals import OpenAgreements
from pipeline.tables.fault_groups import GroupedFaults


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input of a run. `encoding` is None for formats that define their encoding."""

    file: str
    rows: int
    sha256: str
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """Use of the quota: requests per second allowed, the fraction used (0 to 1), and throttled answers."""

    limit_per_s: float
    used_fraction: float
    throttled: int


# Fields that are not in the file.
_ONLY_SHOWN = ("reason", "waits", "open_agreements")


@dataclass(frozen=True, slots=True)
class Summary:
    """
    The content of `summary.json`, in its order, and `reason`, `waits` and `open_agreements`, which only page and
    terminal show.

    - `parent`: the run that this run reruns or fixes
    - `date`: the business day of the run
    - `left`: rows that neither succeeded nor were skipped, here or in a rerun or fix
    - `reason`: why the run stopped
    - `waits`: causes for which sending waited (reason, since, until, seconds)
    - `open_agreements`: agreements whose totals are not final

    Raises ValueError if the sum of `counts` is not `rows`.
    """

    run_id: str
    parent: str | None
    date: str | None
    job: str
    api: Api
    account: str
    state: str
    exit_code: int
    inputs: tuple[InputFile, ...]
    rows: int
    left: int
    counts: Mapping[Status, int]
    codes: Mapping[str, int]
    faults: GroupedFaults
    attempts: int
    started_at: str
    finished_at: str | None
    elapsed_s: float
    sent_per_s: float
    quota: QuotaUse
    report: str
    reason: str | None = None
    waits: Sequence[Mapping[str, Any]] = ()
    open_agreements: OpenAgreements = field(default_factory=OpenAgreements)

    def __post_init__(self) -> None:
        if sum(self.counts.values()) != self.rows:
            counted = ", ".join(f"{status} {count}" for status, count in self.counts.items())
            raise ValueError(f"{self.rows} rows were read, but their outcomes are {counted}")

    def as_dict(self) -> dict[str, Any]:
        """Return the file's content as a dict: a count for every status; measured values rounded."""
        written = {name: getattr(self, name) for name in self.__slots__ if name not in _ONLY_SHOWN}
        return written | {
            "inputs": [asdict(file) for file in self.inputs],
            "counts": {status.value: self.counts.get(status, 0) for status in Status},
            "codes": dict(self.codes),
            "faults": self.faults.as_dicts(),
            "elapsed_s": round(self.elapsed_s, 3),
            "sent_per_s": round(self.sent_per_s, 3),
            "quota": asdict(self.quota) | {"used_fraction": round(self.quota.used_fraction, 4)},
        }

    def as_json(self) -> bytes:
        """Return the file's content: one JSON object, indented."""
        return orjson.dumps(self.as_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
