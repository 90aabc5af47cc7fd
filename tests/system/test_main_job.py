"""The main job, whole: people and programs drop files in every way they do, vendors are busy, and each file arrives once or is explained."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from program import CASE, sha256

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.sandbox import Fault
from dropd.sandbox.tokens import CREDENTIALS, TokenBook, private_key_pem


@dataclass(frozen=True)
class Dropped:
    """One file, how it is dropped, and what must become of it: the sidecar's error code, or None for delivered."""

    route: str
    name: str
    content: bytes
    how: str = "write"
    folder: str = ""
    meta: dict[str, object] | None = None
    error: str | None = None
    ids: tuple[tuple[str, str], ...] = ()  # what the vendor must have been told


HOWS = ("write", "rename", "cp -p", "slow")
PDF = b"%PDF-1.7 "


def arm_files() -> list[Dropped]:
    odd = [
        "plain.csv",
        "with spaces  and dots.. .csv",
        "Ærlig Ø og Å.csv",
        "A\u030arsoppgave NFD.csv",
        "quotes 'single' \"double\".csv",
        "a" * 236 + ".csv",
        "ø" * 125 + ".csv",
        os.fsdecode(b"fakt\xf8ra fra DOS.csv"),
        "UPPER.CSV",
        "-rf.csv",
        "a\nb.csv",
        "a\\b;c&d=e?f#g%h.csv",
        "{stem}.csv",
        "日本語.csv",
    ]
    good = [Dropped("acme", name, f"{number};acme".encode(), HOWS[number % 4]) for number, name in enumerate(odd)]
    return [
        *good,
        Dropped("acme", "empty.csv", b"", error="empty"),
        Dropped("acme", "too large.csv", b"x" * 60_001, "slow", error="too_large"),
        Dropped("acme", "as large as may be.csv", b"y" * 60_000, "rename"),
    ]


def companion_files() -> list[Dropped]:
    clients = ["2218", "2219", "2220", "2218", "2219"]
    good = [
        Dropped(
            "by-companion",
            f"list {n}.csv",
            f"{n};of {client}".encode(),
            HOWS[n % 4],
            meta={"client": client},
            ids=(("client_id", client),),
        )
        for n, client in enumerate(clients)
    ]
    return [
        *good,
        Dropped("by-companion", "not allowed.csv", b"na", meta={"client": "9999"}, error="not_allowed"),
        Dropped("by-companion", "no client.csv", b"nc", meta={"other": "2218"}, error="missing_value"),
        Dropped("by-companion", "a number.csv", b"an", meta={"client": 2218}, error="missing_value"),
    ]


def case_files() -> list[Dropped]:
    good = []
    for n, ending in enumerate(["pdf", "PDF", "jpg", "png", "Pdf", "pdf", "bmp", "gif"]):
        case = f"{int(CASE, 16) + n:024x}"
        content = PDF + f"case {n}".encode()
        good.append(Dropped("cases", f"{case}-faktura {n} æ.{ending}", content, HOWS[n % 4], ids=(("reference_id", case),)))
    return [
        *good,
        Dropped("cases", "scan0001.pdf", PDF + b"scan", error="name_pattern"),
        Dropped("cases", f"{CASE}-notes.txt", b"notes", error="wrong_type"),
        Dropped("cases", f"{'0' * 24}-lost.pdf", PDF + b"lost", error="refused"),
    ]


def debtor_files() -> list[Dropped]:
    good = []
    for n, folder in enumerate(["acc-1", "acc-1", "acc-2", "acc-3", "konto Ø"]):
        content = PDF + f"letter {n}".encode()
        ids = (("account_id", folder), ("externalClaimRef", f"letter {n}"))
        good.append(Dropped("debtors", f"letter {n}.pdf", content, HOWS[n % 4], folder, ids=ids))
    return [
        *good,
        Dropped("debtors", "letter 0.pdf", PDF + b"the same name elsewhere", "rename", "acc-4"),
        Dropped("debtors", "nobody's.pdf", PDF + b"nobody", error="missing_value"),
        Dropped("debtors", "x.pdf", PDF + b"x", folder="acc_evil", error="not_allowed"),
        Dropped("debtors", "u.pdf", PDF + b"u", folder="unknown-7", error="refused"),
    ]


def voucher_files() -> list[Dropped]:
    names = [
        "bilag.pdf",
        "Bilag 2.PDF",
        "kvittering.jpg",
        "no ending",
        os.fsdecode(b"bil\xe5g.pdf"),
        "b" * 251 + ".pdf",
        "c.png",
        "d.pdf",
    ]
    good = [Dropped("vouchers", name, PDF + f"voucher {n}".encode(), HOWS[n % 4]) for n, name in enumerate(names)]
    return [*good, Dropped("vouchers", "nothing.pdf", b"", error="empty")]


def drop(place, one: Dropped) -> None:
    """As a person or a program would."""
    folder = Path(place.routes[one.route]["inbox"], one.folder)
    folder.mkdir(exist_ok=True)
    target = folder / one.name
    if one.meta is not None:
        (folder / f"{one.name}.meta.json").write_text(json.dumps(one.meta))
    if one.how == "write":
        target.write_bytes(one.content)
    elif one.how == "rename":
        (folder / f"{len(one.name)}.part").write_bytes(one.content)
        (folder / f"{len(one.name)}.part").rename(target)
    elif one.how == "cp -p":
        source = place.root / "elsewhere"
        source.write_bytes(one.content)
        os.utime(source, (1e9, 1e9))
        shutil.copy2(source, target)
    else:
        with target.open("wb", buffering=0) as out:
            step = max(len(one.content) // 4, 1)
            for at in range(0, len(one.content), step):
                out.write(one.content[at : at + step])
                time.sleep(0.06)  # a writer that takes its time, though less than settle


LEFT = (
    "acme/readme.txt",
    "acme/~$plain.csv",
    "acme/half.csv.crdownload",
    "acme/.hidden.csv",
    "acme/link.csv",
    "by-companion/alone.csv",
)


def configure(place) -> None:
    place.defaults["settle"] = "300ms"
    place.route("arm", "acme", match=["*.csv"], max_size="60KB")
    place.route("arm", "by-companion", client_id="{meta.client}", allow={"client_id": ["2218", "2219", "2220"]}, match=["*.csv"])
    place.route("cases", name_pattern="(?P<case>[0-9a-f]{24})[-_ ].*", reference_id="{case}")
    letters = {"subfolders": True, "account_id": "{folder}", "extra_fields": {"externalClaimRef": "{stem}"}}
    place.route("debtors", allow={"account_id": "[A-Za-zØ0-9 -]{1,40}"}, **letters)
    place.route("office", "vouchers", file_type=None)


def make_trouble(sandbox) -> None:
    """Busy servers, lost tokens and a presigned address that has lapsed: nothing that costs a file."""
    for vendor in (AMILI_ARM, AMILI_MEDIA, RECEEVE, OFFICE):
        sandbox.fault(Fault(vendor=vendor, step="token", status=503, headers={"Retry-After": "0"}))
        sandbox.fault(Fault(vendor=vendor, step="upload", status=503, headers={"Retry-After": "1"}))
        sandbox.fault(Fault(vendor=vendor, step="upload", status=429))
    sandbox.fault(Fault(vendor=OFFICE, step="put", status=403, times=2))
    sandbox.fault(Fault(vendor=OFFICE, step="put", lose_answer=True))
    sandbox.fault(Fault(vendor=OFFICE, step="put", drop_midway=True))
    sandbox.fault(Fault(vendor=OFFICE, step="status", status=500, times=2))


@pytest.fixture
def secrets(monkeypatch) -> list[str]:
    """Everything that must be seen nowhere: what the sandbox gives out is added as it is given."""
    found = [known.client_secret for known in CREDENTIALS.values()]
    found += [line for line in private_key_pem().splitlines() if "-----" not in line]
    issue = TokenBook.issue

    def noted(self, vendor, subject, ttl):
        found.append(issue(self, vendor, subject, ttl))
        return found[-1]

    monkeypatch.setattr(TokenBook, "issue", noted)
    return found


def test_every_acceptable_file_arrives_once_and_every_other_one_is_explained(place, sandbox, secrets):
    configure(place)
    dropped = [*arm_files(), *companion_files(), *case_files(), *debtor_files(), *voucher_files()]
    assert len(dropped) >= 50
    make_trouble(sandbox)
    half = len(dropped) // 2
    for one in dropped[::2][: half // 2]:  # some lie there before dropd starts
        drop(place, one)
    later = [one for one in dropped if one not in dropped[::2][: half // 2]]
    for path in LEFT[:-2]:
        (place.root / path).write_bytes(b"not for anybody")
    (place.root / "acme/link.csv").symlink_to(place.config)
    (place.root / "by-companion/alone.csv").write_bytes(b"its companion never comes")
    with place.start() as program:
        writers = [
            threading.Thread(target=lambda part=part: [drop(place, one) for one in part]) for part in (later[::2], later[1::2])
        ]
        for writer in writers:
            writer.start()
        program.wait_for("accepted", count=5)
        sandbox.expire_tokens()
        for writer in writers:
            writer.join()
        program.wait_for("accepted", count=15)
        sandbox.expire_tokens()
        results = place.results(len(dropped))
        assert program.stop() == 0
    check_results(dropped, results)
    check_vendors(dropped, sandbox)
    check_folders(place)
    check_secrets(place, secrets, results)


def check_results(dropped: list[Dropped], results: list[dict]) -> None:
    by_content = {(about["route"], about["file"]["sha256"]): about for about in results if about["file"]["size"]}
    by_content |= {(about["route"], sha256(b"")): about for about in results if not about["file"]["size"]}
    for one in dropped:
        about = by_content[one.route, sha256(one.content)]
        assert (about["error"] or {}).get("code") == one.error, about
        assert about["filed"].read_bytes() == one.content
        assert about["path"].parent.name == (one.folder or ("failed" if one.error else "done"))
        assert about["summary"]
        assert bool(about["advice"]) == bool(one.error)
        assert about["status"] == ("failed" if one.error else "delivered")
        assert not about["possible_duplicate"]
        assert (about["receipt"] is not None) == (one.error is None)
        companion = about["filed"].with_name(about["filed"].name + ".meta.json")
        assert companion.is_file() == (one.meta is not None)


def check_vendors(dropped: list[Dropped], sandbox) -> None:
    assert sandbox.violations() == []
    delivered = sandbox.deliveries()
    assert Counter(delivery.sha256 for delivery in delivered) == Counter(
        sha256(one.content) for one in dropped if one.error is None
    )
    told = {delivery.sha256: delivery for delivery in delivered}
    for one in dropped:
        if one.error is None:
            fields = told[sha256(one.content)].fields
            assert {key: fields.get(key) for key, _ in one.ids} == dict(one.ids)
    names = {delivery.name for delivery in delivered}
    assert {"Ærlig Ø og Å.csv", "Årsoppgave NFD.csv", "UPPER.CSV", "fakt_xf8ra fra DOS.csv"} <= names


def check_folders(place) -> None:
    left = {path.relative_to(place.root).as_posix() for path in place.root.rglob("*") if path.is_symlink() or path.is_file()}
    inboxes = tuple(f"{name}/" for name in place.routes)
    left = {path for path in left if path.startswith(inboxes)}
    lying = {path for path in left if not {"done", "failed", ".dropd"} & set(path.split("/"))}
    assert lying == set(LEFT)
    assert {path for path in left if "/.dropd/" in path} == {f"{name}/.dropd/inbox.json" for name in place.routes}
    about = place.json("status")
    alone = {route["route"]: set(route["left_alone"]) for route in about["routes"]}
    assert alone["acme"] == {"readme.txt", "link.csv"}
    assert alone["by-companion"] == {"alone.csv"}
    assert about["oldest_unfinished"] is None


def check_secrets(place, secrets: list[str], results: list[dict]) -> None:
    assert len(secrets) > 8, "no token was given out"
    files = [*place.state.iterdir(), place.log, *(about["path"] for about in results)]
    for file in files:
        content = file.read_bytes()
        for secret in [*secrets, "X-Amz-Signature", "X-Goog-Signature"]:
            assert secret.encode() not in content, file
