"""Reading a slice, of a run or of a plan: its rows are read, mapped and staged as the driver's cut says."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import orjson

from pipeline.assemble.parts.new_run import RunInputs, job_of, opener_of, rules_of
from pipeline.assemble.saved_plans import settings_of
from pipeline.errors import SettingsError, SourceError
from pipeline.language import language_in_use, t
from pipeline.ledger.records import RunRecord
from pipeline.map import MappingRules, bind_chunks
from pipeline.read import Cut, SourceFile, sha256_of, verify_unchanged
from pipeline.run.ports import StagedSlice
from pipeline.run.slices import stage_rows
from pipeline.settings import Config, Job
from pipeline.tables.chunk import Chunk
from pipeline.tables.mapped_chunk import MappedChunk


class HeldSlice(StagedSlice, Protocol):
    """A slice that this process has: of a run, or of a plan."""

    @property
    def run(self) -> RunRecord:
        """The run."""
        ...

    @property
    def cut(self) -> Mapping[str, Any]:
        """How the slice is read."""
        ...

    @property
    def salt(self) -> str:
        """The text that keys made from rows are also made of."""
        ...

    def heartbeat(self) -> None:
        """Keep the slice."""
        ...


class SliceReader:
    """Reads slices with one config. What it learned from the rows of a slice serves the next one of the same export."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._mapped_by: tuple[object, Callable[[Chunk], MappedChunk]] | None = None

    def read(self, held: HeldSlice, tick: Callable[[], None]) -> tuple[str | None, str]:
        """
        Read, map and stage the rows of a slice; return its encoding, and the SHA-256 of its file, as in `SliceResult`.

        `tick` is called after each chunk, and may raise.

        Raises SettingsError or SourceError if config or file are not as the driver found them.
        """
        cut, config, job = held.cut, self._config, job_of(self._config, held.run)
        if cut["settings"] != settings_digest(config, job):
            raise SettingsError([_other_config(config, job, held.run)])
        rules = rules_of(job, config.accounts[job.account], datetime.fromisoformat(cut["now"]), held.salt)
        file = _file_of(held.run, cut)

        def beat() -> None:
            held.heartbeat()
            tick()

        with opener_of(job, rules, cut["chunk_rows"])(file, cut=Cut.from_json(cut["cut"])) as source:
            stage_rows(held, rules, source, self._mapper(rules, source.columns), tick)
        hashed = sha256_of(file, beat) if cut["is_hashed"] else source.sha256
        verify_unchanged(file)
        return source.encoding, hashed

    def _mapper(self, rules: MappingRules, columns: tuple[str, ...]) -> Callable[[Chunk], MappedChunk]:
        """Return what maps the chunks of a slice: as for the slice before, if it would give the same results."""
        key = (rules, columns, language_in_use())
        if self._mapped_by is None or self._mapped_by[0] != key:
            self._mapped_by = key, bind_chunks(rules, columns)
        return self._mapped_by[1]


def settings_digest(config: Config, job: Job) -> str:
    """Return a digest of the settings with which a job's rows are read and mapped."""
    return sha256(orjson.dumps(settings_of(config, job.name), option=orjson.OPT_SORT_KEYS)).hexdigest()


def _other_config(config: Config, job: Job, run: RunRecord) -> str:
    return t(
        "{path} [jobs.{job}] is not as in the config that run {run_id} began with; use one on all hosts",
        path=config.path,
        job=job.name,
        run_id=run.run_id,
    )


def _file_of(run: RunRecord, cut: Mapping[str, Any]) -> SourceFile:
    """Return the file of a slice. Raises SourceError if it is not the one that the driver found."""
    found = {file.path: file for file in RunInputs.from_options(run.options).find().files}
    file = found.get(cut["path"])
    if file is None:
        raise SourceError(
            t("{path} can't be found here, but run {run_id} reads it; nothing was sent",
              path=Path(cut["path"]).name, run_id=run.run_id)
        )  # fmt: skip
    if (file.fingerprint.size, file.fingerprint.mtime_ns) != (cut["size"], cut["mtime_ns"]):
        raise SourceError(
            t("{file} is not the file that run {run_id} found, or it was changed since; nothing was sent from it",
              file=file.name, run_id=run.run_id)
        )  # fmt: skip
    return file
