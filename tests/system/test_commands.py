"""What each verb prints, changes and exits with: looking after the inboxes, and reading what became of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
import yaml
from program import ask, call, eventually

from dropd.model import AMILI_ARM
from dropd.sandbox import Fault

OK, NEEDS_A_PERSON, USAGE, BAD_CONFIG = 0, 1, 2, 78


@pytest.fixture
def inbox(place):
    return place.route("arm", match=["*.csv"])


def refuse(sandbox, name=None, **more):
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, name=name, **more))


# ------------------------------------------------------------------------------------------------ run --once


def test_run_once_delivers_what_is_there_and_ends(place, inbox):
    (inbox / "a.csv").write_bytes(b"a")
    done = place.call("run", "--once")
    assert done.returncode == OK, done.stderr
    assert place.result()["status"] == "delivered"


def test_run_once_with_nothing_to_do(place, inbox):
    assert place.call("run", "--once").returncode == OK


def test_run_once_with_a_refused_file(place, sandbox, inbox):
    refuse(sandbox)
    (inbox / "a.csv").write_bytes(b"a")
    assert place.call("run", "--once").returncode == NEEDS_A_PERSON
    assert place.result()["status"] == "failed"
    assert place.call("run", "--once").returncode == OK, "what failed before is not this run's"


def test_run_once_waits_for_due_times_as_long_as_it_may(place, sandbox, inbox):
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, headers={"Retry-After": "2"}))
    (inbox / "a.csv").write_bytes(b"a")
    assert place.call("run", "--once", "--wait", "0s").returncode == NEEDS_A_PERSON
    assert place.sidecars() == []
    assert place.call("run", "--once", "--wait", "30s").returncode == OK
    assert place.result()["status"] == "delivered"


def test_run_once_with_a_missing_inbox(place, inbox):
    inbox.rmdir()
    assert place.call("run", "--once").returncode == NEEDS_A_PERSON
    assert not inbox.exists()


def test_run_once_waits_until_a_voucher_is_decided(place, sandbox):
    (place.route("office") / "a.pdf").write_bytes(b"%PDF a")
    sandbox.office_pending = 3
    assert place.call("run", "--once").returncode == OK
    assert place.result()["status"] == "delivered"


# ------------------------------------------------------------------------------------------------ check


def test_check_finds_nothing_wrong(place, inbox):
    done = place.call("check")
    assert done.returncode == OK
    assert "no mistakes" in done.stdout
    inbox.rmdir()
    done = place.ask("check")
    assert done.returncode == OK, "a missing inbox can come back"
    assert "not there yet" in done.stdout
    assert os.listdir(place.root) != []
    assert not (place.state / "ledger.db").exists()


def test_check_logs_in_and_changes_nothing(place, sandbox, inbox):
    done = place.call("check", "--login", "--json")
    assert done.returncode == OK, done.stderr
    about = json.loads(done.stdout)
    assert {login["provider"]: login["login"] for login in about["logins"]} == dict.fromkeys(place.providers, "ok")
    assert all("oken" in seen.path or "authenticates" in seen.path for seen in sandbox.requests())
    (place.root / "secrets" / "arm-secret").write_text("another secret")
    done = place.ask("check", "--login")
    assert done.returncode == NEEDS_A_PERSON
    assert "arm: refused" in done.stdout
    assert "another secret" not in done.stdout + done.stderr
    sandbox.stop()
    done = place.ask("check", "--login")
    assert done.returncode == NEEDS_A_PERSON
    assert "office: unreachable" in done.stdout


# ------------------------------------------------------------------------------------------------ status, list, show


def test_status_is_1_while_a_failed_file_stands(place, sandbox, inbox):
    assert place.call("status").returncode == OK
    refuse(sandbox, "bad")
    for name in ("good.csv", "bad.csv"):
        (inbox / name).write_bytes(name.encode())
    place.call("run", "--once")
    done = place.call("status")
    assert done.returncode == NEEDS_A_PERSON
    assert "bad.csv" in done.stdout
    about = place.json("status")
    assert about["running"] is False
    route = about["routes"][0]
    assert (route["done"], route["failed"], route["standing_in_failed"]) == (1, 1, 1)
    for path in (inbox / "failed").iterdir():
        shutil.move(path, place.root / path.name)
    assert place.ask("status").returncode == OK


def test_status_is_1_while_an_inbox_is_red_and_it_heals(place, inbox):
    with place.start() as program:
        eventually(lambda: place.json("status")["routes"][0]["last_look"])
        assert place.json("status")["running"] is True
        away = inbox.rename(place.root / "away")
        program.wait_for("inbox_red")
        status = place.ask("status")
        assert status.returncode == NEEDS_A_PERSON
        assert "cannot be used" in status.stdout
        assert not inbox.exists()
        away.rename(inbox)
        (inbox / "a.csv").write_bytes(b"a")
        assert place.result()["status"] == "delivered"
        assert place.ask("status").returncode == OK


def test_a_missing_inbox_is_red_from_the_start_and_heals(place, inbox):
    inbox.rmdir()
    with place.start() as program:
        program.wait_for("inbox_red")
        inbox.mkdir()
        (inbox / "a.csv").write_bytes(b"a")
        assert place.result()["status"] == "delivered"


def test_list_and_show(place, sandbox, inbox):
    other = place.route("office")
    refuse(sandbox, "bad")
    (inbox / "good.csv").write_bytes(b"good")
    (inbox / "bad name Ø.csv").write_bytes(b"bad")
    (other / "v.pdf").write_bytes(b"%PDF")
    place.call("run", "--once")
    assert {drop["file"] for drop in place.json("list")} == {"good.csv", "bad name Ø.csv", "v.pdf"}
    assert [drop["file"] for drop in place.json("list", "--route", "office")] == ["v.pdf"]
    assert [drop["file"] for drop in place.json("list", "--state", "failed")] == ["bad name Ø.csv"]
    assert len(place.json("list", "-n", "2")) == 2
    assert "good.csv" in place.ask("list").stdout
    about = next(about for about in place.sidecars() if about["status"] == "failed")
    named = [about["drop_id"], about["drop_id"][-6:], str(about["filed"]), str(about["path"])]
    for word in named:
        shown = place.json("show", word)
        assert shown["drop_id"] == about["drop_id"]
        assert [event["event"] for event in shown["events"]][-1] == "filed"
    shown = place.ask("show", named[0])
    assert shown.returncode == OK
    assert "the sandbox was told to answer so" in shown.stdout
    relative = place.call("show", "failed/bad name Ø.csv", cwd=inbox)
    assert relative.returncode == OK
    for word in ("ffffffff", "no/such/file.csv"):
        done = place.ask("show", word)
        assert done.returncode == NEEDS_A_PERSON
        assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------------------ init, schema, sandbox


def test_init_writes_a_configuration_that_loads(tmp_path):
    config = tmp_path / "new" / "config.yaml"
    done = call("init", "-c", str(config))
    assert done.returncode == OK, done.stderr
    assert (tmp_path / "new/inbox/invoices").is_dir()
    assert call("check", "-c", str(config)).returncode == BAD_CONFIG, "its secret is not there yet"
    (tmp_path / "new/secrets/arm").write_text("s3cret!")
    done = call("check", "-c", str(config))
    assert done.returncode == OK, done.stderr
    config.write_text(config.read_text() + "# mine\n")
    assert call("init", "-c", str(config)).returncode == OK
    assert config.read_text().endswith("# mine\n")


def test_init_makes_the_inboxes_that_are_missing(place, inbox):
    inbox.rmdir()
    done = place.ask("init")
    assert done.returncode == OK
    assert inbox.is_dir()
    assert str(inbox) in done.stdout


def test_init_says_how_to_go_on_and_that_nothing_is_left_to_do(tmp_path):
    config = tmp_path / "my dropd" / "config.yaml"
    first, second = (ask("init", "-c", str(config)) for _ in range(2))
    assert f"dropd check --login -c '{config}'" in first.stdout
    assert second.stdout == "Nothing to do: the configuration and its inboxes are there.\n"


@pytest.mark.parametrize("verb", [("list",), ("retry", "--all")])
def test_a_route_that_nobody_knows_is_wrong_usage(place, inbox, verb):
    done = place.ask(*verb, "--route", "amr")
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "no route is named 'amr'; there are: arm" in done.stderr


def test_retry_all_where_nothing_failed(place, inbox):
    done = place.ask("retry", "--all")
    assert (done.returncode, done.stdout) == (OK, "No file stands in failed/.\n")


def test_a_lost_mark_makes_the_inbox_red_until_it_is_adopted(place, inbox):
    (inbox / "a.csv").write_bytes(b"a")
    assert place.call("run", "--once").returncode == OK
    (inbox / ".dropd" / "inbox.json").unlink()
    (inbox / "b.csv").write_bytes(b"b")
    done = place.call("run", "--once")
    assert done.returncode == NEEDS_A_PERSON
    assert "init --adopt arm" in done.stderr
    assert (inbox / "b.csv").exists()
    assert place.ask("init", "--adopt", "nobody").returncode == NEEDS_A_PERSON
    assert place.ask("init", "--adopt", "arm").returncode == OK
    assert place.call("run", "--once").returncode == OK
    assert {about["status"] for about in place.results(2)} == {"delivered"}


def test_an_inbox_is_adopted_beside_a_running_daemon(place, inbox):
    with place.start() as program:
        (inbox / "a.csv").write_bytes(b"a")
        place.results(1)
        shutil.rmtree(inbox / ".dropd")
        (inbox / "b.csv").write_bytes(b"b")
        program.wait_for("inbox_red")
        assert place.ask("init", "--adopt", "arm").returncode == OK
        assert {about["status"] for about in place.results(2)} == {"delivered"}
        assert eventually(lambda: place.ask("status").returncode == OK)


def test_schema_prints_json():
    done = call("schema")
    assert done.returncode == OK
    assert {"providers", "routes", "state_dir"} <= set(json.loads(done.stdout)["properties"])


def test_sandbox_prints_a_configuration_that_works(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "dropd", "sandbox", "--port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = process.stderr.readline()
        assert "http://127.0.0.1:" in said
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=20)
    assert process.returncode == OK
    assert set(yaml.safe_load(printed)) == {"state_dir", "providers", "defaults", "routes"}


def test_sandbox_writes_a_practice_folder(tmp_path):
    root = tmp_path / "practice"
    command = [sys.executable, "-m", "dropd", "sandbox", "--port", "0", "--root", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert f"dropd run -c {root / 'config.yaml'}" in process.stdout.readline()
        (root / "acme-invoices" / "a.csv").write_bytes(b"a;b")
        done = call("run", "--once", "-c", str(root / "config.yaml"))
        assert done.returncode == OK, done.stderr
        assert (root / "acme-invoices" / "done" / "a.csv").is_file()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == OK
