import base64
import json
import time

import pytest
import standardwebhooks

from connectors.contract import BadSignature
from connectors.signatures import sign_standard_webhook, standard_webhook

SECRET = "whsec_ZmF0aG9tLWRlbW8ta2V5LTAxMjM0NTY3ODk="
BODY = b'{"recording_id":48213377}'
NOW = 1762185731
SIGNED = {
    "webhook-id": "msg_2demo",
    "webhook-timestamp": "1762185731",
    "webhook-signature": "v1,dzmWSjll+eCEO+BmiTi0FCeNL/q5R3fhcCRhQJIxi0s=",
}


def check(
    headers: dict[str, str] | None = None,
    body: bytes = BODY,
    secret: str = SECRET,
    now: float = NOW,
    tolerance: int = 300,
) -> str:
    return standard_webhook(SIGNED if headers is None else headers, body, secret, now, tolerance)


def refusal(**given: object) -> str:
    with pytest.raises(BadSignature) as caught:
        check(**given)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "dzmW" not in sentence
    assert "ZmF0" not in sentence
    return sentence


def test_the_published_vector_is_accepted_and_made_again() -> None:
    assert check() == "msg_2demo"
    assert sign_standard_webhook(SECRET, "msg_2demo", NOW, BODY) == SIGNED


def test_svix_names_are_accepted() -> None:
    assert check({name.replace("webhook", "svix"): value for name, value in SIGNED.items()}) == "msg_2demo"


def test_names_of_two_families_do_not_mix() -> None:
    mixed = {**SIGNED, "svix-timestamp": SIGNED["webhook-timestamp"]}
    del mixed["webhook-timestamp"]
    assert "webhook-timestamp" in refusal(headers=mixed)


@pytest.mark.parametrize(
    "signatures",
    [
        "v1,AAAA {}",
        "{} v1,AAAA",
        "v2,x v1a,y {}",
        "  {}  ",
        "v1,not-base64! {}",
        "v1,\u00e9 {}",
        "v1, {}",
    ],
)
def test_any_of_several_signatures_may_match(signatures: str) -> None:
    assert check({**SIGNED, "webhook-signature": signatures.format(SIGNED["webhook-signature"])}) == "msg_2demo"


def test_secrets_are_read_with_and_without_prefix_and_padding() -> None:
    for secret in (SECRET.removeprefix("whsec_"), SECRET.rstrip("="), f" {SECRET}\n"):
        assert check(secret=secret) == "msg_2demo"


@pytest.mark.parametrize("shift", [-300, -1, 0, 1, 300])
def test_the_tolerance_reaches_both_ways(shift: int) -> None:
    assert check(now=NOW + shift) == "msg_2demo"


def test_a_request_out_of_its_time_is_refused() -> None:
    assert "301 seconds ago" in refusal(now=NOW + 301)
    assert "ahead" in refusal(now=NOW - 301)
    assert "ahead" in refusal(now=NOW - 300.5)


@pytest.mark.parametrize(
    "stamp", ["abc", "-5", "1e9", "1762185731.0", "9" * 16, "9" * 5000, "१७६२१८५७३१", "0x10", "NaN"]
)
def test_a_timestamp_that_is_no_number_of_seconds_is_refused(stamp: str) -> None:
    assert "not a number of seconds" in refusal(headers={**SIGNED, "webhook-timestamp": stamp})


def test_a_timestamp_with_a_leading_zero_is_another_message() -> None:
    assert "No signature" in refusal(headers={**SIGNED, "webhook-timestamp": "01762185731"})


@pytest.mark.parametrize("name", SIGNED)
def test_each_header_is_needed(name: str) -> None:
    for headers in ({k: v for k, v in SIGNED.items() if k != name}, {**SIGNED, name: " "}):
        assert name in refusal(headers=headers)


@pytest.mark.parametrize("delivery_id", ["a b", "\u00fc", "a\x00", "\ud800", "x" * 257, "a\nb"])
def test_an_odd_delivery_id_is_refused(delivery_id: str) -> None:
    assert "webhook-id" in refusal(headers={**SIGNED, "webhook-id": delivery_id})


def test_another_body_id_or_secret_matches_nothing() -> None:
    assert "No signature" in refusal(body=BODY + b" ")
    assert "No signature" in refusal(headers={**SIGNED, "webhook-id": "msg_3"})
    assert "No signature" in refusal(secret="whsec_" + base64.b64encode(b"other").decode())


@pytest.mark.parametrize(
    "secret", ["", " ", "whsec_", "whsec_====", "whsec_!", "whsec_a", "\u00e9\u00e9\u00e9\u00e9", "\ud800"]
)
def test_an_endpoint_without_a_usable_secret_is_closed(secret: str) -> None:
    assert "closed" in refusal(secret=secret)
    with pytest.raises(BadSignature):
        sign_standard_webhook(secret, "msg", NOW, BODY)


@pytest.mark.parametrize("signature", ["v2,abc", "nonsense", ",", "V1,abc", "v1"])
def test_without_a_v1_signature_nothing_is_accepted(signature: str) -> None:
    assert "version v1" in refusal(headers={**SIGNED, "webhook-signature": signature})


@pytest.mark.parametrize("signature", ["v1,", "v1,====", "v1,AAAA", "v1,\ud800"])
def test_an_empty_or_broken_signature_matches_nothing(signature: str) -> None:
    assert "No signature" in refusal(headers={**SIGNED, "webhook-signature": signature})


def test_a_flood_of_signatures_is_refused() -> None:
    assert "more than 32" in refusal(headers={**SIGNED, "webhook-signature": "v1,AAAA " * 100_000})


@pytest.mark.parametrize("text", ["{}", '{"title": "Grüße 🙂"}', '{"a": "' + "x" * 100_000 + '"}'])
def test_we_and_the_reference_implementation_accept_each_other(text: str) -> None:
    body, now = text.encode(), int(time.time())
    reference = standardwebhooks.Webhook(SECRET)
    ours = sign_standard_webhook(SECRET, "msg_1", now, body)
    assert reference.verify(body, ours) == json.loads(text)
    assert check(ours, body, now=now) == "msg_1"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        reference.verify(body + b" ", ours)
