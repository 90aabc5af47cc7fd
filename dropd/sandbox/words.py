"""The words of the sandbox as types: what a vendor accepted, what it saw, what is to go wrong, and what can be set."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE

VENDORS = (AMILI_ARM, AMILI_MEDIA, RECEEVE, OFFICE)
Step = Literal["token", "upload", "put", "status"]
STEPS: tuple[Step, ...] = ("token", "upload", "put", "status")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file a vendor truly took. Taking the same file twice makes two of these: no vendor documents idempotency."""

    vendor: str
    name: str  # as the vendor read it; "" for 24SevenOffice, which is never told
    sha256: str
    size: int  # bytes, decoded
    content_type: str | None  # None where the vendor's API has no place for it (ARM)
    fields: Mapping[str, str]  # the ids and fields that came with it, under the names of a route
    at: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, without its query, headers or body: those may hold secrets."""

    method: str
    path: str
    status: int | None  # None: the connection ended without an answer
    at: float  # monotonic seconds, when the request began


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is to go wrong with the next `times` fitting requests, once they have shown a good token.

    - `status`, `headers`, `body`: answer this instead, and keep no file unless `keep_file`. Without a `body` the vendor's own error form is
      sent; for a 2xx without a `body`, the vendor's way to say no inside a success code (ARM: the entry FAILED; media: `_status` ERR;
      receeve: `success: false`; the status step of 24SevenOffice: Failed, and its delivery is withdrawn).
    - `headers` alone are added to the ordinary answer. A Content-Length larger than the body breaks the answer off in its middle.
    - `delay`: seconds between the work and the answer.
    - `lose_answer`: do the work, then cut the connection without an answer.
    - `drop_midway`: cut the connection after about half of the body; nothing is kept.
    - `name` waits for a file whose name contains it; for 24SevenOffice, which knows no names, it is compared with the fileId.
    The step `status` is a 24SevenOffice status call or an ARM file list; `put` is the presigned upload.
    """

    vendor: str
    step: Step
    times: int = 1
    name: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    lose_answer: bool = False
    drop_midway: bool = False
    keep_file: bool = False

    def __post_init__(self) -> None:
        if self.vendor not in VENDORS or self.step not in STEPS:
            raise ValueError(f"no such vendor and step: {self.vendor} {self.step}; vendors are {VENDORS}, steps are {STEPS}")

    @property
    def keeps(self) -> bool:
        """Whether the vendor does the work in spite of this fault."""
        if self.drop_midway:
            return False
        return self.keep_file or self.lose_answer or (self.status is None and self.body is None)

    def as_json(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["headers"] = dict(self.headers)
        values["body"] = None if self.body is None else base64.b64encode(self.body).decode()
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Fault:
        body = values.get("body")
        return cls(**{**values, "body": None if body is None else base64.b64decode(body)})


@dataclass(kw_only=True, eq=False)
class Settings:
    """What can be set on a running sandbox. Where a vendor says nothing, these are the choices the sandbox made."""

    token_ttl: float = 3600.0  # seconds; ARM's sibling API and receeve say 3600, the others nothing
    max_body: int | None = None  # bytes of a request; a larger one gets 413 before its body is read. No vendor tells a limit
    arm_types: frozenset[str] = frozenset({"InvoiciaFormatDocFile", "DocAttachment"})  # the type values seen in ARM's pages
    arm_shows_uploads: bool = True  # whether GET files lists what was uploaded: stated nowhere
    media_rate: tuple[tuple[int, float], ...] = ((10, 1.0), (100, 60.0))  # requests in seconds; () lifts it
    media_allows_post: bool = True  # the older login by address instead of key
    receeve_needs_claim: bool = False  # whether one of externalClaimRef and productReference is required: the pages disagree
    office_organizations: frozenset[str] = frozenset({"777", "778"})
    office_pending: int = 1  # how many times Pending is said before Completed
    office_upload_method: str = "PUT"  # or POST: the vendor tells the method with each address
    office_upload_ttl: float = 900.0  # seconds a presigned address lives; the vendor gives no number

    def change(self, **values: Any) -> None:
        """Set several at once, from JSON too. Raises ValueError for a name that is not a setting."""
        for name, value in values.items():
            if name not in {f.name for f in fields(Settings)}:
                raise ValueError(f"no such setting: {name}")
            if name in {"arm_types", "office_organizations"}:
                setattr(self, name, frozenset(value))
            elif name == "media_rate":
                setattr(self, name, tuple((int(count), float(period)) for count, period in value))
            else:
                setattr(self, name, value)
