"""
What monitoring systems learn of a run.

- `metrics`: the metrics of a run, as values
- `metrics_file`: metrics as a file for Prometheus
- `spans`: the phases of a run with their times
- `otlp`: metrics and spans to an OTLP receiver
- `lineage`: events to an OpenLineage receiver
- `extra`: whether the libraries of the extra `telemetry` are installed
"""
