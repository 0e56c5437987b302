"""A saved plan: what `run --plan FILE` sends, and the checks that it is still what the plan showed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import orjson

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.records import InputRecord, StagedCounts
from pipeline.model import RowLimit
from pipeline.read import SourceFile

_FORMAT = 1
_OPTION = "plan"


@dataclass(frozen=True, slots=True)
class PlannedRequests:
    """
    The requests of a saved plan, and the input files that they were made from.

    - `files`: name and SHA-256 of each input, in the order of reading
    - `requests`, `sha256`: the number of requests, and the SHA-256 of their bodies, in the order of their rows
    """

    files: tuple[tuple[str, str], ...]
    requests: int
    sha256: str

    def check_found(self, files: Iterable[SourceFile]) -> None:
        """Raise SettingsError if other files were found than those of the plan. Their content is not read."""
        found, planned = {file.name for file in files}, {name for name, _ in self.files}
        faults = [t("{file} is not in the plan", file=name) for name in sorted(found - planned)]
        faults += [t("{file} of the plan is gone", file=name) for name in sorted(planned - found)]
        _refuse(faults)

    def check_inputs(self, inputs: Iterable[InputRecord]) -> None:
        """Raise SettingsError if an input that was read has another content than the plan saw."""
        planned = dict(self.files)
        _refuse(
            t("{file} changed since the plan was saved", file=each.name)
            for each in inputs
            if planned.get(each.name) != each.sha256
        )

    def check_requests(self, staged: StagedCounts) -> None:
        """Raise SettingsError if the run would send anything but the requests of the plan."""
        if staged.requests != self.requests:
            _refuse(
                [
                    t(
                        "the run would send {requests} requests now, the plan has {planned}: other runs or the "
                        "clock changed what is due",
                        requests=f"{staged.requests:,}",
                        planned=f"{self.requests:,}",
                    )
                ]
            )
        if staged.bodies is None or staged.bodies.hexdigest() != self.sha256:
            _refuse([t("the run would send other requests than the plan: other runs or the clock changed what is due")])

    def as_options(self) -> Mapping[str, Any]:
        """Return the option that the run keeps, so that `resume` checks the same."""
        return {_OPTION: asdict(self)}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "PlannedRequests | None":
        """Return the requests that a run is bound to; None if it runs no plan."""
        kept = options.get(_OPTION)
        if kept is None:
            return None
        return cls(_pairs(kept["files"]), kept["requests"], kept["sha256"])

    @classmethod
    def option(cls) -> str:
        """Return the name of the option that the run keeps."""
        return _OPTION


def _pairs(files: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, sha256) for name, sha256 in files)


def _refuse(faults: Iterable[str]) -> None:
    """Raise SettingsError if there are faults."""
    advice = t("nothing was sent; look at the plan again with `backfill plan --save`")
    if listed := [f"{fault}; {advice}" for fault in faults]:
        raise SettingsError(listed)


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """
    The content of the file that `plan --save` writes. It has no values of rows, no ids of users and no secrets.

    - `date`: fills `{date}`, as YYYY-MM-DD
    - `inputs`, `base`: patterns of the command line and the folder that they start from; None: the job's own inputs
    - `limit`, `max_invalid`: options of the plan
    - `settings`: a digest of each setting of the job and its account
    - `shown`: what the plan counted, for people
    """

    job: str
    date: str
    inputs: tuple[str, ...] | None = field(repr=False)
    base: str | None
    limit: int | None
    max_invalid: str | None
    settings: Mapping[str, str]
    requests: PlannedRequests
    shown: Mapping[str, Any]

    def changed_settings(self, settings: Mapping[str, str]) -> list[str]:
        """Return the names of the settings that differ from those of the plan."""
        names = sorted(self.settings.keys() | settings.keys())
        return [name for name in names if self.settings.get(name) != settings.get(name)]

    def as_json(self) -> bytes:
        """Return the file's content: one JSON object, indented."""
        fields = {"format": _FORMAT, **asdict(self)}
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def parse(cls, content: bytes) -> "SavedPlan":
        """Return the plan of a file's content. Raises ValueError if it is none, or one of another version."""
        try:
            fields = orjson.loads(content)
            if fields["format"] != _FORMAT:
                raise ValueError("another version of backfill saved it")
            requests, inputs = fields["requests"], fields["inputs"]
            return cls(
                job=str(fields["job"]),
                date=date.fromisoformat(fields["date"]).isoformat(),
                inputs=None if inputs is None else tuple(map(str, inputs)),
                base=None if fields["base"] is None else str(fields["base"]),
                limit=None if fields["limit"] is None else int(fields["limit"]),
                max_invalid=None if fields["max_invalid"] is None else str(RowLimit.parse(fields["max_invalid"])),
                settings=dict(fields["settings"]),
                requests=PlannedRequests(_pairs(requests["files"]), int(requests["requests"]), requests["sha256"]),
                shown=fields["shown"],
            )
        except (AttributeError, KeyError, TypeError) as exc:
            raise ValueError("it is no saved plan") from exc
