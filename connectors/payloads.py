"""Payloads as text and as JSON: read, envelop, write again. Everything here raises `InvalidCall` or nothing at all."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

from connectors.contract import Received
from schemas.faults import InvalidCall

Payload = dict[str, Any]

MAX_DEPTH = 16
"""How deep metadata may be nested. The JSON readers further down the stream give up at about 200."""

_TOO_DEEP = "This JSON is nested too deeply to be a call. Correct it and send it again."


def parse_json(text: str) -> Any:
    """The value in `text`. NaN, infinities, numbers too long to read and bottomless nesting are refused."""
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        sentence = f"This is not valid JSON: it breaks at {where}. Correct it and send it again."
        raise InvalidCall("payload_not_json", sentence, detail=str(error)[:200]) from None
    except ValueError as error:
        sentence = "This JSON holds a number that no program can keep. Correct it and send it again."
        raise InvalidCall("payload_not_json", sentence, detail=str(error)[:200]) from None
    except RecursionError:
        raise InvalidCall("payload_too_deep", _TOO_DEEP) from None


def parse_object(text: str) -> Payload:
    """The JSON object in `text`."""
    value = parse_json(text)
    if not isinstance(value, dict):
        sentence = f"A call must be a JSON object, and this is {kind_of(value)}. Correct it and send it again."
        raise InvalidCall("payload_not_object", sentence)
    return value


def invalid(field: str, complaint: str) -> InvalidCall:
    """The fault for one field: `field` and what is wrong with it make the sentence."""
    return InvalidCall("invalid_field", f"{field} {complaint}. Correct it and send the call again.", field=field)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def clean(value: Any, field: str, depth: int = 0) -> Any:
    """A JSON value that every store can keep: no NUL, no lone surrogates, not nested without end."""
    if depth > MAX_DEPTH:
        raise invalid(field, f"is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return keepable(value)
    if isinstance(value, list):
        return [clean(item, field, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean(key, field): clean(item, field, depth + 1) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid(field, "holds a number that is not finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise invalid(field, "holds a number too large to keep; write it as a text")
    return value


def keepable(text: str) -> str:
    """The text without NUL and with `?` for lone surrogates, which PostgreSQL and UTF-8 cannot hold."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def is_encodable(text: str) -> bool:
    """True when UTF-8 can hold the text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def invalid_id(payload: str) -> str:
    """The id of a call that brought none that can be used: the same content gets the same one."""
    return "invalid-" + hashlib.sha256(payload.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def received(payload: str, value: Any, id_of: Callable[[Payload], str]) -> Received:
    """The envelope of one payload. Never raises: a payload without a usable id goes on under one made of its bytes."""
    try:
        external_id = id_of(value) if isinstance(value, dict) else invalid_id(payload)
    except InvalidCall:
        external_id = invalid_id(payload)
    return Received(external_id, payload if is_encodable(payload) else payload.encode("utf-8", "replace").decode())


def written(value: Any) -> str:
    """A part of a payload as JSON text again. Only for what `parse_json` has read."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidCall("payload_too_deep", _TOO_DEEP) from None
    return text if is_encodable(text) else json.dumps(value, separators=(",", ":"))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
