"""What a person may see of an original: everything but what looks like a secret. Made for engineers who look for the
cause of a failure on a shared screen, so it hides too much rather than too little."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "•••"
MAX_TEXT = 64 * 1024
MAX_HEAD = 1024
MAX_DEPTH = 60

_SECRET_NAME = re.compile(
    r"(?i)(token|secret|password|passwd|passcode|pwd|authorization|signature|credential|cookie|session_?id|otp"
    r"|api[-_]?key|access[-_]?key|private[-_]?key|client[-_]?key|signing[-_]?key|(^|[-_])(auth|sig|key|pin)$)"
)
_URL = re.compile(r"(?i)\b(?:https?|wss?|s3|gs|az|ftp)://[^\s\"'<>\\]+")
# Each pattern can only begin where a word does, and names are bounded: hostile text takes time in line with its length.
_IN_TEXT = (
    re.compile(r"(?i)\b(bearer|basic)\s{1,20}[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(r"()\b(?:csk_|whsec_|sk-|xox[abprs]-|gh[pousr]_)[A-Za-z0-9_\-+/=]{6,}"),
    re.compile(r"()(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(
        r"(?i)(?<![a-z0-9_-])([a-z0-9_-]{0,60}?(?:token|secret|password|passcode|authorization|signature|api_?key"
        r"|access_?key)[a-z0-9_-]{0,60}[\"']?\s{0,20}[:=]\s{0,20})(?!•)(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}\"']+)"
    ),
)


def masked_headers(headers: Sequence[Sequence[str]]) -> dict[str, str]:
    """Headers as kept with a failed import (`[name, base64]`), by name, with secrets hidden."""
    shown: dict[str, str] = {}
    for name, encoded in headers:
        value = base64.b64decode(encoded).decode("utf-8", "replace").replace("\x00", "")
        shown[name] = HIDDEN if _SECRET_NAME.search(name) else masked_text(value)[:2000]
    return shown


def masked_original(value: bytes | None) -> dict[str, Any]:
    """The value of an event as `{"format", "value", "size_bytes", "truncated"}`.

    `json`: the document, and JSON inside its `payload` too, as far as it is not too large. `text`: its beginning.
    `binary`: the base64 of its first kilobyte.
    """
    if value is None:
        return {"format": "null", "value": None, "size_bytes": 0, "truncated": False}
    try:
        text = value.decode()
    except UnicodeDecodeError:
        head = base64.b64encode(value[:MAX_HEAD]).decode()
        return {"format": "binary", "value": head, "size_bytes": len(value), "truncated": len(value) > MAX_HEAD}
    found = _document(text)
    if found is not None:
        shown = masked(found)
        if len(json.dumps(shown)) <= MAX_TEXT:
            return {"format": "json", "value": shown, "size_bytes": len(value), "truncated": False}
        text = json.dumps(shown, ensure_ascii=False)
    text = masked_text(text[: MAX_TEXT * 2])
    return {"format": "text", "value": text[:MAX_TEXT], "size_bytes": len(value), "truncated": len(text) > MAX_TEXT}


def masked(value: Any, depth: int = 0) -> Any:
    """A JSON value without its secrets. JSON written inside a text is opened and masked too."""
    if depth > MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            _clean(str(name)): HIDDEN if _SECRET_NAME.search(str(name)) and _holds(each) else masked(each, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [masked(each, depth + 1) for each in value]
    if isinstance(value, str):
        inner = _document(value) if value[:1] in "{[" else None
        return masked_text(value) if inner is None else masked(inner, depth + 1)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value) if value.bit_length() < 2000 else "…"
    return value


def masked_text(text: str) -> str:
    """Free text with signed addresses, bearer tokens and `name=value` secrets hidden."""
    text = _URL.sub(lambda match: _plain_url(match[0]), _clean(text))
    for pattern in _IN_TEXT:
        text = pattern.sub(lambda match: match[1] + (" " if match[1][-1:].isalpha() else "") + HIDDEN, text)
    return text


def _plain_url(url: str) -> str:
    """The address without user name, query and fragment: that is where signatures are."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        hidden = HIDDEN if parts.query or parts.fragment or "@" in parts.netloc else ""
        return urlunsplit((parts.scheme, host, parts.path, "", "")) + (f"?{hidden}" if hidden else "")
    except ValueError:
        return HIDDEN


def _document(text: str) -> Any:
    """The JSON object or list in `text`, or None."""
    try:
        found = json.loads(text, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if abs(number) < 1e308 else text[:40]


def _holds(value: Any) -> bool:
    """An absent secret need not be hidden."""
    return value not in (None, "", [], {}, False)


def _clean(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
