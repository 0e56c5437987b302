"""
Errors of a run. An outcome is about a row; an exception is about the run.

A run that the platform stops is no error: it concludes, with a report and exit code 4 (`Halt`, `RunControl`).

PipelineError
├── SettingsError   the command line, the config or a key is wrong; lists every fault; nothing was sent
├── SourceError     an input is missing or damaged; names file and row
└── LedgerError     the ledger is locked, damaged, not writable, too new, or of another account
    ├── LedgerBehind  the ledger is an old copy or was lost: requests were sent that it does not have
    └── RunHeld     another run of the job is active: exit code 6, nothing was done
"""

from collections.abc import Sequence


class PipelineError(Exception):
    """Base class of all errors that stop a run on purpose."""


class SettingsError(PipelineError):
    """
    The command line, the config or a key is wrong.

    `faults` lists every fault, each a sentence that names file, table and key.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class SourceError(PipelineError):
    """An input is missing or damaged, lacks a column, or changed during the run. None of its rows was sent."""


class LedgerError(PipelineError):
    """The ledger can't be used. What was committed before stays. `users_fault`: whether the user can fix the cause."""

    def __init__(self, message: str, *, users_fault: bool = True) -> None:
        self.users_fault = users_fault
        super().__init__(message)


class LedgerBehind(LedgerError):
    """Requests were sent that the ledger does not have; the message names the evidence. Nothing was sent now."""


class RunHeld(LedgerError):
    """Another run of the same job is active; the message names the process."""


def exit_code_of_error(error: Exception) -> int:
    """Return the exit code of a command that ends with this error: 1, 2 or 6."""
    if isinstance(error, RunHeld):
        return 6
    is_users_fault = isinstance(error, SettingsError | SourceError) or (
        isinstance(error, LedgerError) and error.users_fault
    )
    return 2 if is_users_fault else 1
