"""Headers of credentials, as most sources want them."""

import base64
from collections.abc import Callable
from typing import Any

from connectors.contract import Credential

Headers = Callable[[Credential], dict[str, str]]


def bearer(field: str = "access_token", **more: Any) -> Headers:
    """`Authorization: Bearer …` of one field of the credential, beside headers that are always the same."""
    fixed = {name.replace("_", "-"): str(value) for name, value in more.items()}
    return lambda credential: {"Authorization": f"Bearer {credential[field]}", **fixed}


def header(name: str, field: str) -> Headers:
    """One field of the credential under a header of the source's own."""
    return lambda credential: {name: credential[field]}


def basic(user: str, password: str) -> Headers:
    """`Authorization: Basic …` of two fields of the credential."""

    def headers(credential: Credential) -> dict[str, str]:
        pair = f"{credential[user]}:{credential[password]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    return headers
