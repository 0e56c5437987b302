"""OpenLineage events, as a real receiver on loopback reads them."""

from typing import Any

import orjson
import pytest
import requests

from pipeline import version
from pipeline.ledger.records import InputRecord
from pipeline.notify.telemetry.lineage import Dataset, dataset_of, emit, end_event, run_uuid, start_event
from pipeline.settings import Telemetry
from tests.notify.ends import AT, RUN_ID, RUN_UUID, run_end, run_record
from tests.notify.loopback import web_server

INPUTS = (
    InputRecord(0, "orders.csv", "/data/exports/orders.csv", (), 1000, "9f86"),
    InputRecord(1, "s3://lake/2024/orders.parquet", "lake/2024/orders.parquet", (), 10, "9f86"),
)


def without_origin(value: Any) -> Any:
    """Return an event without the addresses of schemas, which name the version of the client."""
    if isinstance(value, dict):
        hidden = ("_producer", "_schemaURL", "schemaURL")
        return {key: without_origin(each) for key, each in value.items() if key not in hidden}
    return [without_origin(each) for each in value] if isinstance(value, list) else value


def test_the_begin_and_the_end_of_a_run_arrive() -> None:
    """START, then COMPLETE with inputs and the rows that the API took; both of one run and one job."""
    with web_server([(201, b"")]) as server:
        telemetry = Telemetry(openlineage_url=server.url, openlineage_api_key="TESTKEY", namespace="nightly")
        emit(telemetry, start_event(run_record(), "nightly", AT))
        emit(telemetry, end_event(run_record(), "nightly", run_end(3), INPUTS))

    begin, end = (without_origin(orjson.loads(received.body)) for received in server.requests)
    common = {
        "eventTime": "2024-05-01T17:02:03.500+00:00",
        "producer": f"urn:loyalty-backfill:{version()}",
        "run": {"runId": RUN_UUID, "facets": {"processing_engine": {"version": version(), "name": "backfill"}}},
        "job": {
            "namespace": "nightly",
            "name": "orders",
            "facets": {"jobType": {"processingType": "BATCH", "integration": "BACKFILL", "jobType": "JOB"}},
        },
    }
    assert begin == {**common, "eventType": "START", "inputs": [], "outputs": []}
    assert end == {
        **common,
        "eventType": "COMPLETE",
        "inputs": [
            {"namespace": namespace, "name": name, "facets": {}, "inputFacets": {"inputStatistics": statistics}}
            for namespace, name, statistics in [
                ("file", "/data/exports/orders.csv", {"rowCount": 1000, "fileCount": 1}),
                ("s3://lake", "2024/orders.parquet", {"rowCount": 10, "fileCount": 1}),
            ]
        ],
        "outputs": [
            {
                "namespace": "alipay",
                "name": "zhima/cumulation",
                "facets": {},
                "outputFacets": {"outputStatistics": {"rowCount": 1000}},
            }
        ],
    }
    assert {(received.path, received.headers["Authorization"]) for received in server.requests} == {
        ("/api/v1/lineage", "Bearer TESTKEY")
    }


@pytest.mark.parametrize(
    ("exit_code", "kind"), [(0, "COMPLETE"), (3, "COMPLETE"), (4, "FAIL"), (5, "ABORT"), (1, "FAIL"), (2, "FAIL")]
)
def test_the_kind_of_the_end_follows_the_exit_code(exit_code: int, kind: str) -> None:
    """Rows left are no failure of the run; a signal or deadline aborts it."""
    assert str(end_event(run_record(), "backfill", run_end(exit_code), ()).eventType) == f"EventType.{kind}"


def test_a_failed_run_says_why() -> None:
    """Without a report the error is the message, and no output is named."""
    event = end_event(run_record(), "backfill", run_end(2, summary=None, error="orders.csv changed"), ())

    assert event.run.facets is not None
    assert getattr(event.run.facets["errorMessage"], "message", None) == "orders.csv changed"
    assert event.outputs == []


@pytest.mark.parametrize(
    ("location", "dataset"),
    [
        ("/data/a b.csv", Dataset("file", "/data/a b.csv")),
        ("/data/../x.csv", Dataset("file", "/x.csv")),
        ("file:///data/a.csv", Dataset("file", "/data/a.csv")),
        ("s3://key:secret@bucket/a/b.csv?region=x", Dataset("s3://bucket", "a/b.csv")),
        ("hdfs://name:8020/a/b.csv", Dataset("hdfs://name:8020", "/a/b.csv")),
    ],
)
def test_an_input_is_named_as_openlineage_names_it(location: str, dataset: Dataset) -> None:
    """Files by path, objects by bucket and key; no credentials."""
    assert dataset_of(location) == dataset


def test_a_run_id_and_its_uuid_have_the_same_bits() -> None:
    """The UUID of a ULID."""
    assert run_uuid(RUN_ID) == RUN_UUID


def test_a_receiver_that_refuses_raises() -> None:
    """The caller reports it."""
    with web_server([(403, b"")]) as server, pytest.raises(requests.HTTPError):
        emit(Telemetry(openlineage_url=server.url), start_event(run_record(), "backfill", AT))

    assert len(server.requests) == 1
