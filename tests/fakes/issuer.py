"""An identity provider on loopback, over real HTTP: discovery, keys, the authorize page and the token endpoint.

It signs whatever a test wants, also what no honest provider would. A browser that opens the authorize page is signed in
at once as `person`; the token endpoint checks the code, the redirect address, the client's secret and PKCE as the
standards ask.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT_ID = "callstream-tests"
CLIENT_SECRET = "a:secret with/odd characters"
AUDIENCE = "https://callstream.test/api"


@dataclass
class Key:
    """A signing key by its id."""

    kid: str
    private: Any
    algorithm: str

    @property
    def public(self) -> dict[str, Any]:
        """As the key set publishes it."""
        kind = jwt.algorithms.RSAAlgorithm if self.algorithm.startswith("RS") else jwt.algorithms.ECAlgorithm
        shown: dict[str, Any] = kind.to_jwk(self.private.public_key(), as_dict=True)
        return {**shown, "kid": self.kid, "use": "sig", "alg": self.algorithm}

    @property
    def pem(self) -> bytes:
        """The public key as a file."""
        made: bytes = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return made


def new_key(kid: str, algorithm: str = "RS256") -> Key:
    """A new key."""
    private = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else ec.generate_private_key(ec.SECP256R1())
    return Key(kid, private, algorithm)


@dataclass
class Issuer:
    """The provider. Its fields may be changed while it runs."""

    url: str = ""
    keys: list[Key] = field(default_factory=list)
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "person-1", "name": "Mila Berg"})
    away: bool = False
    denies: bool = False
    asked: list[str] = field(default_factory=list)
    """Paths of requests, in order."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    changed_claims: dict[str, Any] = field(default_factory=dict)
    """What an ID token says otherwise than it should."""

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good access token claims, but for what is changed; None leaves a claim out."""
        now = int(time.time())
        found = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 300, **self.person, **changed}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key: Key | None = None, **changed: Any) -> str:
        """A token signed with a key, by default the newest."""
        key = key or self.keys[-1]
        return jwt.encode(self.claims(**changed), key.private, key.algorithm, headers={"kid": key.kid})

    def rotate(self) -> Key:
        """Sign with a new key from now on, and publish that one only."""
        self.keys = [new_key(secrets.token_hex(4))]
        return self.keys[0]

    def answer(self, method: str, path: str, query: dict[str, str], form: dict[str, str], basic: str) -> Any:
        """Status and JSON, or an address to go to."""
        self.asked.append(path)
        if self.away:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.url, "jwks_uri": f"{self.url}/keys", "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
            }  # fmt: skip
        if path == "/keys":
            return 200, {"keys": [key.public for key in self.keys]}
        if path == "/authorize":
            return self._authorized(query)
        if path == "/token" and method == "POST":
            return self._exchanged(form, basic)
        return 404, {}

    def _authorized(self, query: dict[str, str]) -> Any:
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        if self.denies:
            return query["redirect_uri"] + "?" + urlencode({"error": "access_denied", "state": query["state"]})
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return query["redirect_uri"] + "?" + urlencode({"code": code, "state": query["state"], "iss": self.url})

    def _exchanged(self, form: dict[str, str], basic: str) -> Any:
        client, _, secret = base64.b64decode(basic.partition(" ")[2]).decode().partition(":")
        begun = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        good = (
            begun is not None
            and (unquote(client), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)
            and begun["code_challenge"] == challenge.decode().rstrip("=")
            and begun["redirect_uri"] == form.get("redirect_uri")
        )
        if not good or begun is None:
            return 400, {"error": "invalid_grant"}
        told = {"aud": CLIENT_ID, "nonce": begun["nonce"], **self.changed_claims}
        return 200, {"token_type": "Bearer", "access_token": "x", "id_token": self.token(**told)}


@contextmanager
def start_issuer() -> Iterator[Issuer]:
    """The provider, serving until the end of the block."""
    issuer = Issuer(keys=[new_key("first")])

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            found = issuer.answer(self.command, parts.path, query, form, self.headers.get("authorization", ""))
            if isinstance(found, str):
                self.send_response(302)
                self.send_header("Location", found)
                body = b""
            else:
                self.send_response(found[0])
                body = json.dumps(found[1]).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _serve

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
