"""Processes on the nodes of a Ray cluster; tests/cluster has those that start one."""

import socket
import threading

import pytest

from pipeline.engines.cluster import Cluster


def test_a_cluster_that_does_not_answer_is_an_error_in_time() -> None:
    """Ray would try for minutes to speak to a port where nothing answers."""
    before = threading.active_count()
    with socket.create_server(("127.0.0.2", 0)) as silent:
        host, port = silent.getsockname()
        with pytest.raises(ConnectionError) as error, Cluster(f"{host}:{port}", connect_seconds=4.0):
            pass

    assert str(error.value) == "no answer within 4 s"
    assert threading.active_count() == before
