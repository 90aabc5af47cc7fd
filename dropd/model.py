"""The words of dropd as types: states, targets, drops, outcomes. No I/O, no clock.

Times are seconds since the epoch (UTC) as float unless a name says otherwise; a person sees them as RFC 3339 with offset (result.py).
File names are `str` as Python decodes them from the file system: bytes that are not UTF-8 stand as lone surrogates (PEP 383).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

from dropd.naming import display

AMILI_ARM = "amili-arm"
AMILI_MEDIA = "amili-media"
RECEEVE = "receeve"
OFFICE = "24sevenoffice"


class State(StrEnum):
    """Where a drop is in its life. Each has one meaning; policy.py says which may follow which."""

    TAKING = "taking"  # the row stands, the file is on its way from the inbox into work/
    READY = "ready"  # in work/, target frozen, surely not delivered
    SENDING = "sending"  # a call to the provider may be under way
    CONFIRMING = "confirming"  # the vendor said "later"; asked again by due_at
    UNCONFIRMED = "unconfirmed"  # no verdict came back, and the vendor may have the file
    ACCEPTED = "accepted"  # the verdict is in the ledger, the file still in work/
    REJECTED = "rejected"  # likewise, to be filed in failed/
    DONE = "done"  # filed, with its sidecar
    FAILED = "failed"  # filed, with its sidecar
    RELEASED = "released"  # given back to the inbox untouched: it was gone, or somebody still wrote to it


FINAL = frozenset({State.DONE, State.FAILED, State.RELEASED})
UNFINISHED = frozenset(State) - FINAL


class Status(StrEnum):
    """What the sidecar says became of a drop."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    DUPLICATE = "duplicate"


class Code(StrEnum):
    """Why a drop was not delivered: `error.code` of the sidecar."""

    REFUSED = "refused"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    WRONG_TYPE = "wrong_type"
    NAME_PATTERN = "name_pattern"
    MISSING_VALUE = "missing_value"
    NOT_ALLOWED = "not_allowed"
    CHANGED_WHILE_SENDING = "changed_while_sending"
    FILE_MISSING = "file_missing"
    GAVE_UP = "gave_up"
    UNCONFIRMED = "unconfirmed"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Error:
    """`message` is in the provider's words where the provider spoke, without secrets, at most a few KiB."""

    code: Code
    message: str
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A route's ids and fields resolved for one drop."""

    client_id: str | None = None
    account_id: str | None = None
    reference_id: str | None = None
    file_type: str | None = None
    domain: str | None = None
    dotted_path: str | None = None
    extra_fields: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def key(self) -> str:
        """A short text that two equal targets share: what a pause of one target, and a drop's identity, hang on."""
        text = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def identity(provider: str, target: Target, sha256: str) -> str:
    """Two drops with the same identity are duplicates: same content, same account, same target; never path, inode or name.

    `extra_fields` describe a delivery and do not make it another one (DESIGN 4).
    """
    ids = {k: v for k, v in target.as_dict().items() if k != "extra_fields"}
    text = json.dumps([provider, ids, sha256], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one version of a file from another: as long as a stamp stays the same, nobody wrote."""

    inode: int
    size: int  # bytes
    mtime_ns: int

    @classmethod
    def of(cls, about: os.stat_result) -> Stamp:
        """Anybody may date a file to any year; beyond what 64 bits of nanoseconds hold (1677 to 2262) one date is as good as another."""
        return cls(about.st_ino, about.st_size, max(-(2**63), min(about.st_mtime_ns, 2**63 - 1)))


@dataclass(frozen=True, slots=True)
class Taking:
    """What is known of a file at the moment when it is taken."""

    route: str
    provider: str  # the account's name in the configuration
    provider_type: str
    inbox: str  # the inbox's path, so that a drop outlives its route
    inbox_id: str
    folder: str  # below the inbox, "" for the inbox itself, "/" between levels
    name: str
    companion: bool  # `<name>.meta.json` is taken with it
    stamp: Stamp
    owner_name: str | None  # who dropped it, as the operating system knows them


@dataclass(frozen=True, slots=True)
class Drop:
    """One row of the ledger as it stood when it was read."""

    id: str
    state: State
    taking: Taking
    owner: str | None  # the running daemon that works on it now; None: nobody
    attempt: int  # calls of send() so far; grows only
    setbacks: int  # of them, those that ended in Later: what backoff grows by
    polls: int  # calls of poll() since the vendor said "later"
    due_at: float | None  # not before this time
    give_up_at: float | None
    since: float  # when it entered its state
    taken_at: float
    finished_at: float | None = None
    sha256: str | None = None
    content_type: str | None = None
    target: Target = field(default_factory=Target)
    notes: Mapping[str, str] = field(default_factory=dict)  # what a provider noted durably
    receipt: Mapping[str, Any] | None = None
    error: Error | None = None
    status: Status | None = None
    possible_duplicate: bool = False
    duplicate_of: str | None = None
    person_order: bool = False  # a person said "again": the duplicate check is passed over
    filed_dir: str | None = None  # the folder it is filed in: an absolute path
    filed_as: str | None = None  # its final name there

    @property
    def shown_path(self) -> str:
        """Where it was dropped, below its inbox, fit to be shown."""
        taking = self.taking
        return display(f"{taking.folder}/{taking.name}" if taking.folder else taking.name)

    @property
    def may_double(self) -> bool:
        """Whether its content may be at the vendor already, by this drop or another, so that sending it again says so."""
        return self.possible_duplicate or self.status in (Status.UNCONFIRMED, Status.DUPLICATE)

    @property
    def short_id(self) -> str:
        """The random end of the id: what is added to a name that is taken, and shown where space is short."""
        return self.id[-6:]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to the provider that came to something, as the sidecar lists it."""

    started_at: float
    finished_at: float
    outcome: str  # an outcome's name in snake_case
    http_status: int | None
    message: str | None
    trace_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of a drop's state: what policy.py decides and the ledger commits, with its line of the audit trail."""

    to: State
    event: str  # what happened, as a stable snake_case name
    data: Mapping[str, Any] = field(default_factory=dict)  # what the audit trail tells of it
    attempt: Attempt | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)  # fields of Drop


@dataclass(frozen=True, slots=True)
class Pause:
    """An account, or one target of it, that is not sent to for now. One waiting drop at a time probes it from `probe_at` on."""

    provider: str
    target: str  # Target.key(), or "" for the whole account
    kind: Literal["login", "forbidden", "busy", "down"]  # busy: a short one; it becomes down when it lasts
    reason: str
    since: float
    probe_at: float
    tries: int

    @property
    def stops_the_clock(self) -> bool:
        """Whether the time counts towards give_up_after: a vendor that is briefly busy is an ordinary setback."""
        return self.kind != "busy"


@dataclass(frozen=True, slots=True)
class Inbox:
    """What the ledger knows of an inbox: its mark, whether it can be used, and what is left lying in it."""

    route: str
    path: str
    inbox_id: str | None
    red: str | None  # the reason, for people
    since: float
    last_look: float | None
    left_alone: Mapping[str, str] = field(default_factory=dict)  # shown path -> why


# ---------------------------------------------------------------------------------------------------- outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What every outcome may carry besides its own meaning. `reason` is fit for a person and free of secrets."""

    reason: str = ""
    http_status: int | None = None
    trace_id: str | None = None
    doubled: bool = False  # an earlier try may have arrived as well: the drop is a possible duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(_Answer):
    """The vendor has the file and said so."""

    receipt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(_Answer):
    """The vendor has the file and has not decided; `again_at` is when to poll."""

    again_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Later(_Answer):
    """Surely not delivered, worth another try. `not_before`: what Retry-After said.

    `whole_account`: the vendor as a whole is busy or out of reach (429, 503, no connection), so that trying other drops now would only
    add to it; otherwise the trouble is this drop's alone.
    """

    not_before: float | None = None
    whole_account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(_Answer):
    """Asked after doubt, the vendor shows that it does not have the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(_Answer):
    """The vendor said no to this file; trying again without a change is useless."""

    code: Code = Code.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Misconfigured(_Answer):
    """The fault lies in the account or in the target, not in the file."""

    scope: Literal["account", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(_Answer):
    """The file was longer or shorter than at the take; nothing whole was delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconfirmed(_Answer):
    """The whole body was handed to the network and no verdict came back."""


Outcome = Accepted | Pending | Later | Absent | Refused | Misconfigured | Changed | Unconfirmed

OUTCOME_NAMES: Mapping[type[Any], str] = {
    Accepted: "accepted",
    Pending: "pending",
    Later: "later",
    Absent: "absent",
    Refused: "refused",
    Misconfigured: "misconfigured",
    Changed: "changed",
    Unconfirmed: "unconfirmed",
}
