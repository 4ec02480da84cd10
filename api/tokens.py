"""Tokens of an identity provider (OpenID Connect): who issued them, for whom, and until when. Whose they are here is
`api.oidc`'s to say.

The provider's keys are kept, and asked for again when a token names one that is not known; one request at a time, and
at most one a minute. While the provider is away, tokens by known keys go on being taken.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import jwt

from connectors.http import open_http
from schemas.faults import ConfigFault, TransientFault
from schemas.settings import Settings
from streams.io import clock

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones alone: with a shared secret, whoever can check a token can make one."""
LEEWAY_SECONDS = 60.0
MAX_TOKEN = 16_384
MAX_ANSWER = 1_000_000
ANSWER_SECONDS = 5.0
KEEP_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
FIRST_AGAIN_SECONDS = 5.0
"""The same, as long as there is nothing at all to go on with."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
NOT_OURS = "This token was not issued by the identity provider of this installation, or not for it."


class BadToken(Exception):
    """A token that is not taken. The sentence is for the person who sent it."""


class Identities:
    """The identity provider. One for a process; it is asked for nothing before the first token comes."""

    def __init__(self, settings: Settings, now: Callable[[], float] = clock.unix_now) -> None:
        self.issuer = settings.oidc_issuer or ""
        self.client_id = settings.oidc_client_id
        self.client_secret = settings.oidc_client_secret
        self.audience = settings.oidc_audience or settings.oidc_client_id or ""
        self.workspace_claim = settings.oidc_workspace_claim
        self.role_claim = settings.oidc_role_claim
        self.name = settings.oidc_name or (urlsplit(self.issuer).hostname or self.issuer)
        self._jwks_url = settings.oidc_jwks_url
        self._now = now
        self._lock = asyncio.Lock()
        self._keys: list[Mapping[str, Any]] = []
        self._fetched_at = self._asked_at = -math.inf
        self._away: str | None = None
        self._document: tuple[float, Mapping[str, Any]] | None = None

    async def claims(self, token: str, audience: str) -> Mapping[str, Any]:
        """What a token claims that is rightly signed, for this audience, and in its time. Raises `BadToken`, and
        `TransientFault` where the provider must be asked and does not answer."""
        if len(token) > MAX_TOKEN:
            raise BadToken("This token is too long to be one.")
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
        except _UNSURE:
            raise BadToken("This is neither an API key nor a token of the identity provider.") from None
        if algorithm not in ALGORITHMS or not isinstance(key_id, str | None):
            raise BadToken("This token is not signed in a way that is accepted here.")
        key = await self._key(key_id)
        if key is None:
            raise BadToken("This token is signed with a key that the identity provider does not publish.")
        return self._checked(token, key, algorithm, audience)

    def _checked(self, token: str, key: Mapping[str, Any], algorithm: str, audience: str) -> Mapping[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token, jwt.PyJWK(dict(key), algorithm=str(key.get("alg") or algorithm)), algorithms=[algorithm],
                audience=audience, issuer=self.issuer,
                options={
                    "require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True,
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,  # by our own clock, below
                },
            )  # fmt: skip
        except _UNSURE:
            raise BadToken(NOT_OURS) from None
        ends, begins, subject = claims["exp"], claims.get("nbf", 0), claims["sub"]
        if not _is_time(ends) or not _is_time(begins):
            raise BadToken("This token does not say until when it holds.")
        if not begins - LEEWAY_SECONDS <= self._now() < ends + LEEWAY_SECONDS:
            raise BadToken("This token has ended, or has not begun yet. Sign in again.")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
            raise BadToken("This token does not say whose it is.")
        return claims

    async def _key(self, key_id: str | None) -> Mapping[str, Any] | None:
        found = self._known(key_id)
        now = self._now()
        if found is not None and (now - self._fetched_at < KEEP_SECONDS or self._lock.locked()):
            return found
        async with self._lock:
            pause = AGAIN_SECONDS if self._keys else FIRST_AGAIN_SECONDS
            if self._known(key_id) is None or self._now() - self._fetched_at >= KEEP_SECONDS:
                await self._ask_again(pause)
        found = self._known(key_id)
        if found is None and self._away is not None:
            raise _away(self._away)
        return found

    async def _ask_again(self, pause: float) -> None:
        before, now = self._asked_at, self._now()
        if now - before < pause:
            return
        self._asked_at = now
        try:
            url = self._jwks_url or text_of(await self.document(), "jwks_uri")
            found = (await self.ask("GET", url)).get("keys")
            if not isinstance(found, list) or not found:
                raise _away("its key set holds no keys")
        except TransientFault as fault:
            self._away = fault.detail or fault.reason
            return
        except asyncio.CancelledError:  # whoever asked hung up; that says nothing about the provider
            self._asked_at = before
            raise
        self._keys = [key for key in found if isinstance(key, dict) and _is_to_verify(key)]
        self._fetched_at, self._away = now, None

    def _known(self, key_id: str | None) -> Mapping[str, Any] | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == key_id), None)

    async def document(self) -> Mapping[str, Any]:
        """The provider's discovery document, kept for an hour. Raises `TransientFault`."""
        now = self._now()
        if self._document is not None and now - self._document[0] < KEEP_SECONDS:
            return self._document[1]
        try:
            found = await self.ask("GET", self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        except TransientFault:
            if self._document is None:
                raise
            return self._document[1]
        if found.get("issuer") != self.issuer:
            raise _away("its discovery document is of another issuer")
        self._document = (now, found)
        return found

    async def ask(self, method: str, url: str, **sent: Any) -> Mapping[str, Any]:
        """A JSON object from the provider. Raises `TransientFault`; no fault holds what was sent."""
        if not is_safe(url):
            raise _away("an address of it is not https")
        try:
            async with asyncio.timeout(ANSWER_SECONDS), open_http() as http, http.stream(method, url, **sent) as got:
                body = bytearray()
                async for chunk in got.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise _away("its answer is too long")
                if got.status_code != 200:
                    raise _away(f"it answered {got.status_code}")
            value = json.loads(body)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            raise _away(type(error).__name__) from None
        if not isinstance(value, dict):
            raise _away("its answer is no JSON object")
        return value


_UNSURE = (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError, AttributeError)
"""What a library for tokens raises for what somebody made up."""


def open_identities(settings: Settings) -> Identities | None:
    """The identity provider of the settings, if there is one. Raises `ConfigFault` for settings that cannot work."""
    if not settings.oidc_issuer:
        return None
    for name, url in (("ISSUER", settings.oidc_issuer), ("JWKS_URL", settings.oidc_jwks_url)):
        if url and not is_safe(url):
            sentence = f"CALLSTREAM_OIDC_{name} must be an https address."
            raise ConfigFault("oidc_address_unsafe", sentence)
    if not (settings.oidc_audience or settings.oidc_client_id):
        raise ConfigFault(
            "oidc_audience_missing",
            "CALLSTREAM_OIDC_ISSUER is set, but not for whom its tokens are. Set CALLSTREAM_OIDC_AUDIENCE for "
            "programs, CALLSTREAM_OIDC_CLIENT_ID for signing in by browser, or both.",
        )
    return Identities(settings)


def is_safe(url: str) -> bool:
    """Whether an address may be asked: https, or a server on this very machine."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        )
    except ValueError:
        return False


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_to_verify(key: Mapping[str, Any]) -> bool:
    return key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"


def text_of(document: Mapping[str, Any], name: str) -> str:
    """An entry of a discovery document. Raises `TransientFault`."""
    value = document.get(name)
    if not isinstance(value, str):
        raise _away(f"its discovery document has no {name}")
    return value


def _away(detail: str) -> TransientFault:
    sentence = "The identity provider cannot be reached at the moment. Try again in a minute."
    return TransientFault("identity_provider_away", sentence, detail=detail)
