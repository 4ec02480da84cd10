"""Connecting to a customer's SFTP server: to the right address, to the right server, and only then with a password.

The server is named by a person, so its name is resolved and checked as every address given by a person is, and the
connection goes to exactly a checked address.

Its key is checked against a fingerprint that stands in the credential. It is not taken on trust at the first use:
whoever sat between us that one time would be trusted for good, and would get the password. Instead a connection
without a fingerprint ends before anything secret is sent, with a sentence that names the fingerprint which was shown;
a person compares it with what the server's administrator says, and enters it.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from logging import WARNING

import asyncssh

from connectors.contract import Api, Credential, Field
from schemas.faults import ConfigFault, MissingFault, TransientFault

CONNECT_SECONDS = 10.0
LOGIN_SECONDS = 20.0
KEEPALIVE_SECONDS = 15.0
HOST_KEYS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip
"""In a fixed order, so that a server always shows the same one of its keys."""
FIELDS = (
    Field("host", "SFTP server", secret=False, placeholder="sftp.example.com",
          help="The name of your server, on which the recordings are delivered."),
    Field("port", "Port", secret=False, required=False, default="22", help="Usually 22."),
    Field("username", "User", secret=False, help="A user who may read the folder, and better nothing else."),
    Field("password", "Password", help="Of that user."),
    Field("host_key", "Fingerprint of the server's key", secret=False, required=False, placeholder="SHA256:…",
          help="Leave it empty to be told which one the server shows, and compare that with your administrator's."),
)  # fmt: skip
_FINGERPRINT = re.compile(r"[A-Za-z0-9+/]{43}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")

asyncssh.set_log_level(WARNING)  # it tells of hosts and users when all is well


class _Keys(asyncssh.SSHClient):
    """Takes a server whose key has one of the fingerprints, and remembers the one it saw."""

    def __init__(self, known: frozenset[str]) -> None:
        self.known = known
        self.seen = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked before anything secret is sent."""
        self.seen = key.get_fingerprint("sha256")
        return self.seen.removeprefix("SHA256:") in self.known


async def connected(api: Api, vendor: str) -> asyncssh.SSHClientConnection:
    """A connection by the account's credential. Call it within `ssh_faults`."""
    host, port, user = server_of(api.credential)
    keys = _Keys(fingerprints(api.credential.get("host_key", "")))
    addresses = await api.addresses(host, port)
    for position, address in enumerate(addresses, 1):
        try:
            async with asyncio.timeout(CONNECT_SECONDS + LOGIN_SECONDS):
                return await asyncssh.connect(
                    address, port, username=user, password=api.credential.get("password", ""), client_keys=[],
                    client_factory=lambda: keys, known_hosts=([], [], []), x509_trusted_certs=None, config=None,
                    agent_path=None, gss_kex=False, gss_auth=False, server_host_key_algs=HOST_KEYS,
                    preferred_auth="password,keyboard-interactive", connect_timeout=CONNECT_SECONDS,
                    login_timeout=LOGIN_SECONDS, keepalive_interval=KEEPALIVE_SECONDS, compression_algs=None,
                )  # fmt: skip
        except asyncssh.HostKeyNotVerifiable:
            raise _unknown_key(keys, vendor) from None
        except (OSError, asyncssh.ConnectionLost):
            if position == len(addresses):
                raise
    raise TransientFault("vendor_unreachable", f"{vendor}'s SFTP server was not found. It is tried again by itself.")


def server_of(credential: Credential) -> tuple[str, int, str]:
    """Host, port and user of a credential. Raises `ConfigFault` for what cannot be any."""
    host, port = credential.get("host", "").strip(), credential.get("port", "").strip() or "22"
    if not _HOST.fullmatch(host):
        sentence = "The SFTP server must be given by its name alone, like sftp.example.com. Correct it."
        raise ConfigFault("host_unreadable", sentence)
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ConfigFault("port_unreadable", "The port of the SFTP server must be a number, usually 22. Correct it.")
    return host, int(port), credential.get("username", "").strip()


def fingerprints(text: str) -> frozenset[str]:
    """The fingerprints in a field, between blanks or commas. Raises `ConfigFault` with how to write one."""
    found = frozenset(part.removeprefix("SHA256:").rstrip("=") for part in re.split(r"[\s,]+", text.strip()) if part)
    if not all(_FINGERPRINT.fullmatch(part) for part in found):
        sentence = "The fingerprint of the SFTP server's key must be written like SHA256:… with 43 characters after it."
        raise ConfigFault("fingerprint_unreadable", f"{sentence} `ssh-keyscan HOST | ssh-keygen -lf -` shows it.")
    return found


def _unknown_key(keys: _Keys, vendor: str) -> ConfigFault:
    seen = f"{vendor}'s SFTP server shows a key with the fingerprint {keys.seen}"
    if not keys.known:
        todo = "Ask its administrator whether that is right, enter it as the fingerprint, and connect again."
        return ConfigFault("host_key_unconfirmed", f"{seen}. {todo}")
    todo = "so no password was sent to it. If the server was renewed, connect again with the new one."
    return ConfigFault("host_key_changed", f"{seen}, and not the one that was confirmed, {todo}")


@contextmanager
def ssh_faults(vendor: str, path: str) -> Iterator[None]:
    """What asyncssh and the network raise, as faults. Their own texts may name users and are left behind."""
    try:
        yield
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory) as error:
        shown = path.encode("utf-8", "replace").decode()[:200]
        sentence = f"There is nothing at {shown} on {vendor}'s SFTP server, or not any more."
        raise MissingFault("not_at_source", sentence, detail=type(error).__name__) from None
    except asyncssh.SFTPPermissionDenied as error:
        sentence = f"{vendor}'s SFTP server does not let this user read the recordings."
        todo = "Give the user the right to list the folder and to read its files."
        raise ConfigFault("permission_missing", f"{sentence} {todo}", detail=type(error).__name__) from None
    except (asyncssh.PermissionDenied, asyncssh.IllegalUserName, asyncssh.PasswordChangeRequired) as error:
        sentence = f"{vendor}'s SFTP server does not accept this user and password. Correct them and connect again."
        raise ConfigFault("credential_refused", sentence, detail=type(error).__name__) from None
    except asyncssh.KeyExchangeFailed as error:
        sentence = f"{vendor}'s SFTP server offers only encryption that is no longer safe. Have its software renewed."
        raise ConfigFault("encryption_outdated", sentence, detail=type(error).__name__) from None
    except (OSError, asyncssh.Error) as error:  # TimeoutError is one
        sentence = f"{vendor}'s SFTP server cannot be reached at the moment. It is tried again by itself."
        raise TransientFault("vendor_unreachable", sentence, detail=type(error).__name__) from None
