"""Where files end, under which names, whose they are, and what a person may do with them there."""

from __future__ import annotations

import os

from program import eventually, sha256


def test_a_delivered_file_lies_in_done_with_its_result(place):
    inbox = place.route("arm", match=["*.csv"])
    with place.start():
        (inbox / "invoices.csv").write_bytes(b"a;b\n1;2\n")
        about = place.result()
    assert about["filed"] == inbox / "done" / "invoices.csv"
    assert about["filed"].read_bytes() == b"a;b\n1;2\n"
    assert about["status"] == "delivered"
    assert about["file"]["sha256"] == sha256(b"a;b\n1;2\n")
    assert place.delivered() == [sha256(b"a;b\n1;2\n")]
    assert sorted(os.listdir(inbox)) == [".dropd", "done"]
    assert eventually(lambda: not os.listdir(inbox / ".dropd" / "work"))
    assert place.sandbox.violations() == []
