"""What a provider is: an adapter for one vendor's upload API, holding one account. Third parties register under `dropd.providers`.

An adapter never sleeps, moves files or sees the ledger. It turns what a vendor says into an Outcome; policy.py decides what follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO, ClassVar, Protocol

from dropd.fields import ProviderOptions
from dropd.model import Outcome, Refused, Target

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What the pipeline must know of a vendor, beside what its answers say."""

    label: str  # the vendor's name for people: "Amili ARM"
    ids: frozenset[str]  # the route keys this vendor understands, as DESIGN 2.1 lists them
    required_ids: frozenset[str]
    content_types: frozenset[str] | None = None  # None: the vendor takes any
    file_types: frozenset[str] | None = None  # None: any text; else a file_type is one of these, or absent
    file_type_is_content_type: bool = False
    can_ask: bool = False  # ask() can tell whether an unconfirmed file arrived
    requests_per_send: int = 1  # what one send() costs of the account's rate


class Proof(Enum):
    """What the notes of a send that died prove."""

    NOT_SENT = "not_sent"
    POLLABLE = "pollable"  # it may have arrived, and poll() can tell
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One drop as a provider sees it."""

    drop_id: str
    name: str  # NFC, encodable, without path separators and control characters
    size: int  # bytes, as at the take: the body has exactly so many, or the outcome is Changed
    content_type: str
    target: Target
    open: Callable[[], BinaryIO]  # a fresh reader from the first byte; the adapter closes it
    polls: int = 0  # calls of poll() before this one
    since: float = 0.0  # when polling began


class Notes(Protocol):
    """What must survive a crash between two steps of one delivery. Never a secret: no token, no presigned URL."""

    def get(self, key: str) -> str | None: ...

    def save(self, **notes: str) -> None:
        """Durable on return."""


class Provider(Protocol):
    """One account at one vendor. Thread-safe: `concurrency` senders share it."""

    Options: ClassVar[type[ProviderOptions]]
    traits: ClassVar[Traits]
    own_fields: ClassVar[frozenset[str]]  # names of the vendor's own form fields, which an extra field may not take

    def __init__(self, name: str, options: Any, *, clock: Clock, secrets: Callable[[Any], str], stop: threading.Event) -> None:
        """`name` is the account's in the configuration; `secrets` turns a fields.Secret into its text; `stop` cuts short retries within a call."""

    def check(self, target: Target, content_type: str) -> Refused | None:
        """Whether this vendor can take such a file at all: decided before anything is sent, without I/O."""

    def login(self) -> Outcome | None:
        """None with a token in hand that is good for one upload; else Later or Misconfigured(account). Changes nothing at the vendor."""

    def send(self, parcel: Parcel, notes: Notes) -> Outcome:
        """Hands the file over. What the vendor and the network do comes back as an outcome, never as an exception.

        What `parcel.open` (but for OSError) and `notes.save` raise passes through.
        """

    def poll(self, parcel: Parcel, notes: Notes) -> Outcome:
        """After Pending. Later here means that the vendor could not be asked: it has the file, and nothing is decided."""

    def ask(self, parcel: Parcel, notes: Notes) -> Outcome:
        """After Unconfirmed: Accepted, Absent or Unconfirmed; Later when the vendor could not be reached."""

    def proof(self, notes: Mapping[str, str]) -> Proof:
        """What the notes of a send that died with its process prove. Pure."""

    def close(self) -> None:
        """Close connections. Nothing is under way any more."""
