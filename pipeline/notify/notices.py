"""The front door: what a command's runs did, collected and sent to all who are to learn of it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.clock import Clock
from pipeline.errors import LedgerError, PipelineError, RunHeld, exit_code_of_error
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import InputRecord, Phase, RunRecord
from pipeline.notify.background import Background
from pipeline.notify.message import is_wanted, message_of
from pipeline.notify.run_end import FINE, RunEnd
from pipeline.notify.telemetry.metrics import Sample, samples_of
from pipeline.notify.telemetry.spans import spans_of
from pipeline.report import ReportFiles
from pipeline.settings import Config, MailReceiver, Receiver, secrets

# For all messages, metrics and events about the end of a run.
_SECONDS = 15.0


class Notices:
    """
    Messages, metrics, traces and lineage events about the runs of one command. Nothing here fails a run.

    Use it in a `with` block around the command: an error that leaves the block is a notice too.

    - `job`: the job of the command, where it is known from the start
    - `warn`: gets a line for each receiver that could not be reached
    - `metrics_file`: replaced at the end of each run; the caller has checked that it may be
    - `seconds`: the limit for all sending at the end of a run
    """

    def __init__(
        self,
        config: Config,
        clock: Clock,
        warn: Callable[[str], None],
        *,
        job: str | None = None,
        metrics_file: Path | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._config = config
        self._clock = clock
        self._warn = warn
        self._job = job
        self._metrics_file = metrics_file
        self._seconds = seconds
        self._background = Background(clock)
        self._before: int | None = None
        self._run: RunRecord | None = None
        self._entered: list[tuple[Phase, datetime]] = []
        self._samples: list[Sample] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._job is not None and isinstance(error, Exception):
            self.failed(self._job, error)

    def expect(self, job: str, ledger: Ledger) -> None:
        """Note how the job's last run ended, before a run of it begins or goes on."""
        self._job, self._run, self._entered = job, None, []
        last = ledger.last_of(job)
        self._before = FINE if last is None else last.exit_code

    def begun(self, run: RunRecord) -> None:
        """Note the begin of a run, which is staging."""
        self._run = run
        self.entered(Phase.STAGING)
        if self._config.telemetry.openlineage_url:
            self._background.start("OpenLineage", partial(self._emit_start, run, self._clock.now()))

    def entered(self, phase: Phase) -> None:
        """Note that the run entered a phase."""
        self._entered.append((phase, self._clock.now()))

    def ended(self, files: ReportFiles, ledger: Ledger) -> None:
        """Send what is to be known of a run that has a report, and wait for it up to the limit."""
        summary = files.summary
        end = RunEnd(
            job=summary.job,
            exit_code=summary.exit_code,
            before=self._before,
            at=self._clock.now(),
            run_id=summary.run_id,
            summary=summary,
            steps=files.next_steps,
        )
        inputs: Sequence[InputRecord] = ()
        if self._run is not None and self._config.telemetry.openlineage_url:
            with suppress(LedgerError):
                inputs = ledger.inputs(self._run)
        self._send(end, inputs)

    def failed(self, job: str, error: Exception) -> None:
        """Send that a command of the job ended with an error, and wait for it up to the limit."""
        if isinstance(error, RunHeld):
            # The run that has the job will be reported.
            return
        text = t("internal error ({kind})", kind=type(error).__name__)
        if isinstance(error, PipelineError):
            text = str(error)
            for secret in secrets(self._config):
                text = text.replace(secret, "***")
        end = RunEnd(
            job=job,
            exit_code=exit_code_of_error(error),
            # The ledger does not know of commands that failed before their run.
            before=None if self._run is None else self._before,
            at=self._clock.now(),
            run_id=None if self._run is None else self._run.run_id,
            error=text,
        )
        self._send(end, ())

    def _send(self, end: RunEnd, inputs: Sequence[InputRecord]) -> None:
        for receiver in self._config.receivers:
            if is_wanted(receiver, end):
                self._background.start(f"[notify.{receiver.name}]", partial(self._send_message, receiver, end))
        if self._run is not None:
            self._start_telemetry(self._run, end, inputs)
        for fault in self._background.wait(self._seconds):
            self._warn(t("{fault}; the run is not affected", fault=fault))
        self._job, self._run = None, None

    def _start_telemetry(self, run: RunRecord, end: RunEnd, inputs: Sequence[InputRecord]) -> None:
        telemetry, samples = self._config.telemetry, samples_of(end)
        self._samples += samples
        if self._metrics_file is not None:
            self._background.start("--metrics-file", partial(self._write_metrics, self._metrics_file))
        if telemetry.otlp_endpoint:
            self._background.start("OTLP metrics", partial(self._send_metrics, telemetry.otlp_endpoint, samples))
            self._background.start("OTLP traces", partial(self._send_trace, telemetry.otlp_endpoint, end))
        if telemetry.openlineage_url:
            self._background.start("OpenLineage", partial(self._emit_end, run, end, inputs))

    def _send_message(self, receiver: Receiver, end: RunEnd) -> None:
        # The clients are slow to load, and most commands send nothing: here, and in the following methods.
        from pipeline.notify.channels import mail, robots, web  # noqa: PLC0415

        message, now = message_of(end), self._clock.now()
        if isinstance(receiver, MailReceiver):
            name = f"{end.run_id or 'no-run'}.{now.timestamp():.6f}"
            mail.send_mail(receiver, mail.mail_of(receiver, message, now, name))
        else:
            web.send(receiver, robots.request_of(receiver, message, end, now))

    def _write_metrics(self, path: Path) -> None:
        from pipeline.notify.telemetry.metrics_file import write_metrics  # noqa: PLC0415

        write_metrics(path, self._samples)

    def _send_metrics(self, endpoint: str, samples: Sequence[Sample]) -> None:
        from pipeline.notify.telemetry.otlp import send_metrics  # noqa: PLC0415

        send_metrics(endpoint, samples)

    def _send_trace(self, endpoint: str, end: RunEnd) -> None:
        from pipeline.notify.telemetry.otlp import send_trace  # noqa: PLC0415

        send_trace(endpoint, end, spans_of(self._entered, end.at))

    def _emit_start(self, run: RunRecord, at: datetime) -> None:
        from pipeline.notify.telemetry.lineage import emit, start_event  # noqa: PLC0415

        emit(self._config.telemetry, start_event(run, self._config.telemetry.namespace, at))

    def _emit_end(self, run: RunRecord, end: RunEnd, inputs: Sequence[InputRecord]) -> None:
        from pipeline.notify.telemetry.lineage import emit, end_event  # noqa: PLC0415

        emit(self._config.telemetry, end_event(run, self._config.telemetry.namespace, end, inputs))
