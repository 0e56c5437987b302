"""
OpenLineage events of a run: START, then COMPLETE, FAIL or ABORT, by the client of OpenLineage (extra `telemetry`).

The run's id is the same 128 bits as a UUID. Inputs are named as OpenLineage names files and object stores.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline import version
from pipeline.ledger.records import InputRecord, RunRecord
from pipeline.model import Status
from pipeline.notify.run_end import RunEnd
from pipeline.notify.telemetry.extra import need_extra
from pipeline.settings import Telemetry

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

_TIMEOUT_SECONDS = 4.0
_ONE_RETRY = {
    "total": 1, "backoff_factor": 0.3, "status_forcelist": [500, 502, 503, 504], "allowed_methods": ["POST"],
}  # fmt: skip
_STARTED = "START"
# The event's type by exit code. Rows left (3) are a matter of data: the run itself is complete.
_ENDED = {0: "COMPLETE", 3: "COMPLETE", 5: "ABORT"}
_OTHERWISE = "FAIL"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The name of a dataset: namespace and name within it."""

    namespace: str
    name: str


def dataset_of(location: str) -> Dataset:
    """Return the dataset of an input, from its path or URI; credentials and options of a URI are left out."""
    scheme, mark, rest = location.partition("://")
    if not mark:
        return Dataset("file", os.path.abspath(location))  # noqa: PTH100 - links stay as they are
    place, _, path = rest.partition("?")[0].partition("/")
    if scheme == "file":
        return Dataset("file", f"/{path}")
    # OpenLineage names a file of HDFS by its path, an object of a store by its key.
    return Dataset(f"{scheme}://{place.rpartition('@')[2]}", f"/{path}" if scheme == "hdfs" else path)


def start_event(run: RunRecord, namespace: str, at: datetime) -> "RunEvent":
    """Return the event of a run that has begun."""
    return _event(_STARTED, run, namespace, at)


def end_event(run: RunRecord, namespace: str, end: RunEnd, inputs: Sequence[InputRecord]) -> "RunEvent":
    """Return the event of a run that has ended, with its inputs and the rows that the platform took."""
    event = _event(_ENDED.get(end.exit_code, _OTHERWISE), run, namespace, end.at)
    event.inputs, event.outputs = [_input(record) for record in inputs], _outputs(run, end)
    error = end.error or (end.summary.reason if end.summary else None)
    if error and event.run.facets is not None:
        from openlineage.client.facet_v2 import error_message_run  # noqa: PLC0415 - an extra

        event.run.facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(error, "python")
    return event


def emit(telemetry: Telemetry, event: "RunEvent") -> None:
    """Send an event. Raises an error of `requests` if the receiver can't be reached or refuses it."""
    from openlineage.client.transport.http import (  # noqa: PLC0415 - an extra
        ApiKeyTokenProvider,
        HttpConfig,
        HttpTransport,
        TokenProvider,
    )

    key = telemetry.openlineage_api_key
    config = HttpConfig(
        url=telemetry.openlineage_url or "",
        timeout=_TIMEOUT_SECONDS,
        retry=_ONE_RETRY,
        auth=ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({}),
    )
    transport = HttpTransport(config)
    try:
        transport.emit(event)
    finally:
        transport.close()


def _event(kind: str, run: RunRecord, namespace: str, at: datetime) -> "RunEvent":
    need_extra("openlineage.client")
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState  # noqa: PLC0415 - an extra
    from openlineage.client.facet_v2 import job_type_job, processing_engine_run  # noqa: PLC0415

    engine = processing_engine_run.ProcessingEngineRunFacet(version=version(), name="backfill")
    kind_of_job = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="BACKFILL", jobType="JOB")
    return RunEvent(
        eventType=RunState(kind),
        eventTime=at.isoformat(timespec="milliseconds"),
        run=Run(run_uuid(run.run_id), facets={"processing_engine": engine}),
        job=Job(namespace, run.job, facets={"jobType": kind_of_job}),
        producer=f"urn:loyalty-backfill:{version()}",
    )


def run_uuid(run_id: str) -> str:
    """Return the id of a run as a UUID: the same 128 bits."""
    from ulid import ULID  # noqa: PLC0415 - slow to load

    return str(ULID.from_str(run_id).to_uuid())


def _input(record: InputRecord) -> "InputDataset":
    from openlineage.client.event_v2 import InputDataset  # noqa: PLC0415 - an extra
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics  # noqa: PLC0415

    # The name of a remote file is its URI; its location is a path within a store.
    dataset = dataset_of(record.name if "://" in record.name else record.location)
    rows = statistics.InputStatisticsInputDatasetFacet(rowCount=record.rows, fileCount=1)
    return InputDataset(dataset.namespace, dataset.name, inputFacets={"inputStatistics": rows})


def _outputs(run: RunRecord, end: RunEnd) -> "list[OutputDataset]":
    """Return the API as a dataset, with the number of rows that it took."""
    from openlineage.client.event_v2 import OutputDataset  # noqa: PLC0415 - an extra
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics  # noqa: PLC0415

    if end.summary is None:
        return []
    platform, _, api = run.api.partition(".")
    rows = statistics.OutputStatisticsOutputDatasetFacet(rowCount=end.summary.counts.get(Status.SUCCEEDED, 0))
    return [OutputDataset(platform, f"{run.account}/{api}", outputFacets={"outputStatistics": rows})]
