"""The types a connector file sees. A connector is data and flat functions; there is no base class.

What a connector may raise: `ConfigFault` (a credential or a right is missing), `TransientFault` (try again, later if
told so), `MissingFault` (the source has no such thing), `CursorFault` (start the listing again), `InvalidCall`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from schemas.calls import NormalizedCall
from schemas.faults import Fault

Headers = Mapping[str, str]
"""Headers with lower-case names."""
Credential = Mapping[str, str]
"""What a person or an authorization server gave us for one account, by field name. Sealed at rest, never logged."""
AuthKind = Literal["api_key", "basic", "password", "oauth"]
DAY = 86_400.0
T = TypeVar("T")


# Received ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Received:
    """One call as it came in: its id at the source, its payload word for word, and how old its content is."""

    external_id: str
    payload: str
    observed_at: datetime | None = None
    """None: the source does not say; the time of acceptance counts."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook that names a call which must be read through the API, at the earliest after `after`."""

    external_id: str
    after: timedelta = timedelta(0)
    """How long the source usually needs until there is something to read."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request at a webhook endpoint. `url` is the public address it was sent to, with its query."""

    method: str
    url: str
    headers: Headers
    query: Mapping[str, str]
    body: bytes
    secret: str
    """Of this endpoint. Never empty."""
    now: float
    """Unix seconds."""
    tolerance: int
    """Seconds a signature may be old."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Public keys of `Webhook.keys_url`, by key id, as JSON Web Keys."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a handshake, instead of an accepted delivery."""

    body: str
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Webhook:
    """How a source's webhook is read. `verify` raises `BadSignature`; `read` runs only after it."""

    verify: Callable[[Delivery], str]
    """Checks what the source signs, over the raw body, in constant time. Gives an id under which a repetition of the
    same delivery is recognised."""
    read: Callable[[Delivery], list[Received | Notice]]
    """The calls it brings or names. Never raises for odd content: an unreadable body becomes one `Received` whose
    payload is that body as text, so that it ends among the failed imports with a reason. Events that are of no
    interest give an empty list."""
    handshake: Callable[[Delivery], Reply | None] | None = None
    """Asked before `verify`: the answer to a challenge, or None. Checks by itself whatever the source signs there."""
    keys_url: str | None = None
    """Where the source publishes the public keys it signs with."""
    key_from: Literal["us", "source"] = "source"
    """Who makes the secret: we (the person enters it there), or the source (the person enters it here)."""
    setup: str = ""
    """How a person sets it up at the source, in whole sentences."""
    check_secret: Callable[[str], str] | None = None
    """The secret as it is kept; raises `InvalidCall` with a sentence for one that cannot be right."""


class BadSignature(Exception):
    """The webhook's signature, timestamp or headers are not right. `str()` says which, without secrets."""


# Connecting ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a credential form."""

    name: str
    label: str
    secret: bool = True
    required: bool = True
    default: str = ""
    placeholder: str = ""
    help: str = ""
    """Where to find it, in a sentence."""


@dataclass(frozen=True, slots=True)
class OAuth:
    """An authorization server. The answer of the token endpoint becomes the credential: `access_token`,
    `refresh_token`, `expires_at` (unix seconds as text) and what `keeps` names."""

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...]
    pkce: bool = False
    client_in: Literal["header", "body"] = "body"
    body: Literal["form", "json"] = "form"
    extra: Mapping[str, str] = field(default_factory=dict)
    """More parameters of the authorize address."""
    keeps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Auth:
    """One way to connect an account. `headers` makes the request headers of a credential."""

    kind: AuthKind
    headers: Callable[[Credential], dict[str, str]]
    fields: tuple[Field, ...] = ()
    """What a person fills in. With OAuth: only what must be known before the redirect, such as a sandbox address."""
    oauth: OAuth | None = None
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the credential belongs to. `missing` names rights it lacks, as the source calls them."""

    label: str
    account_id: str = ""
    """Who it is; what stands before a `::` is what the source's limits are counted by, which connections share."""
    missing: tuple[str, ...] = ()


# Limits --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """`count` requests each `seconds`, in a bucket. Several limits may name one bucket: all of them hold."""

    count: int
    seconds: float
    bucket: str = "default"
    zone: str | None = None
    """Of a daily limit: where its day begins at midnight. None: a sliding window."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """Response headers that say what is left of a bucket. `reset_in`: "seconds" until it is full again, or "epoch"."""

    remaining: str
    reset: str
    reset_in: Literal["seconds", "epoch", "milliseconds"] = "seconds"
    bucket: str = "default"


# Pulling -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came. Header names are lower case."""

    status: int
    headers: Headers
    body: bytes
    url: str
    """Without its query, fit for a message."""


class Api(Protocol):
    """How a connector reaches its source: authorised, within its limits, with faults in our own terms.

    `url` is absolute, or a path below `Connector.base`. `bucket` and `cost` name what the request spends. A status
    that is neither 2xx nor in `ok` raises; so does a body that is no JSON where JSON was asked for.
    """

    @property
    def credential(self) -> Credential: ...
    @property
    def now(self) -> datetime: ...
    async def get(
        self, url: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
        bucket: str = "default", cost: int = 1,
    ) -> Any: ...  # fmt: skip
    async def post(
        self, url: str, *, json: Any = None, headers: Mapping[str, str] | None = None, bucket: str = "default",
        cost: int = 1,
    ) -> Any: ...  # fmt: skip
    async def send(
        self, method: str, url: str, *, params: Mapping[str, Any] | None = None, json: Any = None,
        content: bytes | None = None, headers: Mapping[str, str] | None = None, bucket: str = "default", cost: int = 1,
        ok: Sequence[int] = (),
    ) -> Answer: ...  # fmt: skip
    async def allow(self, bucket: str = "default", cost: int = 1) -> None:
        """Spend a request that is sent by other means. Raises `TransientFault` if that is not allowed soon."""
        ...

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Where a host that a person named may be connected to by other means than HTTP: checked addresses of the open
        internet, or whatever the operator allows. Raises `ConfigFault`, or `TransientFault` when it is not found."""
        ...

    async def keep(self, name: str, opened: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Something of the connector's own (a connection, a cache), opened once and closed together with this."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """What is to be listed: calls from `since` (inclusive) to `until` (exclusive). `filters` as `Pull.filters` says."""

    since: datetime
    until: datetime
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """A call in a listing. `data` is for `fetch`: the source's own object, and whatever else is known already."""

    external_id: str
    data: Mapping[str, Any]
    started_at: datetime | None = None
    changed_at: datetime | None = None
    """When the source last changed it. A stored call is read again when this is later than what is stored."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing. `cursor` is whatever leads to the next page, None at the end. `total` counts the window."""

    items: Sequence[Item]
    cursor: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Audio or video to download. `authorised`: only with the account's own headers. `bucket`: what that spends."""

    url: str
    filename: str
    content_type: str | None = None
    authorised: bool = False
    bucket: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A call read whole. `payload` is the source's object word for word; answers of further requests stand in it
    under keys of their own. `waits_for` is a sentence when the source is not ready yet ("Zoom is still writing …")."""

    payload: Mapping[str, Any]
    has_transcript: bool
    recording: Recording | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """How calls are listed and read. Everything may be called again at any time with the same arguments."""

    list_page: Callable[[Api, Window, str | None], Awaitable[Page]]
    """One page; None is the first. One or a few requests."""
    fetch: Callable[[Api, Item], Awaitable[Found]]
    """Details, transcript and recording of one listed call; no request at all where the listing brought everything."""
    find: Callable[[Api, str], Awaitable[Item]]
    """The item of one external id, for webhooks and later tries. Raises `MissingFault`."""
    overlap: timedelta
    """How far before the end of the last listing the next one begins, because calls appear late."""
    count: Callable[[Api, Window], Awaitable[int | None]] | None = None
    """How many calls a window holds, if the source says so in one or two requests."""
    reaches_back: timedelta | None = None
    """The source forgets what is older."""
    filters: tuple[Field, ...] = ()
    spends: Mapping[str, float] = field(default_factory=lambda: {"default": 1.0})
    """Requests one call costs on average, by bucket, to estimate how long a job takes."""
    tries: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (5, 15, 60, 180, 480, 1440))
    """When a call that is not ready is looked at again."""
    gives_up: str = "It was not ready after two days of trying."
    """What the person reads when the last try brought nothing."""
    download: Callable[[Api, Recording], AsyncIterator[bytes]] | None = None
    """Only where a recording does not come over HTTP."""
    prepare: Callable[[Api, Recording], Awaitable[Recording]] | None = None
    """Only where a recording is made on demand: asked when it is wanted, and gives where it is then. Raises
    `TransientFault` while it is being made, and `MissingFault` when it cannot be."""


# The connector -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connector:
    """Everything callstream knows about a source."""

    source_app: str
    display_name: str
    to_call: Callable[[dict[str, Any]], NormalizedCall]
    """Pure. Raises `InvalidCall` naming the field, and nothing else. May give a call with nothing to read: the
    registry refuses it with `empty` unless a recording came beside the payload."""
    external_id_of: Callable[[dict[str, Any]], str]
    """The source's own id of the call in a payload. Raises `InvalidCall` where there is none."""
    webhook: Webhook | None = None
    volatile: frozenset[str] = field(default_factory=frozenset)
    """Fields of `NormalizedCall` that change by themselves and so do not count as an update."""
    empty: str = "This call has neither a transcript nor a recording."
    """What the person reads when there is nothing to keep."""
    base: str | Callable[[Credential], str] = ""
    """The address below which paths of `Api` lie; a function where customers have their own."""
    auths: tuple[Auth, ...] = ()
    """Ways to connect, the recommended one first. None: nothing to connect (upload, generic)."""
    validate: Callable[[Api], Awaitable[Account]] | None = None
    """One or two read-only requests that prove the credential and name the account."""
    pull: Pull | None = None
    limits: tuple[Limit, ...] = ()
    limit_headers: tuple[LimitHeaders, ...] = ()
    complaint: Callable[[Answer], Fault | None] | None = None
    """Reads the source's own way of saying that something is wrong, at every answer, before the status is looked at."""
    status: Literal["supported", "beta"] = "beta"
    """`beta` until somebody has run it against the live source."""
    logo: str = ""
    docs_url: str = ""
    """Where the source documents its API."""
