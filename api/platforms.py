"""What callstream can connect to: the registry of connectors, as people and pages need to see it."""

from typing import Literal

from pydantic import BaseModel

from connectors.contract import Auth, AuthKind, Connector, Field
from connectors.registry import CONNECTORS
from schemas.settings import Settings
from streams.io import queries
from streams.io.store import Pool, outages

SQL = queries.load("connections")


class FormField(BaseModel):
    """A field of a form. `secret`: not to be shown while it is typed, and never shown again."""

    name: str
    label: str
    secret: bool
    required: bool
    default: str
    placeholder: str
    help: str


class WayIn(BaseModel):
    """A way to connect an account. `available` is false for OAuth where this installation is not registered with the
    platform; `redirect_url` is what to enter there."""

    kind: AuthKind
    fields: list[FormField]
    instructions: str
    available: bool
    scopes: list[str]
    redirect_url: str | None = None


class WebhookSetup(BaseModel):
    """How its webhooks are set up. `key_from`: who makes the secret."""

    setup: str
    key_from: Literal["us", "source"]


class RateLimit(BaseModel):
    """So many requests in so many seconds, as the platform states it."""

    count: int
    seconds: float
    bucket: str


class Platform(BaseModel):
    """What callstream can do with a platform. `beta`: nobody has run it against the live platform yet."""

    platform: str
    display_name: str
    status: Literal["supported", "beta"]
    logo: str
    docs_url: str
    supports_historical_import: bool
    supports_ongoing_sync: bool
    supports_webhook: bool
    auths: list[WayIn]
    filters: list[FormField]
    webhook: WebhookSetup | None
    reaches_back_days: int | None
    rate_limits: list[RateLimit]
    cost_per_call_cents: int


async def list_platforms(settings: Settings, pool: Pool, base_url: str) -> list[Platform]:
    """All platforms, by name."""
    with outages():
        rows = await pool.fetch(SQL["costs"])
    costs = {row["source_app"]: row["cost_per_call_cents"] for row in rows}
    shown = [_shown(each, settings, base_url, costs.get(each.source_app, 0)) for each in CONNECTORS.values()]
    return sorted(shown, key=lambda platform: platform.display_name.casefold())


def redirect_url(base_url: str, platform: str) -> str:
    """Where an authorization server sends the browser back to. It is registered there, letter for letter."""
    return f"{base_url}/api/oauth/{platform}/callback"


def _shown(connector: Connector, settings: Settings, base_url: str, cost: int) -> Platform:
    pull, webhook = connector.pull, connector.webhook
    return Platform(
        platform=connector.source_app,
        display_name=connector.display_name,
        status=connector.status,
        logo=connector.logo,
        docs_url=connector.docs_url,
        supports_historical_import=pull is not None,
        supports_ongoing_sync=pull is not None,
        supports_webhook=webhook is not None,
        auths=[_way_in(auth, connector, settings, base_url) for auth in connector.auths],
        filters=[form_field(each) for each in pull.filters] if pull else [],
        webhook=WebhookSetup(setup=webhook.setup, key_from=webhook.key_from) if webhook else None,
        reaches_back_days=pull.reaches_back.days if pull and pull.reaches_back else None,
        rate_limits=[
            RateLimit(count=each.count, seconds=each.seconds, bucket=each.bucket) for each in connector.limits
        ],
        cost_per_call_cents=cost,
    )


def _way_in(auth: Auth, connector: Connector, settings: Settings, base_url: str) -> WayIn:
    oauth = auth.oauth
    return WayIn(
        kind=auth.kind,
        fields=[form_field(each) for each in auth.fields],
        instructions=auth.instructions,
        available=oauth is None or connector.source_app in settings.oauth_clients,
        scopes=list(oauth.scopes) if oauth else [],
        redirect_url=redirect_url(base_url, connector.source_app) if oauth else None,
    )


def form_field(field: Field) -> FormField:
    """A declared field, as a page needs it."""
    names = ("name", "label", "secret", "required", "default", "placeholder", "help")
    return FormField(**{name: getattr(field, name) for name in names})
