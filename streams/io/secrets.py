"""Secrets at rest: AES-256-GCM, a random 96-bit nonce each time, the key's id in front, bound to the row it belongs to.

A sealed secret is `version (1 byte) | length of key id (1 byte) | key id | nonce (12 bytes) | ciphertext and tag`.
The additional data names workspace, row and field, so a secret copied into another row does not open.
"""

import base64
import binascii
import re
import secrets as random
from collections.abc import Mapping
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.faults import ConfigFault
from schemas.settings import Settings

VERSION = 1
NONCE_BYTES = 12
KEY_BYTES = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def generate_key() -> str:
    """A new `id:base64` pair for CALLSTREAM_SECRET_KEYS."""
    return f"k{random.token_hex(4)}:{base64.b64encode(random.token_bytes(KEY_BYTES)).decode()}"


class Secrets:
    """The installation's keys. The first one seals, all of them open."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise _no_keys()
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.newest = next(iter(keys))

    def seal(self, secret: str, *, workspace_id: UUID, row: str, field: str) -> bytes:
        """Encrypt `secret` for one field of one row."""
        nonce = random.token_bytes(NONCE_BYTES)
        key_id = self.newest.encode()
        sealed = self._keys[self.newest].encrypt(nonce, secret.encode(), _bound_to(workspace_id, row, field))
        return bytes([VERSION, len(key_id)]) + key_id + nonce + sealed

    def open(self, sealed: bytes, *, workspace_id: UUID, row: str, field: str) -> str:
        """The secret again. Raises `ConfigFault` when its key is not among ours, or when it belongs elsewhere."""
        key_id = key_id_of(sealed)
        key = self._keys.get(key_id)
        if key is None:
            raise ConfigFault(
                "secret_key_missing",
                f"A secret was encrypted under the key {key_id!r:.60}, which CALLSTREAM_SECRET_KEYS no longer holds. "
                "Put that key back, behind the newest one.",
            )
        start = 2 + len(key_id.encode())
        nonce, body = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return key.decrypt(nonce, body, _bound_to(workspace_id, row, field)).decode()
        except (InvalidTag, ValueError) as error:
            raise ConfigFault(
                "secret_unreadable",
                "A stored secret cannot be decrypted: it or its key was changed. Enter it again.",
                detail=type(error).__name__,
            ) from None

    def reseal(self, sealed: bytes, *, workspace_id: UUID, row: str, field: str) -> bytes | None:
        """The same secret under the newest key, or None where it already is. For `keys rotate-secrets`."""
        if key_id_of(sealed) == self.newest:
            return None
        return self.seal(
            self.open(sealed, workspace_id=workspace_id, row=row, field=field),
            workspace_id=workspace_id, row=row, field=field,
        )  # fmt: skip


def open_secrets(settings: Settings) -> Secrets:
    """The keys of CALLSTREAM_SECRET_KEYS. Raises `ConfigFault` when there is none, or one that cannot be one."""
    text = settings.secret_keys.get_secret_value() if settings.secret_keys else ""
    keys: dict[str, bytes] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = pair.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not _KEY_ID.fullmatch(key_id) or len(key) != KEY_BYTES or key_id in keys:
            raise ConfigFault(
                "secret_keys_malformed",
                "CALLSTREAM_SECRET_KEYS must hold `id:base64` pairs, separated by commas, newest first; each key is 32 "
                "bytes and each id its own.",
            )
        keys[key_id] = key
    return Secrets(keys)


def key_id_of(sealed: bytes) -> str:
    """Which key sealed it. Never raises: what is no sealed secret has the id `""`."""
    if len(sealed) < 2 or sealed[0] != VERSION or len(sealed) < 2 + sealed[1] + NONCE_BYTES:
        return ""
    return sealed[2 : 2 + sealed[1]].decode("utf-8", "replace")


def _bound_to(workspace_id: UUID, row: str, field: str) -> bytes:
    return f"{workspace_id}|{row}|{field}".encode()


def _no_keys() -> ConfigFault:
    return ConfigFault(
        "secret_keys_missing",
        "CALLSTREAM_SECRET_KEYS is not set, so secrets could not be kept encrypted. Make a key with "
        "`callstream keys generate-secret`, or let `callstream up` run its embedded servers, which makes one.",
    )
