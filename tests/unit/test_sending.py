"""`dropd send` puts a copy into an inbox as if it had been dropped, and touches nothing that is there."""

from __future__ import annotations

from pathlib import Path

from doubles import route

from dropd.commands.sending import drop_copy


def test_a_companion_that_waits_in_the_inbox_for_another_file_is_not_replaced(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "invoice.csv.meta.json").write_text('{"client": "of another"}')
    (tmp_path / "invoice.csv").write_text("content")
    (tmp_path / "invoice.csv.meta.json").write_text('{"client": "2219"}')
    name = drop_copy(route(inbox, ids={"client_id": "{meta.client}"}), tmp_path / "invoice.csv", "")
    assert name != "invoice.csv"
    assert {path.name: path.read_text() for path in inbox.iterdir()} == {
        "invoice.csv.meta.json": '{"client": "of another"}',
        name: "content",
        name + ".meta.json": '{"client": "2219"}',
    }
