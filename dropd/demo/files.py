"""The files of `dropd demo`, made in code, and what is to become of each: three chapters."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.sandbox import Fault
from dropd.sandbox.address import INBOXES

_CASE = "6867da7788b9226bb78d716c"


def _csv(*rows: str) -> bytes:
    return "".join(f"{row}\r\n" for row in ("invoice;customer;due;amount", *rows)).encode()


def _pdf(words: str) -> bytes:
    """One page with one line of text."""
    text = f"BT /F1 18 Tf 72 760 Td ({words}) Tj ET".encode("ascii")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (table, start)


def _scan(width: int = 620, height: int = 877) -> bytes:
    """A grey PNG that looks like a page with lines of writing, as a scanner makes it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def grey(x: int, y: int) -> int:
        written = 60 < x < width - 60 - y * 7 % 97 and 90 < y < height - 90 and y % 24 < 9 and (x * 31 + y // 24 * 17) % 11 < 8
        return 40 if written else 236 + (x * y) % 13

    rows = b"".join(b"\0" + bytes(grey(x, y) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the play, and how it is to end."""

    vendor: str
    inbox: str
    path: str  # below the inbox
    content: bytes
    ends: str = "delivered"  # the status in its sidecar

    @property
    def booked(self) -> int:
        """How often the vendor has it in the end; of the unconfirmed one the vendor kept the file and lost the answer."""
        return 1 if self.ends in ("delivered", "unconfirmed") else 0

    @property
    def sha256(self) -> str:
        return sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    text: str
    files: Sequence[File]
    faults: Sequence[Fault] = ()
    logins_expire: bool = False


def chapters() -> list[Chapter]:
    acme, cases, letters, vouchers = INBOXES
    november = _csv("1041;Berg AS;2026-12-01;1250.00", "1042;Fjord Fisk;2026-12-01;318.40", "1043;Lien Bakeri;2026-12-03;92.15")
    row_missing = b'{"status":"FAILED","result":"REJECTED","message":"Row 3: the amount is missing"}'
    return [
        Chapter(
            "An ordinary day",
            "Four people drop four files. Each inbox belongs to another vendor.",
            [
                File(AMILI_ARM, acme, "november.csv", november),
                File(AMILI_MEDIA, cases, f"{_CASE}-scan.png", _scan()),
                File(RECEEVE, letters, "acc-1001/reminder.pdf", _pdf("First reminder for account 1001")),
                File(OFFICE, vouchers, "voucher-0042.pdf", _pdf("Voucher 42")),
            ],
        ),
        Chapter(
            "A bad day for the vendors",
            "Every login expires, one vendor is busy, and an upload address turns out to be too old. Nobody needs to do anything.",
            [
                File(AMILI_ARM, acme, "december.csv", _csv("1044;Berg AS;2027-01-04;1250.00")),
                File(AMILI_MEDIA, cases, f"{_CASE}-invoice.pdf", _pdf("The original invoice of the case")),
                File(OFFICE, vouchers, "voucher-0043.pdf", _pdf("Voucher 43")),
            ],
            [
                Fault(
                    vendor=AMILI_MEDIA,
                    step="upload",
                    name="-invoice.pdf",
                    status=503,
                    headers={"Retry-After": "1"},
                    body=b'{"_status":"ERR","_error":{"code":503,"message":"Maintenance, back in a moment"}}',
                ),
                Fault(vendor=OFFICE, step="put", status=403),
            ],
            logins_expire=True,
        ),
        Chapter(
            "Files that need a person",
            "An account that nobody knows, a name without a case number, a row without an amount, the same content twice, and an answer "
            "that gets lost on its way back.",
            [
                File(RECEEVE, letters, "unknown-7/reminder.pdf", _pdf("Reminder for account 7"), "failed"),
                File(AMILI_MEDIA, cases, "letter.pdf", _pdf("A letter without a case number"), "failed"),
                File(AMILI_ARM, acme, "no-amount.csv", _csv("1045;Fjord Fisk;2027-01-04;"), "failed"),
                File(AMILI_ARM, acme, "november (copy).csv", november, "duplicate"),
                File(RECEEVE, letters, "acc-1002/contract.pdf", _pdf("Contract of account 1002"), "unconfirmed"),
            ],
            [
                Fault(vendor=AMILI_ARM, step="upload", name="no-amount", status=422, body=row_missing),
                Fault(vendor=RECEEVE, step="upload", name="contract", lose_answer=True),
            ],
        ),
    ]
