"""Signatures that are JSON Web Tokens. The algorithm is ours to say, never the token's.

Times are held against the delivery's own `now`, so nothing here asks a clock.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.types import Options

from connectors.contract import BadSignature, Delivery
from connectors.hmac_signatures import body_id, key_of, same
from schemas.faults import InvalidCall

GOOGLE_ISSUERS = ("https://accounts.google.com", "accounts.google.com")
PEM = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")
MIN_BITS = 2048


def dialpad(delivery: Delivery) -> tuple[str, dict[str, Any]]:
    """Dialpad: the whole body is a token, HS256; and the event in it. https://developers.dialpad.com, November 2025."""
    try:
        token = jwt.decode_complete(delivery.body, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise BadSignature("The body is no token of Dialpad's. Set the endpoint's secret there, too.") from None
    if token["header"].get("alg") != "HS256" or "crit" in token["header"] or "b64" in token["header"]:
        raise BadSignature("The body is a token that is not signed by HS256.")
    signed, _, found = delivery.body.rpartition(b".")
    digest = hmac.new(key_of(delivery.secret), signed, hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=")  # as text: decoded, several texts are the same signature
    if not hmac.compare_digest(found, expected):
        raise BadSignature("The token in the body is not signed with this endpoint's secret.")
    return body_id(delivery), token["payload"]


def gong(delivery: Delivery) -> str:
    """Gong: a token of a minute's life in `Authorization`, RS256, that names the address and the body's hash.

    The secret of the endpoint is Gong's public key. https://help.gong.io, "Create a webhook rule", November 2025.
    """
    claims = _claims(delivery, _gong_key(key_of(delivery.secret).decode("utf-8", "replace")))
    if claims.get("webhook_url") != delivery.url:
        raise BadSignature("The token is for another address. Enter this endpoint's address at Gong as it is.")
    same(_text(claims, "body_sha256").lower(), hashlib.sha256(delivery.body).hexdigest())
    return body_id(delivery)


def gong_key(text: str) -> str:
    """`Webhook.check_secret` for Gong: the public key, as its page shows it. Raises `InvalidCall`."""
    try:
        _gong_key(text)
    except BadSignature:
        sentence = "The secret must be the public key that Gong shows for the webhook: one long line of base64."
        raise InvalidCall("invalid_secret", sentence, field="secret") from None
    return "".join(text.replace(PEM[0], "").replace(PEM[1], "").split())


def google_push(delivery: Delivery) -> str:
    """Google Pub/Sub: a token in `Authorization`, RS256, for this very address and from the account we expect.

    The secret of the endpoint is the e-mail address of the subscription's service account: Google signs for everybody.
    https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions, November 2025.
    """
    token = _bearer(delivery)
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        key = jwt.PyJWK(dict(delivery.keys[str(key_id)]), algorithm="RS256").key
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError):
        raise BadSignature("The token is signed with a key that is not among Google's.") from None
    claims = _claims(delivery, key)
    if claims.get("iss") not in GOOGLE_ISSUERS:
        raise BadSignature("The token was not issued by Google.")
    if claims.get("aud") != delivery.url:
        raise BadSignature("The token is for another audience. Leave the audience of the push subscription empty.")
    if claims.get("email_verified") is not True:
        raise BadSignature("The token does not say whose service account it is.")
    same(_text(claims, "email"), key_of(delivery.secret).decode("utf-8", "replace").strip())
    return _message_id(delivery)


def _claims(delivery: Delivery, key: Any) -> Mapping[str, Any]:
    """What a token signed with this key claims, while it is in its time."""
    checks: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
                       "verify_iss": False, "verify_sub": False, "verify_jti": False}  # fmt: skip
    try:
        claims: dict[str, Any] = jwt.decode(_bearer(delivery), key, algorithms=["RS256"], options=checks)
    except (jwt.PyJWTError, TypeError, ValueError, RecursionError):
        raise BadSignature("The token in the Authorization header is not signed with this endpoint's key.") from None
    ends, begins = claims.get("exp"), claims.get("nbf", 0)
    if isinstance(ends, bool) or not isinstance(ends, int | float) or not isinstance(begins, int | float):
        raise BadSignature("The token in the Authorization header does not say until when it holds.")
    if not begins - delivery.tolerance <= delivery.now <= ends + delivery.tolerance:
        raise BadSignature("The token in the Authorization header has ended, or the clocks differ too much.")
    return claims


def _bearer(delivery: Delivery) -> str:
    scheme, _, token = delivery.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadSignature("The request has no token in its Authorization header.")
    return token.strip()


def _gong_key(text: str) -> RSAPublicKey:
    """Bare base64 of the key, or the same between the lines of a PEM."""
    bare = "".join(text.replace(PEM[0], "").replace(PEM[1], "").split())
    try:
        key = load_der_public_key(base64.b64decode(bare, validate=True))
    except (binascii.Error, ValueError, TypeError):
        key = None
    except Exception as error:  # the library has exceptions of its own for keys it does not know
        if not type(error).__module__.startswith("cryptography"):
            raise
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_BITS:
        raise BadSignature("This endpoint has no public key of Gong's yet, so it is closed.")
    return key


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _message_id(delivery: Delivery) -> str:
    """`message.messageId`, which Google keeps when it delivers again."""
    try:
        value = json.loads(delivery.body)["message"]["messageId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        value = None
    return value if isinstance(value, str) and 0 < len(value) <= 256 else body_id(delivery)
