"""Signatures of sources that have rules of their own. Pure; every refusal is a `BadSignature`, whatever the bytes are.

A source that gives its deliveries no id is recognised by the body: the same bytes again are the same delivery.
"""

import base64
import hashlib
import hmac
import json
import re
from urllib.parse import unquote

from connectors.contract import BadSignature, Delivery, Reply
from connectors.payloads import parse_json
from connectors.standard_webhooks import in_time
from schemas.faults import InvalidCall

_TOKEN = re.compile(r"[A-Za-z0-9_+/=-]{1,256}")
_CHALLENGE = re.compile(r"[!-~]{1,1024}")
_HUBSPOT_DECODES = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def body_id(delivery: Delivery) -> str:
    """An id for a delivery of a source that gives it none."""
    return hashlib.sha256(delivery.body).hexdigest()


def same(found: str, expected: str) -> None:
    """Refuse unless the two are equal, without saying by its time how much of them is."""
    if not hmac.compare_digest(found.encode("utf-8", "replace"), expected.encode("utf-8", "replace")):
        raise BadSignature("The signature of the request does not match its body and this endpoint's secret.")


def zoom(delivery: Delivery) -> str:
    """Zoom: `v0:{timestamp}:{body}` with the app's secret token (developers.zoom.us/docs/api/webhooks, 11/2025)."""
    timestamp = needed(delivery, "x-zm-request-timestamp")
    signature = needed(delivery, "x-zm-signature")
    in_time(timestamp, delivery.now, delivery.tolerance)
    same(signature, "v0=" + _hex(delivery.secret, f"v0:{timestamp}:".encode() + delivery.body))
    return body_id(delivery)


def zoom_challenge(delivery: Delivery) -> Reply | None:
    """Zoom's `endpoint.url_validation`: its token and what our secret makes of it.

    The token is signed only if it looks like one. A text of an attacker's choice could be the signed form of a
    delivery, which would then be a forged one.
    """
    if b"endpoint.url_validation" not in delivery.body[:4096]:
        return None
    try:
        value = parse_json(delivery.body.decode("utf-8", "replace"))
    except InvalidCall:
        return None
    if not isinstance(value, dict) or value.get("event") != "endpoint.url_validation":
        return None
    if "x-zm-signature" in delivery.headers:
        zoom(delivery)
    token = value["payload"].get("plainToken") if isinstance(value.get("payload"), dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise BadSignature("The validation request has no plainToken of Zoom's.")
    answer = {"plainToken": token, "encryptedToken": _hex(delivery.secret, token.encode())}
    return Reply(json.dumps(answer), "application/json")


def fireflies(delivery: Delivery) -> str:
    """Fireflies: the body, in hexadecimal. Whether `sha256=` is before it differs (docs.fireflies.ai, 11/2025)."""
    found = needed(delivery, "x-hub-signature").removeprefix("sha256=")
    same(found.lower(), _hex(delivery.secret, delivery.body))
    return body_id(delivery)


def hubspot(delivery: Delivery) -> str:
    """HubSpot: version 3 where the request has it, else what `X-HubSpot-Signature-Version` says.

    Versions 1 and 2 have no time and so can be repeated; a delivery only names calls, and does nothing twice.
    https://developers.hubspot.com/docs/api/webhooks/validating-requests, 11/2025.
    """
    if signature := delivery.headers.get("x-hubspot-signature-v3", "").strip():
        timestamp = needed(delivery, "x-hubspot-request-timestamp")
        in_time(timestamp, delivery.now, delivery.tolerance, unit=1000)
        uri = _HUBSPOT_DECODES.sub(lambda found: unquote(found[0]), delivery.url)
        message = f"{delivery.method}{uri}".encode() + delivery.body + timestamp.encode()
        digest = hmac.new(key_of(delivery.secret), message, hashlib.sha256).digest()
        same(signature, base64.b64encode(digest).decode())
        return body_id(delivery)
    signature = needed(delivery, "x-hubspot-signature")
    version = delivery.headers.get("x-hubspot-signature-version", "v1")
    if version not in ("v1", "v2"):
        raise BadSignature("The request is signed in a version of HubSpot's that callstream does not know.")
    signed = f"{delivery.method}{delivery.url}".encode() if version == "v2" else b""
    same(signature.lower(), hashlib.sha256(key_of(delivery.secret) + signed + delivery.body).hexdigest())
    return body_id(delivery)


def websub(delivery: Delivery) -> str:
    """WebSub, as YouTube's hub has it: the body with `hub.secret`, by the method named before it (W3C WebSub, 7.1)."""
    method, _, found = needed(delivery, "x-hub-signature").partition("=")
    if method not in ("sha1", "sha256", "sha384", "sha512"):
        raise BadSignature("The signature is made by a method that WebSub does not know.")
    same(found.lower(), hmac.new(key_of(delivery.secret), delivery.body, method).hexdigest())
    return body_id(delivery)


def websub_challenge(delivery: Delivery) -> Reply | None:
    """The hub asks whether we wanted the subscription: its challenge comes back as text. Nobody unsubscribes us.

    A subscription by a stranger does no harm: its deliveries are signed with a secret that is not this endpoint's.
    """
    if delivery.method != "GET":
        return None
    challenge = delivery.query.get("hub.challenge", "")
    if delivery.query.get("hub.mode") == "subscribe" and _CHALLENGE.fullmatch(challenge):
        return Reply(challenge)
    return Reply("", status=200 if delivery.query.get("hub.mode") == "denied" else 404)


def ringcentral(delivery: Delivery) -> str:
    """RingCentral: our own token in a header, and no signature. https://developers.ringcentral.com, November 2025."""
    headers = delivery.headers
    found = headers.get("verification-token") or headers.get("validation-token") or ""
    if not found:
        raise BadSignature("The request has no verification-token header.")
    same(found, key_of(delivery.secret).decode())
    return body_id(delivery)


def ringcentral_challenge(delivery: Delivery) -> Reply | None:
    """A new subscription: `Validation-Token` comes back as a header. With our own token and a body it is a delivery."""
    token = delivery.headers.get("validation-token", "")
    if not token or "verification-token" in delivery.headers:
        return None
    if delivery.body and hmac.compare_digest(token.encode("utf-8", "replace"), delivery.secret.encode()):
        return None
    if not _CHALLENGE.fullmatch(token):
        raise BadSignature("The validation-token header is longer than 1024 characters or holds odd ones.")
    return Reply("", headers={"Validation-Token": token})


def url_token(delivery: Delivery) -> str:
    """A source that signs nothing: `?token=` of the address must be this endpoint's secret."""
    if not delivery.query.get("token"):
        raise BadSignature("The address has no token. Copy it whole from where the endpoint was made.")
    same(delivery.query["token"], key_of(delivery.secret).decode())
    return body_id(delivery)


def needed(delivery: Delivery, name: str) -> str:
    """The value of a header that must be there."""
    value = delivery.headers.get(name, "").strip()
    if not value:
        raise BadSignature(f"The request has no {name} header.")
    return value


def key_of(secret: str) -> bytes:
    """The secret as it is. An empty one would sign for everybody."""
    if not secret.strip():
        raise BadSignature("This endpoint has no secret, so it is closed.")
    return secret.encode("utf-8", "replace")


def _hex(secret: str, message: bytes) -> str:
    return hmac.new(key_of(secret), message, hashlib.sha256).hexdigest()
