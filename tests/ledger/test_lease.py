"""Whether a holder still runs, as far as that can be seen from here."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pipeline.ledger.store.lease import LeaseOwner, began, boot_id, is_dead, this_process

HERE = LeaseOwner(host="here", boot="boot", pid=7, began="70", namespace="1/2")


def test_this_process_is_not_dead() -> None:
    """A process knows itself to be alive, by number and by when it began."""
    here = this_process()

    assert not is_dead(str(here), here)
    assert (here.boot, here.began, this_process()) == (boot_id(), began(here.pid), here)


def test_a_process_that_ended_is_dead() -> None:
    """A process that has ended, and was waited for, holds nothing any more."""
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
def test_only_a_process_that_can_be_seen_is_called_dead(owner: LeaseOwner, seen: str | None, dead: bool) -> None:
    """A process is dead if it is of this machine, start and namespace, and gone. What can't be seen proves nothing."""
    assert is_dead(str(owner), HERE, began=lambda _pid: seen) is dead


def test_a_process_that_can_not_name_its_namespace_calls_nobody_dead() -> None:
    """Where /proc shows the processes of another namespace, or none, a number says nothing."""
    blind = replace(HERE, namespace="-")

    assert not is_dead(str(blind), blind, began=lambda _pid: None)


def test_a_line_of_an_older_ledger_names_no_namespace() -> None:
    """A holder that an older version wrote is read, and waited for."""
    assert LeaseOwner.parse("here boot 7 70") == replace(HERE, namespace="-")
    assert LeaseOwner.parse(str(HERE)) == HERE


def test_a_new_namespace_is_told_apart() -> None:
    """In a PID namespace of its own a process has a small number, and another namespace; without its /proc, none."""
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
