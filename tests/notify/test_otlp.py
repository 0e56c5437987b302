"""Metrics and traces, as a real OTLP receiver on loopback reads them."""

from datetime import timedelta

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.telemetry.extra import need_extra
from pipeline.notify.telemetry.metrics import samples_of
from pipeline.notify.telemetry.otlp import send_metrics, send_trace
from pipeline.notify.telemetry.spans import Span, spans_of
from tests.notify.ends import AT, RUN_ID, RUN_UUID, run_end
from tests.notify.loopback import WebServer, web_server

BEGAN, SENT = AT - timedelta(hours=1), AT - timedelta(minutes=50)
ENTERED = [("reading", BEGAN), ("sending", SENT), ("writing", AT - timedelta(seconds=1))]


def ns(at: float) -> int:
    return int(at * 1_000_000) * 1000


def body_of(server: WebServer, path: str) -> bytes:
    (body,) = [received.body for received in server.requests if received.path == path]
    return body


def test_phases_follow_each_other_without_gaps() -> None:
    """Each phase lasts until the next one, the last one until the end."""
    assert spans_of(ENTERED, AT) == [
        Span("reading", BEGAN, SENT),
        Span("sending", SENT, AT - timedelta(seconds=1)),
        Span("writing", AT - timedelta(seconds=1), AT),
    ]


def test_a_run_is_one_trace() -> None:
    """Its id is the run's; its root has a child for each phase, with the times of the phases."""
    end = run_end(4)
    with web_server([(200, b"")]) as server:
        send_trace(f"{server.url}/", end, spans_of(ENTERED, AT))

    request = ExportTraceServiceRequest.FromString(body_of(server, "/v1/traces"))
    (resource,) = request.resource_spans
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    root = spans["run orders"]
    assert {span.trace_id.hex() for span in spans.values()} == {RUN_UUID.replace("-", "")}
    assert {name: (span.start_time_unix_nano, span.end_time_unix_nano) for name, span in spans.items()} == {
        "run orders": (ns(BEGAN.timestamp()), ns(AT.timestamp())),
        "reading": (ns(BEGAN.timestamp()), ns(SENT.timestamp())),
        "sending": (ns(SENT.timestamp()), ns(AT.timestamp() - 1)),
        "writing": (ns(AT.timestamp() - 1), ns(AT.timestamp())),
    }
    assert {name: span.parent_span_id for name, span in spans.items() if span != root} == dict.fromkeys(
        ("reading", "sending", "writing"), root.span_id
    )
    assert root.status.code == root.status.STATUS_CODE_ERROR
    assert {each.key: each.value.string_value or each.value.int_value for each in root.attributes} == {
        "backfill.job": "orders",
        "backfill.run_id": RUN_ID,
        "backfill.exit_code": 4,
        "backfill.api": "alipay.cumulation",
        "backfill.account": "zhima",
        "backfill.rows": 1010,
        "backfill.rows_left": 10,
        "backfill.attempts": 1011,
    }


def test_metrics_are_those_of_the_file() -> None:
    """Names, labels and values as in the file for Prometheus; the resource names this program."""
    end = run_end()
    with web_server([(200, b"")]) as server:
        send_metrics(server.url, samples_of(end))

    (resource,) = ExportMetricsServiceRequest.FromString(body_of(server, "/v1/metrics")).resource_metrics
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == "backfill"
    values = {
        (metric.name, frozenset((label.key, label.value.string_value) for label in point.attributes)): (
            point.as_double if point.WhichOneof("value") == "as_double" else point.as_int
        )
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.gauge.data_points
    }
    assert values == {(each.metric, frozenset(each.labels.items())): each.value for each in samples_of(end)}


def test_a_receiver_that_refuses_is_reported() -> None:
    """Metrics and traces are refused by themselves."""
    end = run_end()
    with web_server([(400, b"")]) as server:
        with pytest.raises(NotSent, match="the receiver did not take it"):
            send_metrics(server.url, samples_of(end))
        with pytest.raises(NotSent, match="the receiver did not take it"):
            send_trace(server.url, end, spans_of(ENTERED, AT))


def test_a_missing_extra_is_named() -> None:
    """The advice installs it, whether the package or the one around it is missing."""

    def no_parent(_package: str) -> object:
        raise ModuleNotFoundError

    for find in (lambda _package: None, no_parent):
        with pytest.raises(NotSent) as raised:
            need_extra("opentelemetry.sdk", find)
        assert str(raised.value) == "not installed; run pip install 'loyalty-backfill[telemetry]'"
