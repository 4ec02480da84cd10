"""What YouTube and Google Meet have in common: how a Google account is connected, and how Google's APIs say no.

Vendor pages: https://developers.google.com/identity/protocols/oauth2/web-server and
https://cloud.google.com/apis/design/errors, checked November 2025.
"""

from typing import Any

from connectors.answers import DAILY_LIMIT, RATE_LIMITED
from connectors.auths import bearer
from connectors.contract import Answer, Auth, Credential, OAuth
from connectors.payloads import parse_json
from schemas.faults import ConfigFault, CursorFault, Fault, InvalidCall, TransientFault

KEYS_URL = "https://www.googleapis.com/oauth2/v3/certs"
"""Where Google publishes the keys it signs push deliveries with, as JSON Web Keys."""
SCOPES_AT = "https://www.googleapis.com/auth/"
DAILY_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded"})
SHORT_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})  # memory
SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
DISABLED_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
CURSOR_REASONS = frozenset({"invalidPageToken"})
CHANNEL_REASONS = frozenset({"youtubeSignupRequired"})


def connect_with_google(*scopes: str, instructions: str) -> Auth:
    """ "Connect with Google". Google gives a refresh token only at a consent, so it is asked for every time.

    A person may untick single rights on Google's page: the scopes that were granted are kept with the credential.
    """
    oauth = OAuth(
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",  # noqa: S106 - an address
        scopes=scopes,
        pkce=True,
        extra={"access_type": "offline", "prompt": "consent"},
        keeps=("scope",),
    )
    return Auth("oauth", bearer(), oauth=oauth, instructions=instructions)


def not_granted(credential: Credential, *scopes: str) -> tuple[str, ...]:
    """Which of these scopes the person did not grant; nothing where Google did not say what was granted."""
    granted = credential.get("scope", "").split()
    return tuple(scope for scope in scopes if scope not in granted) if granted else ()


def reasons(answer: Answer) -> frozenset[str]:
    """The words by which an error tells what it is: old and new APIs write them in different places."""
    try:
        error = parse_json(answer.body.decode("utf-8", "replace"))["error"]
        parts = [error, *_objects(error.get("errors")), *_objects(error.get("details"))]
        words = [part.get(name) for part in parts for name in ("reason", "status")]
    except (InvalidCall, KeyError, TypeError, AttributeError):
        return frozenset()
    return frozenset(word for word in words if isinstance(word, str))


def complaint(answer: Answer) -> Fault | None:
    """Google's own words for a limit, a missing right and a page token that has expired.

    A limit is a 403 as well as a 429, and only its reason tells it from a right that is missing.
    """
    found = reasons(answer) if answer.status >= 400 else frozenset[str]()
    detail = f"{answer.url} answered {answer.status} {' '.join(sorted(found & _KNOWN))}".strip()
    if found & DAILY_REASONS:
        sentence = "Google's quota of this day is used up. It goes on by itself after midnight, Pacific time."
        return TransientFault(DAILY_LIMIT, sentence, detail=detail)
    if found & SHORT_REASONS:
        sentence = "Google allows no more requests at the moment. It goes on by itself."
        return TransientFault(RATE_LIMITED, sentence, detail=detail)
    if found & SCOPE_REASONS:
        sentence = "Google says that this account lacks a right. Connect it again and tick all that is asked for."
        return ConfigFault("permission_missing", sentence, detail=detail)
    if found & DISABLED_REASONS:
        sentence = "This API is not switched on in the Google Cloud project of this installation. Enable it there."
        return ConfigFault("api_not_enabled", sentence, detail=detail)
    if found & CURSOR_REASONS:
        return expired_cursor(detail)
    if found & CHANNEL_REASONS:
        return no_channel()
    return None


def expired_cursor(detail: str) -> CursorFault:
    """The fault of a page token that Google does not know any more."""
    sentence = "Google has forgotten the place in its list. The listing begins again."
    return CursorFault("cursor_expired", sentence, detail=detail)


def no_channel() -> ConfigFault:
    """The fault of a Google account that has no channel at YouTube."""
    sentence = "This Google account has no YouTube channel. Connect the account that the channel belongs to."
    return ConfigFault("no_channel", sentence)


_KNOWN = DAILY_REASONS | SHORT_REASONS | SCOPE_REASONS | DISABLED_REASONS | CURSOR_REASONS | CHANNEL_REASONS


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
