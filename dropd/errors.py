"""What can go wrong, as types: each says whether it is the configuration's, the folder's or the ledger's fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class DropdError(Exception):
    """The base of all that dropd raises on purpose. Its text is a whole sentence for a person, without secrets."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration, at a place a person can go to."""

    file: str
    line: int  # from 1; 0 where the file as a whole is meant
    where: str  # `routes[acme-invoices].client_id`
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.what}; {self.remedy}"


class ConfigError(DropdError):
    """The configuration cannot be used; carries every problem found. Exit code 78."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class SecretMissing(DropdError):
    """A secret that the configuration names is not there. Exit code 78."""


class Locked(DropdError):
    """Another `dropd run` holds the state folder. Exit code 1."""


class LedgerError(DropdError):
    """The ledger cannot be used as it is: newer than the code, damaged, out of space."""


class LedgerTooNew(LedgerError):
    """Written by a newer dropd. Exit code 78."""


class Lost(LedgerError):
    """A compare-and-set found the row in another state: somebody else moved it, and what we wanted to do is no longer ours."""


class InboxTrouble(DropdError):
    """An inbox cannot be used now; `reason` is what `status` shows. It can heal by itself."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Gone(DropdError):
    """A file is not where it was seen: taken back, renamed, or replaced."""


class StillWritten(DropdError):
    """A file changed between look and take: somebody still writes to it."""


class NameTaken(DropdError):
    """A name in done/ or failed/ is in use; filing never replaces."""


def in_words(error: Exception) -> str:
    """What went wrong, without a system's numbers."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
