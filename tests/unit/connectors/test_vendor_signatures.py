"""The published vectors of every vendor's scheme, and what else each of them refuses."""

import base64
import dataclasses
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from connectors import signatures
from connectors.contract import BadSignature, Delivery
from schemas.faults import InvalidCall

NOW = 1762185731
ADDRESS = "https://hooks.example.com/webhooks/gong/1"
OUR_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
ACCOUNT = "push@northwind.iam.example"


def delivery(
    body: bytes, secret: str, headers: dict[str, str] | None = None, *, url: str = ADDRESS, method: str = "POST",
    query: dict[str, str] | None = None, now: float = NOW, keys: dict[str, Any] | None = None,
) -> Delivery:  # fmt: skip
    return Delivery(method, url, headers or {}, query or {}, body, secret, now, 300, keys or {})


ZOOM = delivery(
    b'{"event":"recording.completed","event_ts":1762185731000}',
    "zoomSecretToken123",
    {
        "x-zm-request-timestamp": "1762185731",
        "x-zm-signature": "v0=0d43b71e10e7595c8df878ee3d48f9b7c970f15a8cafc3f82d2a91af8a7d13d8",
    },
)
FIREFLIES = delivery(
    b'{"event":"meeting.transcribed","timestamp":1762185731000,"meeting_id":"01JBZ7QK3M8X2T"}',
    "fireflies-demo-1234",
    {"x-hub-signature": "sha256=49c27ce240f5dbd437801d86f596eea3535397790e951572cdce339da84bf570"},
)
HUBSPOT_BODY = b'[{"eventId":1,"subscriptionType":"object.creation","objectId":4001}]'
HUBSPOT = delivery(
    HUBSPOT_BODY,
    "hubspot-demo-secret",
    {
        "x-hubspot-signature-v3": "Yv+Xp6V+4m5RABS7u4FDLedjfwkgcGNCMXFVAmJeO+8=",
        "x-hubspot-request-timestamp": "1762185731000",
    },
    url="https://hooks.example.com/hubspot?tenant=7",
)
HUBSPOT_2 = dataclasses.replace(
    HUBSPOT,
    headers={
        "x-hubspot-signature": "0129f630757186917cf6df4ef580d81a6b50686c6306df03e048261422ad34e0",
        "x-hubspot-signature-version": "v2",
    },
)
HUBSPOT_1 = dataclasses.replace(
    HUBSPOT,
    headers={"x-hubspot-signature": "5c755ab34ddea2cd0e41629b36676dcef8b4c5148c7cad852b9aa12a8abee52e"},
)
DIALPAD = delivery(
    b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjYWxsX2lkIjo2MDAxLCJzdGF0ZSI6Imhhbmd1cCJ9"
    b".A7XFzK7tPgyifc1QPBs1lFM1pgZQHhFBNmjTo4eNYcg",
    "dialpad-demo",
)
WEBSUB = delivery(b"<feed/>", "websub-demo", {"x-hub-signature": "sha1=6f2413f22b22cc90dce2f0cdead116254e28ad72"})
RINGCENTRAL = delivery(b'{"uuid":"1"}', "our-own-token", {"verification-token": "our-own-token"})
GRAIN = delivery(b'{"type":"recording_added"}', "unguessable", query={"token": "unguessable"})


def gong_secret(key: rsa.RSAPrivateKey = OUR_KEY) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def gong(body: bytes = b'{"isTest":true}', key: rsa.RSAPrivateKey = OUR_KEY, **claims: Any) -> Delivery:
    told = {"exp": NOW + 60, "webhook_url": ADDRESS, "body_sha256": hashlib.sha256(b'{"isTest":true}').hexdigest()}
    token = jwt.encode(told | claims, key, algorithm="RS256")
    return delivery(body, gong_secret(), {"authorization": f"Bearer {token}"})


def google(key: rsa.RSAPrivateKey = OUR_KEY, secret: str = ACCOUNT, kid: str = "k1", **claims: Any) -> Delivery:
    told = {"iss": "https://accounts.google.com", "aud": ADDRESS, "email": ACCOUNT, "email_verified": True,
            "iat": NOW, "exp": NOW + 3600}  # fmt: skip
    token = jwt.encode(told | claims, key, algorithm="RS256", headers={"kid": kid})
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OUR_KEY.public_key()))
    body = b'{"message":{"messageId":"7001","data":"e30="},"subscription":"s"}'
    return delivery(body, secret, {"authorization": f"Bearer {token}"}, keys={"k1": public})


Verify = Callable[[Delivery], Any]
ALL: list[tuple[Verify, Delivery]] = [
    (signatures.zoom, ZOOM),
    (signatures.fireflies, FIREFLIES),
    (signatures.hubspot, HUBSPOT),
    (signatures.hubspot, HUBSPOT_2),
    (signatures.hubspot, HUBSPOT_1),
    (signatures.dialpad, DIALPAD),
    (signatures.gong, gong()),
    (signatures.websub, WEBSUB),
    (signatures.ringcentral, RINGCENTRAL),
    (signatures.google_push, google()),
    (signatures.url_token, GRAIN),
]
IDS = ["zoom", "fireflies", "hubspot3", "hubspot2", "hubspot1", "dialpad", "gong", "websub", "ringcentral", "google",
       "grain"]  # fmt: skip
SIGNED_BODY = {"zoom", "fireflies", "hubspot3", "hubspot2", "hubspot1", "dialpad", "gong", "websub"}


def refusal(verify: Verify, given: Delivery) -> str:
    with pytest.raises(BadSignature) as caught:
        verify(given)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert given.secret.strip() == "" or given.secret not in sentence
    return sentence


@pytest.mark.parametrize(("verify", "given"), ALL, ids=IDS)
def test_the_published_vector_is_accepted(verify: Verify, given: Delivery) -> None:
    found = verify(given)
    delivery_id = found if isinstance(found, str) else found[0]
    assert 0 < len(delivery_id) <= 256
    assert verify(given) == found


@pytest.mark.parametrize(("verify", "given"), [pair for pair, i in zip(ALL, IDS, strict=True) if i in SIGNED_BODY])
def test_another_body_is_refused(verify: Verify, given: Delivery) -> None:
    refusal(verify, dataclasses.replace(given, body=given.body + b" x"))
    refusal(verify, dataclasses.replace(given, body=b""))


@pytest.mark.parametrize(("verify", "given"), ALL, ids=IDS)
@pytest.mark.parametrize("secret", ["another", "", " ", "\ud800", "é"])
def test_another_secret_is_refused_and_an_empty_one_opens_nothing(verify: Verify, given: Delivery, secret: str) -> None:
    refusal(verify, dataclasses.replace(given, secret=secret))
    if not secret.strip():
        refusal(verify, dataclasses.replace(given, secret=secret, query={"token": secret}))


@pytest.mark.parametrize(("verify", "given"), ALL, ids=IDS)
def test_nothing_at_all_is_refused(verify: Verify, given: Delivery) -> None:
    refusal(verify, dataclasses.replace(given, headers={}, query={}, body=b""))


@pytest.mark.parametrize("odd", ["", "=", "v0=", "\ud800", "é", "sha256=", "sha1=\ud800", "Bearer a.b.c", "x" * 9000])
@pytest.mark.parametrize(("verify", "given"), ALL, ids=IDS)
def test_odd_headers_and_bodies_never_raise_anything_else(verify: Verify, given: Delivery, odd: str) -> None:
    for name in given.headers:
        refusal(verify, dataclasses.replace(given, headers={**given.headers, name: odd}))
    refusal(verify, dataclasses.replace(given, headers={}, query={"token": odd}, body=odd.encode("utf-8", "replace")))


@pytest.mark.parametrize("given", [ZOOM, HUBSPOT], ids=["zoom", "hubspot"])
def test_signed_times_count_both_ways(given: Delivery) -> None:
    verify = signatures.zoom if given is ZOOM else signatures.hubspot
    for shift in (-300, 300):
        verify(dataclasses.replace(given, now=NOW + shift))
    assert "ago" in refusal(verify, dataclasses.replace(given, now=NOW + 301))
    assert "ahead" in refusal(verify, dataclasses.replace(given, now=NOW - 301))


# Zoom ----------------------------------------------------------------------------------------------------------------


def challenge(token: Any = "qgg8vlvZRS6UYooatFL8Aw") -> Delivery:
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
    return delivery(body, ZOOM.secret)


def test_zooms_challenge_is_answered_as_published() -> None:
    reply = signatures.zoom_challenge(challenge())
    assert reply is not None
    assert reply.content_type == "application/json"
    assert json.loads(reply.body) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "0c37a0aa8f1125f70a0f4c3d75d418fc2345d4e6ae3512a77927d5a3857980fb",
    }


def test_zooms_challenge_signs_nothing_that_could_be_a_delivery() -> None:
    assert "plainToken" in refusal(
        signatures.zoom_challenge, challenge('v0:1762185731:{"event":"recording.completed"}')
    )
    for token in ("", None, 5, "a b", "a:b", "x" * 257):
        refusal(signatures.zoom_challenge, challenge(token))


def test_a_signed_challenge_must_be_signed_right() -> None:
    refusal(signatures.zoom_challenge, dataclasses.replace(challenge(), headers=ZOOM.headers))


def test_what_is_no_challenge_is_left_to_verify() -> None:
    assert signatures.zoom_challenge(ZOOM) is None
    assert signatures.zoom_challenge(dataclasses.replace(ZOOM, body=b'{"endpoint.url_validation"')) is None
    assert signatures.zoom_challenge(dataclasses.replace(ZOOM, body=b'["endpoint.url_validation"]')) is None


# HubSpot and Fireflies -----------------------------------------------------------------------------------------------


def test_hubspots_signed_address_has_some_signs_decoded() -> None:
    encoded = dataclasses.replace(HUBSPOT, url="https%3a%2F%2Fhooks.example.com/hubspot%3Ftenant=7")
    assert signatures.hubspot(encoded) == signatures.hubspot(HUBSPOT)
    refusal(signatures.hubspot, dataclasses.replace(HUBSPOT, url="https://hooks.example.com/hubspot%3Ftenant%3D7"))


def test_a_wrong_signature_of_version_3_is_not_made_good_by_an_older_one() -> None:
    headers = {**HUBSPOT_2.headers, **HUBSPOT.headers, "x-hubspot-signature-v3": "AAAA"}
    refusal(signatures.hubspot, dataclasses.replace(HUBSPOT, headers=headers))


def test_fireflies_may_leave_out_the_method() -> None:
    bare = FIREFLIES.headers["x-hub-signature"].removeprefix("sha256=")
    assert signatures.fireflies(dataclasses.replace(FIREFLIES, headers={"x-hub-signature": bare}))


# Dialpad -------------------------------------------------------------------------------------------------------------


def test_dialpads_event_comes_out_of_its_token() -> None:
    assert signatures.dialpad(DIALPAD)[1] == {"call_id": 6001, "state": "hangup"}


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "none"])
def test_dialpads_algorithm_is_not_the_tokens_to_choose(algorithm: str) -> None:
    key = DIALPAD.secret * 8 if algorithm != "none" else None
    token = jwt.encode({"call_id": 1}, key, algorithm=algorithm)
    refusal(signatures.dialpad, dataclasses.replace(DIALPAD, body=token.encode(), secret=DIALPAD.secret * 8))


def test_plain_json_is_no_token_of_dialpads() -> None:
    assert "secret" in refusal(signatures.dialpad, dataclasses.replace(DIALPAD, body=b'{"call_id":6001}'))


# Gong ----------------------------------------------------------------------------------------------------------------


def test_the_published_hash_of_gongs_body() -> None:
    expected = "cfec0e29c8bdebf1a232cf0ff81194c354951ddb779e917cb987a9413f290daf"
    assert hashlib.sha256(b'{"isTest":true}').hexdigest() == expected
    assert signatures.gong(gong(body_sha256=expected))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW - 301},
        {"exp": "soon"},
        {"exp": True},
        {"exp": None},
        {"nbf": NOW + 301},
        {"webhook_url": "https://elsewhere.example.com/"},
        {"webhook_url": None},
        {"body_sha256": ""},
        {"body_sha256": 7},
    ],
)
def test_gongs_claims_must_all_be_right(claims: dict[str, Any]) -> None:
    try:
        given = gong(**claims)
    except (TypeError, ValueError):
        pytest.skip("the library makes no such token")
    refusal(signatures.gong, given)


def test_gongs_token_must_be_signed_with_its_key_and_never_by_it() -> None:
    refusal(signatures.gong, gong(key=OTHER_KEY))
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    claims = base64.urlsafe_b64encode(json.dumps({"exp": NOW + 60, "webhook_url": ADDRESS}).encode()).rstrip(b"=")
    forged = hashlib.sha256(gong_secret().encode() + head + claims).digest()
    token = b".".join([head, claims, base64.urlsafe_b64encode(forged).rstrip(b"=")]).decode()
    refusal(signatures.gong, delivery(b"{}", gong_secret(), {"authorization": f"Bearer {token}"}))


def test_gongs_key_is_taken_bare_and_as_a_pem() -> None:
    bare = gong_secret()
    lines = "\n".join(bare[start : start + 64] for start in range(0, len(bare), 64))
    assert signatures.gong_key(f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n") == bare
    assert signatures.gong_key(f" {bare}\n") == bare


def test_what_is_no_rsa_key_is_no_key_of_gongs() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = curve.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for text in ("", "whsec_abc", "AAAA", base64.b64encode(der).decode(), "é"):
        with pytest.raises(InvalidCall, match="public key"):
            signatures.gong_key(text)


# Google --------------------------------------------------------------------------------------------------------------


def test_googles_message_is_recognised_by_its_id() -> None:
    assert signatures.google_push(google()) == "7001"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example.com"},
        {"aud": "https://elsewhere.example.com/"},
        {"aud": [ADDRESS]},
        {"email": "other@northwind.iam.example"},
        {"email": 5},
        {"email_verified": "true"},
        {"exp": NOW - 301},
    ],
)
def test_googles_claims_must_all_be_right(claims: dict[str, Any]) -> None:
    refusal(signatures.google_push, google(**claims))


def test_googles_token_must_be_signed_with_one_of_its_keys() -> None:
    refusal(signatures.google_push, google(key=OTHER_KEY))
    refusal(signatures.google_push, google(kid="k2"))


# WebSub and RingCentral ----------------------------------------------------------------------------------------------


def hub(method: str = "GET", **query: str) -> Delivery:
    return delivery(b"", "websub-demo", method=method, query={f"hub.{name}": value for name, value in query.items()})


def test_the_hubs_challenge_comes_back_as_text() -> None:
    reply = signatures.websub_challenge(hub(mode="subscribe", challenge="abc-123", topic="t"))
    assert reply is not None
    assert (reply.body, reply.content_type, reply.status) == ("abc-123", "text/plain", 200)


def test_nobody_unsubscribes_us_and_no_page_is_answered() -> None:
    for query in ({"mode": "unsubscribe", "challenge": "a"}, {"mode": "subscribe"},
                  {"mode": "subscribe", "challenge": "<script> alert(1)"}, {}):  # fmt: skip
        reply = signatures.websub_challenge(hub(**query))
        assert reply is not None
        assert (reply.status, reply.body) == (404, "")


def test_a_delivery_is_no_challenge() -> None:
    assert signatures.websub_challenge(WEBSUB) is None
    assert signatures.ringcentral_challenge(RINGCENTRAL) is None


@pytest.mark.parametrize("method", ["sha256", "sha384", "sha512"])
def test_a_hub_may_sign_by_a_newer_method(method: str) -> None:
    found = hmac.new(b"websub-demo", b"<feed/>", method).hexdigest()
    assert signatures.websub(dataclasses.replace(WEBSUB, headers={"x-hub-signature": f"{method}={found}"}))


def test_ringcentrals_token_comes_back_when_a_subscription_is_made() -> None:
    reply = signatures.ringcentral_challenge(delivery(b"", "our-own-token", {"validation-token": "theirs"}))
    assert reply is not None
    assert dict(reply.headers) == {"Validation-Token": "theirs"}
    for token in ("a\r\nSet-Cookie: b", "é", "x" * 1025):
        refusal(signatures.ringcentral_challenge, delivery(b"", "our-own-token", {"validation-token": token}))


def test_our_own_token_under_the_other_name_is_a_delivery() -> None:
    given = dataclasses.replace(RINGCENTRAL, headers={"validation-token": "our-own-token"})
    assert signatures.ringcentral_challenge(given) is None
    assert signatures.ringcentral(given)
