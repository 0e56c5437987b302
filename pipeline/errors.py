"""
What stops a run. An outcome is about a row; an exception is about the run.

PipelineError
├── SettingsError   told something impossible; lists every fault, nothing was read
├── SourceError     a file is not what it claims to be; names file and row
├── LedgerError     locked, damaged, not writable, too new, or kept for another account
│   └── RunHeld     another run of the same job holds the job
└── RunHalted       the API refuses us, whatever the row; or too many rows failed; or it is down
"""

from collections.abc import Sequence


class PipelineError(Exception):
    """The root of everything that stops a run on purpose."""


class SettingsError(PipelineError):
    """
    The command line, the config or a key asks for something impossible.

    `faults` lists every fault found, each a sentence that names file, table and key.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class SourceError(PipelineError):
    """An input is missing, damaged, changed while it was used, or lacks a column. Nothing of it was sent."""


class LedgerError(PipelineError):
    """The ledger can't be used; what it holds is untouched. `users_fault` tells whether the user can mend it."""

    def __init__(self, message: str, *, users_fault: bool = True) -> None:
        self.users_fault = users_fault
        super().__init__(message)


class RunHeld(LedgerError):
    """Another run of the same job is alive; the message says who holds it."""


class RunHalted(PipelineError):
    """
    The run stops for all rows.

    `code` is the platform's code or a word of ours (too_many_failures, platform_down);
    the message says what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)
