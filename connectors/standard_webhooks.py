"""Signatures by the rules of Standard Webhooks. Pure: `now` is passed in. Every refusal is a `BadSignature`."""

import base64
import binascii
import hashlib
import hmac
import re

from connectors.contract import BadSignature, Delivery, Headers

_PREFIX = "whsec_"
_FAMILIES = ("webhook", "svix")
_ID = re.compile(r"[!-~]{1,256}")
_SECONDS = re.compile(r"[0-9]{1,15}")
MAX_SIGNATURES = 32
"""A sender that rotates its secret signs with two or three."""


def standard_webhook(headers: Headers, body: bytes, secret: str, now: float, tolerance: int) -> str:
    """The delivery id of a request signed by the rules of Standard Webhooks (https://www.standardwebhooks.com).

    Fathom and other senders that run on Svix use the same rules, some under the names `svix-*`.
    """
    key = _key(secret)
    delivery_id, timestamp, signatures = _signed_headers(headers)
    in_time(timestamp, now, tolerance)
    expected = _digest(key, delivery_id, timestamp, body)
    entries = signatures.split()
    if len(entries) > MAX_SIGNATURES:
        raise BadSignature(f"The signature header holds more than {MAX_SIGNATURES} signatures.")
    found = [_decoded(entry[3:]) for entry in entries if entry.startswith("v1,")]
    if not found:
        raise BadSignature("The signature header holds no signature of version v1.")
    if not any([hmac.compare_digest(expected, signature) for signature in found]):  # a list: all are compared, always
        raise BadSignature("No signature of the request matches its body and this endpoint's secret.")
    return delivery_id


def standard(delivery: Delivery) -> str:
    """`Webhook.verify` of a source that signs by the rules of Standard Webhooks."""
    return standard_webhook(delivery.headers, delivery.body, delivery.secret, delivery.now, delivery.tolerance)


def in_time(timestamp: str, now: float, tolerance: int, unit: int = 1) -> None:
    """Refuse what was signed too long ago or in the future. `unit`: how many of the timestamp's make a second."""
    if not _SECONDS.fullmatch(timestamp):
        raise BadSignature(f"The timestamp header is not a number of {'milli' * (unit == 1000)}seconds.")
    age = now - int(timestamp) / unit
    if age > tolerance:
        raise BadSignature(f"The request was signed {age:.0f} seconds ago, and at most {tolerance} are allowed.")
    if not -age <= tolerance:
        raise BadSignature(f"The request was signed more than {tolerance} seconds ahead of this server's clock.")


def sign_standard_webhook(secret: str, delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that `standard_webhook` accepts for `body`. Raises `BadSignature` for a secret it refuses."""
    signature = base64.b64encode(_digest(_key(secret), delivery_id, str(timestamp), body)).decode()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def _key(secret: str) -> bytes:
    encoded = secret.strip().removeprefix(_PREFIX)
    if not encoded:
        raise BadSignature("This endpoint has no secret, so it is closed.")
    key = _decoded(encoded)
    if not key:
        raise BadSignature("This endpoint's secret is not valid base64, so it is closed.")
    return key


def _signed_headers(headers: Headers) -> tuple[str, str, str]:
    """Id, timestamp and signatures, all three under the names of one family."""
    for family in _FAMILIES:
        if f"{family}-id" in headers:
            break
    else:
        raise BadSignature("The request has no webhook-id header.")
    values = []
    for part in ("id", "timestamp", "signature"):
        value = headers.get(f"{family}-{part}", "").strip()
        if not value:
            raise BadSignature(f"The request has no {family}-{part} header.")
        values.append(value)
    if not _ID.fullmatch(values[0]):
        raise BadSignature(f"The {family}-id header is longer than 256 characters or holds odd ones.")
    return values[0], values[1], values[2]


def _digest(key: bytes, delivery_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()


def _decoded(text: str) -> bytes:
    """Base64 with or without padding; nothing where it is not base64, which matches no signature."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
