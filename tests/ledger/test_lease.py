"""Whether a holder of this machine still runs."""

import subprocess
import sys
from dataclasses import replace

from pipeline.ledger.lease import boot_id, is_dead, this_process


def test_this_process_is_not_dead() -> None:
    """A process knows itself to be alive, by number and by when it began."""
    here = this_process()

    assert not is_dead(str(here), here)
    assert (here.boot, this_process()) == (boot_id(), here)


def test_a_process_that_ended_is_dead() -> None:
    """A process that has ended, and was waited for, holds nothing any more."""
    here = this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()

    assert is_dead(str(replace(here, pid=ended.pid)), here)


def test_nothing_is_known_of_another_machine() -> None:
    """A process of another machine is not called dead, whatever its number."""
    here = this_process()

    assert not is_dead(str(replace(here, host="far", boot="other", pid=2**22 + 1)), here)
