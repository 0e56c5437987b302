"""Metrics as a file in Prometheus' text format, for the textfile collector of its node exporter."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.telemetry.metrics import METRICS, Sample


def write_metrics(path: Path, samples: Iterable[Sample]) -> None:
    """Write the file whole or not at all; of equal labels the last sample counts. Raises NotSent if that fails."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for sample in samples:
        if sample.metric not in gauges:
            gauges[sample.metric] = Gauge(sample.metric, METRICS[sample.metric], [*sample.labels], registry=registry)
        gauges[sample.metric].labels(**sample.labels).set(sample.value)
    try:
        write_to_textfile(str(path), registry)
    except OSError as exc:
        raise NotSent(t("{path} can't be written: {cause}", path=path, cause=exc.strerror or exc)) from exc
