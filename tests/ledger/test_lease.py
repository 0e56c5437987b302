"""Whether the owner of a lease still runs, as far as this process can see."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.ledger.store.lease import LeaseOwner, began, boot_id, is_dead, this_process

HERE = LeaseOwner(host="here", boot="boot", pid=7, began="70", namespace="1/2")


def test_this_process_is_not_dead() -> None:
    """A process sees itself as alive, by its PID and the time it began."""
    here = this_process()

    assert not is_dead(str(here), here)
    assert (here.boot, here.began, this_process()) == (boot_id(), began(here.pid), here)


def test_a_process_that_ended_is_dead() -> None:
    """A process that has ended, and was waited for, is dead."""
    here = this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    assert began(ended.pid) is None
    assert is_dead(str(replace(here, pid=ended.pid)), here)


@pytest.mark.parametrize(
    ("owner", "seen", "dead"),
    [
        pytest.param(HERE, "70", False, id="it runs"),
        pytest.param(HERE, None, True, id="it is gone"),
        pytest.param(HERE, "90", True, id="its number was given to another process"),
        pytest.param(HERE, "-", False, id="it is there and does not show when it began"),
        pytest.param(replace(HERE, began="-"), "70", False, id="it never showed when it began"),
        pytest.param(replace(HERE, host="far"), None, False, id="another machine"),
        pytest.param(replace(HERE, boot="other"), None, False, id="another machine with this name"),
        pytest.param(replace(HERE, namespace="9/2"), None, False, id="another PID namespace"),
        pytest.param(replace(HERE, namespace="1/9"), None, False, id="another time namespace"),
        pytest.param(replace(HERE, namespace="-"), None, False, id="a namespace that it could not name"),
    ],
)
def test_only_a_visible_process_is_called_dead(owner: LeaseOwner, seen: str | None, dead: bool) -> None:
    """A process of this host, boot and namespace is dead if it is gone. Others count as alive."""
    assert is_dead(str(owner), HERE, began=lambda _pid: seen) is dead


def test_a_process_without_namespace_calls_nobody_dead() -> None:
    """If /proc shows other processes or none, a PID proves nothing."""
    blind = replace(HERE, namespace="-")

    assert not is_dead(str(blind), blind, began=lambda _pid: None)


def test_an_owner_of_an_older_ledger_has_no_namespace() -> None:
    """An owner that an older version wrote is read, and counts as alive."""
    assert LeaseOwner.parse("here boot 7 70") == replace(HERE, namespace="-")
    assert LeaseOwner.parse(str(HERE)) == HERE


def test_a_new_namespace_is_recognised() -> None:
    """In a PID namespace of its own a process has another namespace; without a /proc of its own it has none."""
    tell = "from pipeline.ledger.store.lease import this_process as me; print(me().pid, me().namespace)"
    unshare = ["unshare", "--map-root-user", "--pid", "--fork"]
    with_proc, without = (
        subprocess.run([*unshare, *mounts, sys.executable, "-c", tell], capture_output=True, text=True, check=True)
        for mounts in (["--mount-proc"], [])
    )

    pid, namespace = with_proc.stdout.split()
    assert int(pid) < 9
    assert namespace not in ("-", this_process().namespace)
    assert without.stdout.split()[1] == "-"
