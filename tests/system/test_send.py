"""`dropd send`: the verdict it tells is that of the file it was given."""

from __future__ import annotations

from program import Place

from dropd.model import AMILI_ARM
from dropd.sandbox import Fault


def test_the_same_file_sent_again_at_once_is_told_of_by_itself(place: Place) -> None:
    """The second call must not take the first one's verdict, a moment old, for its own: its exit code would say that all is well."""
    place.route("arm")
    file = place.root / "invoices.csv"
    file.write_text("invoice;amount\n1001;250.00\n", encoding="utf-8")
    with place.start():
        first, second = (place.call("send", str(file), "--route", "arm") for _ in range(2))
        assert (first.returncode, second.returncode) == (0, 1), second
        assert second.stdout.startswith("Not sent again: ")
        assert [about["status"] for about in place.results(2)] == ["delivered", "duplicate"]


def test_a_drop_of_another_route_that_waits_is_filed_where_its_own_route_says(place: Place) -> None:
    """`send` looks at one inbox alone, and goes on with every drop that there is."""
    place.route("arm")
    waits = place.route("arm", "letters", done=str(place.root / "archive"))
    place.sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, times=1))
    (waits / "letter.csv").write_text("letter")
    assert place.call("run", "--once", "--wait", "0s").returncode == 1
    assert place.sidecars() == []
    file = place.root / "invoices.csv"
    file.write_text("invoice")
    assert place.call("send", str(file), "--route", "arm").returncode == 0
    assert {about["path"].parent.name for about in place.results(2)} == {"done", "archive"}
