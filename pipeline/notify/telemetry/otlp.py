"""
Metrics and traces to an OTLP receiver over HTTP, by the SDK of OpenTelemetry (extra `telemetry`).

`endpoint` is the base URL. The variables `OTEL_*` for headers, resource and sampling hold as for each SDK.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from pipeline import version
from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.run_end import FINE, RunEnd
from pipeline.notify.telemetry.extra import need_extra
from pipeline.notify.telemetry.metrics import METRICS, Sample
from pipeline.notify.telemetry.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_SCOPE = "backfill"
# For a request and its retry, which comes after about a second.
_TIMEOUT_SECONDS = 3.0


def send_metrics(endpoint: str, samples: Sequence[Sample]) -> None:
    """Send the metrics of a run. Raises NotSent if the receiver does not take them."""
    need_extra("opentelemetry.sdk")
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult  # noqa: PLC0415

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter(_SCOPE, version())
    for name, group in groupby(samples, key=lambda sample: sample.metric):
        gauge = meter.create_gauge(name, description=METRICS[name])
        for sample in group:
            gauge.set(sample.value, dict(sample.labels))
    data = reader.get_metrics_data()
    provider.shutdown()
    # With OTEL_SDK_DISABLED there is nothing to send.
    if data is not None:
        exporter = OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", timeout=_TIMEOUT_SECONDS)
        is_taken = exporter.export(data) is MetricExportResult.SUCCESS
        exporter.shutdown()
        _check_taken(is_taken)


def send_trace(endpoint: str, end: RunEnd, spans: Sequence[Span]) -> None:
    """Send the trace of a run, with a span for each phase. Raises NotSent if the receiver does not take it."""
    need_extra("opentelemetry.sdk")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415
    from opentelemetry.trace import Status, StatusCode, set_span_in_context  # noqa: PLC0415

    class RunTrace(RandomIdGenerator):
        """The trace has the run's id, so that it is found by it."""

        def generate_trace_id(self) -> int:
            return trace_id_of(end.run_id or "")

    finished = InMemorySpanExporter()
    provider = TracerProvider(resource=_resource(), id_generator=RunTrace(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer(_SCOPE, version())
    run = tracer.start_span(f"run {end.job}", start_time=_nanoseconds(spans[0].begin), attributes=_attributes(end))
    for span in spans:
        part = tracer.start_span(span.name, set_span_in_context(run), start_time=_nanoseconds(span.begin))
        part.end(_nanoseconds(span.end))
    run.set_status(Status(StatusCode.OK if end.exit_code == FINE else StatusCode.ERROR))
    run.end(_nanoseconds(spans[-1].end))
    recorded = finished.get_finished_spans()
    provider.shutdown()
    # There are none if the run is not sampled, or with OTEL_SDK_DISABLED.
    if recorded:
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT_SECONDS)
        is_taken = exporter.export(recorded) is SpanExportResult.SUCCESS
        exporter.shutdown()  # type: ignore[no-untyped-call]
        _check_taken(is_taken)


def _check_taken(is_taken: bool) -> None:
    if not is_taken:
        raise NotSent(t("the receiver did not take it"))


def trace_id_of(run_id: str) -> int:
    """Return the trace id of a run: the 128 bits of its id."""
    from ulid import ULID  # noqa: PLC0415 - slow to load

    return int(ULID.from_str(run_id))


def _attributes(end: RunEnd) -> Mapping[str, str | int]:
    known: dict[str, str | int] = {
        "backfill.job": end.job,
        "backfill.run_id": end.run_id or "",
        "backfill.exit_code": end.exit_code,
    }
    summary = end.summary
    if summary is None:
        return known
    return known | {
        "backfill.api": summary.api,
        "backfill.account": summary.account,
        "backfill.rows": summary.rows,
        "backfill.rows_left": summary.left,
        "backfill.attempts": summary.attempts,
    }


def _resource() -> "Resource":
    """Return the name and version of this program, over which OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES go."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - an extra

    own = Resource({"service.name": _SCOPE, "service.version": version()})
    return own.merge(OTELResourceDetector().detect())


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
