"""The daemon as a whole, where it can be seen without a process of its own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from doubles import Told

from dropd.config import load
from dropd.daemon import Daemon
from dropd.observe.logs import Redactor
from dropd.providers.registry import kinds

CONFIG = """\
state_dir: state
providers:
  arm: {type: amili-arm, base_url: https://arm.example.no/v1, user_id: dropd, auth: {token: {env: DROPD_TEST_TOKEN}}}
routes:
  - {name: invoices, inbox: inbox, provider: arm, client_id: "2218", file_type: InvoiciaFormatDocFile}
"""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    monkeypatch.setenv("DROPD_TEST_TOKEN", "a-token-for-tests")
    (tmp_path / "inbox").mkdir()
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return Daemon(load(path, kinds()), kinds(), Told(), Redactor())


def test_no_thread_outlives_a_start_that_fails(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would send without the lock, beside the next daemon."""
    start = threading.Thread.start

    def no_more(thread: threading.Thread) -> None:
        if thread.name.startswith("send-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError):
            daemon.run()
    left = {thread.name for thread in threading.enumerate()}
    assert left & {"rounds", "keeper"} == set()  # a look under way sends nothing, and is not waited for: its share may hang
