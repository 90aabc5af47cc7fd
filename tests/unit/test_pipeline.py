"""One drop's life with a vendor that follows a script: take, prepare, deliver, and what does not fit on the way."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles import NOW, OWNER, RULES, Scripted, World
from steps import CONTENT, DONE, FAILED, deliver, events, only, only_codes, sidecar, take

from dropd.ledger.base import Ledger
from dropd.model import (
    Absent,
    Accepted,
    Code,
    Drop,
    Later,
    Misconfigured,
    Pending,
    Refused,
    State,
    Status,
    Unconfirmed,
)
from dropd.spool import work

# ------------------------------------------------------------------------------------------------ the whole way


def test_from_the_inbox_to_done(world: World) -> None:
    ready = take(world)
    assert (ready.state, ready.sha256) == (State.READY, hashlib.sha256(CONTENT.encode()).hexdigest())
    assert (ready.due_at, ready.give_up_at, ready.owner) == (NOW, NOW + 86400, None)
    assert world.files() == {}
    deliver(world)
    drop = only(world)
    assert (drop.state, drop.status, drop.attempt, drop.owner) == (State.DONE, Status.DELIVERED, 1, None)
    assert events(world) == ["taking", "ready", "sending", "accepted", "filed"]
    assert world.files()["done/invoice.csv"] == CONTENT
    assert sorted(world.files()) == DONE
    assert sidecar(world, DONE[1])["attempts"][0]["outcome"] == "accepted"
    assert world.work() == []


def test_what_the_vendor_is_handed(world: World) -> None:
    take(world, world.drop("blå\u202e.csv"))
    deliver(world)
    ((verb, parcel),) = world.provider.calls
    assert (verb, parcel.name, parcel.size, parcel.content_type) == ("send", "blå_u202e.csv", len(CONTENT), "text/csv")
    assert (parcel.target.client_id, world.provider.bodies) == ("2218", [CONTENT.encode()])


def test_a_refused_file_goes_to_failed_with_the_vendors_words(world: World) -> None:
    world.provider.script = [Refused(reason="The vendor answered 422: Ugyldig", http_status=422)]
    take(world)
    deliver(world)
    assert (only(world).state, sorted(world.files())) == (State.FAILED, FAILED)
    told = sidecar(world, FAILED[1])
    assert told["error"] == {"code": "refused", "message": "The vendor answered 422: Ugyldig", "http_status": 422}
    assert "“Ugyldig”" in told["summary"] and told["advice"]


def test_later_means_again_later_and_both_attempts_are_told(world: World) -> None:
    world.provider.script = [Later(reason="busy", http_status=503)]
    take(world)
    deliver(world)
    assert (only(world).state, only(world).due_at, only(world).setbacks) == (State.READY, NOW + 5, 1)
    assert world.ledger.claim("arm", OWNER, NOW, ()) is None
    world.clock.now += 5
    deliver(world)
    assert [attempt["outcome"] for attempt in sidecar(world, DONE[1])["attempts"]] == ["later", "accepted"]


def test_a_vendor_that_says_later_is_polled_and_not_sent_to_again(world: World) -> None:
    world.provider.script = [Pending(again_at=NOW + 3), Pending(again_at=NOW + 6), Accepted(receipt={"file_id": "7"})]
    take(world)
    for _ in range(3):
        deliver(world)
        world.clock.now += 3
    assert world.provider.verbs() == ["send", "poll", "poll"]
    assert [parcel.polls for _, parcel in world.provider.calls] == [0, 0, 1]
    assert sidecar(world, DONE[1])["receipt"] == {"file_id": "7"}


def test_a_doubt_is_asked_about_where_the_vendor_can_be_asked(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, Scripted(Unconfirmed(reason="?"), Absent()), rules=replace(RULES, can_ask=True))
    take(world)
    for _ in range(3):
        deliver(world)
    assert world.provider.verbs() == ["send", "ask", "send"]
    assert only(world).state is State.DONE


def test_a_doubt_is_held_where_nobody_can_be_asked(world: World) -> None:
    world.provider.script = [Unconfirmed(reason="no answer")]
    take(world)
    deliver(world)
    assert deliver(world) is None
    assert (only(world).state, only(world).status, world.provider.verbs()) == (State.FAILED, Status.UNCONFIRMED, ["send"])
    assert sidecar(world, FAILED[1])["summary"].startswith("Not certain:")


@pytest.mark.parametrize("scope", ["account", "target"])
def test_a_fault_of_the_account_fails_no_file(world: World, scope: Any) -> None:
    world.provider.script = [Misconfigured(reason="who?", scope=scope)] * 5
    take(world)
    for _ in range(6):
        deliver(world)
    assert (only(world).state, only(world).setbacks, world.provider.verbs()) == (State.DONE, 0, ["send"] * 6)


def test_what_an_adapter_raises_is_never_taken_for_not_sent(world: World) -> None:
    """An error of the adapter's own ends the process; recovery then asks, or holds."""
    world.provider.script = [OSError("a pipe broke in a third party's adapter")]
    take(world)
    with pytest.raises(OSError, match="third party"):
        deliver(world)
    assert only(world).state is State.SENDING


# ------------------------------------------------------------------------------------------------ not fit to be sent


@pytest.mark.parametrize(
    ("keys", "content", "code"),
    [
        ({"ids": {"account_id": "{folder}"}}, CONTENT, Code.MISSING_VALUE),
        ({"max_size": 5}, CONTENT, Code.TOO_LARGE),
        ({}, "", Code.EMPTY),
        ({"ids": {"client_id": "{meta.client}"}}, CONTENT, Code.MISSING_VALUE),
    ],
)
def test_what_does_not_fit_is_filed_without_a_call(
    ledger: Ledger, tmp_path: Path, keys: dict[str, Any], content: str, code: Code
) -> None:
    world = World(tmp_path / "inbox", ledger, **keys)
    drop = take(world, world.drop(content=content))
    assert (drop.state, drop.error.code if drop.error else None) == (State.FAILED, code)
    assert drop.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert (sorted(world.files()), world.provider.calls) == (FAILED, [])
    assert sidecar(world, FAILED[1])["attempts"] == []


def test_what_the_vendor_cannot_take_at_all_is_refused_before_it_is_sent(world: World) -> None:
    world.provider.refuses = Refused(reason="It takes PDF alone", code=Code.WRONG_TYPE)
    assert take(world).error == take(world, world.drop("b.csv")).error
    assert only_codes(world) == [Code.WRONG_TYPE] * 2
    assert world.provider.calls == []


def test_the_smaller_limit_of_account_and_route_counts(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, max_size=10**6)
    world.around = replace(world.around, accounts={"arm": replace(world.around.accounts["arm"], max_size=5)})
    assert take(world).error is not None


def test_a_companion_is_read_and_filed_along(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, ids={"client_id": "{meta.client}"})
    world.drop("invoice.csv.meta.json", '{"client": "2219"}')
    world.drop()
    drop = take(world, world.again("invoice.csv", companion=True))
    assert drop.target.client_id == "2219"
    deliver(world)
    assert sorted(world.files()) == ["done/invoice.csv", "done/invoice.csv.meta.json", "done/invoice.csv.result.json"]


def test_a_file_that_changed_since_it_was_seen_is_released(world: World) -> None:
    seen = world.drop()
    (world.inbox / "invoice.csv").write_text("still growing")
    drop = take(world, seen)
    assert drop.state is State.RELEASED
    assert world.files() == {"invoice.csv": "still growing"}
    assert events(world) == ["taking", "released"]


def test_somebody_who_still_writes_through_an_open_handle_gets_the_file_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the take and the hash: what is sent must be what was taken."""
    seen = world.drop()
    hashing = work.sha256_of
    with (world.inbox / "invoice.csv").open("a") as writer:

        def written_meanwhile(reader: Any) -> str:
            digest = hashing(reader)
            writer.write("3;4\n")
            writer.flush()
            return digest

        monkeypatch.setattr(work, "sha256_of", written_meanwhile)
        assert take(world, seen).state is State.RELEASED
    assert world.files() == {"invoice.csv": CONTENT + "3;4\n"}
    assert world.work() == []


def change_in_work(world: World, drop: Drop, *, keeps_size: bool) -> str:
    path = world.inbox / ".dropd" / "work" / drop.id / "invoice.csv"
    path.write_text(CONTENT.upper() if keeps_size else "x")
    if keeps_size:
        os.utime(path, ns=(0, drop.taking.stamp.mtime_ns))  # as a power cut may leave it
    return path.read_text()


@pytest.mark.parametrize("keeps_size", [True, False])
def test_a_file_that_changed_in_work_before_it_was_sent_goes_back_to_settle(world: World, *, keeps_size: bool) -> None:
    content = change_in_work(world, take(world), keeps_size=keeps_size)
    assert deliver(world) is None
    assert (only(world).state, world.provider.calls) == (State.RELEASED, [])
    assert (world.files(), world.work()) == ({"invoice.csv": content}, [])
    assert take(world, world.again("invoice.csv")).state is State.READY


def test_a_file_that_changed_after_the_vendor_may_have_got_it_is_filed_as_changed(world: World) -> None:
    drop = take(world)
    world.ledger.note(drop, {"put_started": "yes"}, NOW)
    change_in_work(world, drop, keeps_size=False)
    deliver(world)
    assert (only_codes(world), world.provider.calls) == ([Code.CHANGED_WHILE_SENDING], [])
    assert sorted(world.files()) == FAILED


def test_a_file_that_changed_while_it_waited_for_its_next_try_is_filed_as_changed(world: World) -> None:
    """It lay in dropd's own folder since: that is no slow writer."""
    world.provider.script = [Later(reason="busy", http_status=503)]
    drop = take(world)
    deliver(world)
    world.clock.now += 5
    change_in_work(world, drop, keeps_size=True)
    deliver(world)
    assert (only_codes(world), world.provider.verbs()) == ([Code.CHANGED_WHILE_SENDING], ["send"])
    assert sorted(world.files()) == FAILED


def test_a_file_that_vanished_from_work_ends_loudly(world: World) -> None:
    drop = take(world)
    os.unlink(world.inbox / ".dropd" / "work" / drop.id / "invoice.csv")
    assert deliver(world) is None
    assert (only(world).state, only_codes(world), world.files()) == (State.FAILED, [Code.FILE_MISSING], {})
    assert "file_missing" in world.log.events("error")
    assert only(world).filed_as is None
