"""Workers on the nodes of a cluster: processes of `backfill worker` for one run, which stage and send."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.assemble.parts.helpers import Helpers
from pipeline.engines.cluster import Cluster, Event
from pipeline.errors import SettingsError
from pipeline.language import language_in_use, t

_log = logging.getLogger("backfill")


class ClusterWorkers:
    """
    The workers of a run on a cluster, for staging and sending; see `SliceWorkers` and `Helpers`.

    `command` are the words after `python` that start `backfill` on a node. What the workers do is in the ledger. So
    nothing depends on what Ray says of them: it is logged.
    """

    def __init__(self, cluster: Cluster, config: Path, command: Sequence[str]) -> None:
        self._cluster, self._config, self._command = cluster, config, command
        self._run_id: str | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return self._cluster.count

    def start(self, run_id: str) -> None:
        """Start them, for a run that is about to be staged or sent."""
        self._run_id = run_id
        words = ("worker", "--config", str(self._config), "--run", run_id, "--lang", language_in_use())
        self._cluster.start([*self._command, *words, "--until-input-ends", "--log-format", "json"])

    def stop(self) -> None:
        """Do nothing: those that staged the run will send it. They end with the run."""

    def check(self) -> None:
        """Log what happened to them."""
        for event in self._cluster.events():
            _log_event(event)

    @contextmanager
    def helpers(self, _config: Path, run_id: str, _count: int) -> Iterator[Helpers]:
        """Start them, unless they have staged the run, and end them with the context."""
        if self._run_id != run_id:
            self.start(run_id)
        try:
            yield self
        finally:
            self._cluster.stop()
            self._run_id = None
            self.check()


@contextmanager
def workers_of_cluster(
    config: Path, address: str, count: int | None, command: Sequence[str]
) -> Iterator[ClusterWorkers]:
    """
    Connect to a Ray cluster; yield the workers, which have this config. They end with the context.

    Raises SettingsError if Ray is not installed, or if there is no such cluster.
    """
    with ExitStack() as ends:
        try:
            cluster = ends.enter_context(Cluster(address, count or 0))
        except ImportError as exc:
            raise SettingsError(
                [t("--engine ray needs Ray; install it with `pip install loyalty-backfill[cluster]`")]
            ) from exc
        except ConnectionError as exc:
            raise SettingsError(
                [
                    t(
                        "--engine ray: the cluster {address} can't be used: {reason}; nothing was sent. See "
                        "docs/how-to/ray.md",
                        address=address,
                        reason=exc,
                    )
                ]
            ) from exc
        _log.info(
            t(
                "Ray cluster {address}, nodes: {nodes}; workers: {count} (default one for each node; --processes N)",
                address=address,
                nodes=", ".join(cluster.nodes),
                count=cluster.count,
            ),
            extra={"event": "cluster_connected"},
        )
        yield ClusterWorkers(cluster, config, command)


def _log_event(event: Event) -> None:
    """Log one event; of what a worker logs itself its warnings and errors."""
    node = event.get("node", "?")
    fields = {"event": f"worker_{event['event']}", "node": node, "pid": event.get("pid")}
    match event["event"]:
        case "begun":
            _log.info(t("a worker began on node {node}", node=node), extra=fields)
        case "line" if text := _warning_of(event["text"]):
            _log.warning(t("node {node}: {text}", node=node, text=text), extra=fields)
        case "ended" if event["exit_code"] != 0:
            _log.warning(
                t(
                    "the worker of node {node} ended with exit code {exit_code}; the others send what it had",
                    node=node,
                    exit_code=event["exit_code"],
                ),
                extra=fields,
            )
        case "lost":
            _log.warning(
                t(
                    "Ray can't reach the worker of node {node}: {reason} The others send what it had once its lease "
                    "has ended",
                    node=node,
                    reason=event["text"],
                ),
                extra=fields,
            )
        case "closed":
            _log.warning(t("Ray can't be reached any more; this process sends the rest"), extra=fields)


def _warning_of(line: str) -> str | None:
    """Return the text of a warning or an error; None for other lines. A line of Python itself is an error."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    return str(record["message"]) if record["level"] in ("warning", "error") else None
