"""No secret reaches a person's eyes, and what does is one short clean line."""

from __future__ import annotations

import pytest

from dropd.model import Accepted, Refused
from dropd.providers.scrub import REASON_MAX, Scrubber


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://s.example/x/y?X-Amz-Signature=abc&b=c for more", "see https://s.example/x/y?*** for more"),
        ('{"url":"https://s.example/x?sig=abc"}', '{"url":"https://s.example/x?***"}'),
        ("got Authorization: Bearer abc.def-12345", "got Authorization: Bearer ***"),
        ("basic YWNtZTpodXNo1234", "basic ***"),
        ("Bearer token missing or invalid", "Bearer token missing or invalid"),
        ("key eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln here", "key *** here"),
        ("client_secret=hush&x=1", "client_secret=***&x=1"),
        ('{"access_token": "abc"}', '{"access_token": "***"}'),
        ("https://me:pw@host/x", "https://***@host/x"),
        ("type not enabled for client 2218", "type not enabled for client 2218"),
        ("two\r\nlines\tand \x1b[31mred\x00", "two lines and \\x1b[31mred\\x00"),
        ("right\u202eto left", "right\\u202eto left"),
    ],
)
def test_what_looks_like_a_secret_goes(text: str, shown: str) -> None:
    assert Scrubber().text(text) == shown


def test_known_secrets_go_in_every_form_they_travel_in() -> None:
    scrub = Scrubber()
    scrub.learn("hush/hush +")
    scrub.learn("hush/hush + longer")
    scrub.learn_for_now("opaque-token")
    assert scrub.text("a hush/hush + b hush%2Fhush%20%2B c opaque-token d hush/hush + longer") == "a *** b *** c *** d ***"
    assert "hush" not in repr(scrub)


def test_a_key_goes_line_by_line() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49\n-----END PRIVATE KEY-----"
    scrub = Scrubber()
    assert scrub.learn(pem) == pem
    assert scrub.text("bad key MIGHAgEAMBMGByqGSM49 AgEGCCqGSM49") == "bad key *** ***"


def test_reasons_are_bounded_after_they_are_cleaned() -> None:
    """A cut through the middle of a secret would leave its half."""
    scrub = Scrubber()
    scrub.learn("s3cret-s3cret")
    for before in range(REASON_MAX - 40, REASON_MAX + 5):
        shown = scrub.text("ø" * (before // 2) + "s3cret-s3cret" * 200)
        assert "s3c" not in shown
        assert len(shown.encode()) <= REASON_MAX


def test_outcomes_are_cleaned_in_all_their_texts() -> None:
    scrub = Scrubber()
    scrub.learn("hush-hush")
    accepted = Accepted(
        reason="hush-hush", trace_id="hush-hush\n1", receipt={"message": "x hush-hush", "ids": ["hush-hush", 3], "none": None}
    )
    cleaned = scrub.outcome(accepted)
    assert cleaned == Accepted(reason="***", trace_id="*** 1", receipt={"message": "x ***", "ids": ["***", 3], "none": None})
    assert scrub.outcome(Refused(reason="no")) == Refused(reason="no")


def test_tokens_that_passed_long_ago_are_forgotten() -> None:
    scrub = Scrubber()
    for number in range(1000):
        scrub.learn_for_now(f"token-number-{number}-end")
    assert scrub.text("token-number-999-end") == "***"
    assert len(scrub._known) <= 128
