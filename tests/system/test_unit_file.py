"""The unit file is one that systemd takes, and dropd tells systemd when it is ready and when it ends."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from program import PATIENCE

UNIT = Path(__file__).parents[2] / "systemd" / "dropd.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None and os.environ.get("CI") != "true", reason="systemd is not installed")
def test_systemd_finds_nothing_to_say_about_the_unit():
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(UNIT)], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_dropd_speaks_to_systemd(place, kind, tmp_path):
    place.route("arm")
    address = str(tmp_path / "notify") if kind == "path" else f"@dropd-test-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address if kind == "path" else "\0" + address[1:])
        heard.settimeout(PATIENCE)
        with place.start(env={"NOTIFY_SOCKET": address}) as program:
            first = heard.recv(4096).decode().splitlines()
            assert "READY=1" in first
            assert program.stop() == 0
        assert "STOPPING=1" in heard.recv(4096).decode().splitlines()


def test_a_configuration_that_cannot_be_used_is_not_started_again(place):
    """systemd starts dropd anew after any exit code but 78."""
    assert "RestartPreventExitStatus=78" in UNIT.read_text()
    place.route("arm", settle="soon")
    assert place.call("run").returncode == 78


def test_nobody_listens(place):
    place.route("arm")
    with place.start(env={"NOTIFY_SOCKET": "/no/such/socket"}) as program:
        assert program.stop() == 0
