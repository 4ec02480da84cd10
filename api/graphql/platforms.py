"""Platforms: what can be connected, and how."""

from enum import Enum

import strawberry

from api import platforms
from api.graphql.context import Info, asked
from api.platforms import FormField, Platform, WayIn
from connectors.registry import CONNECTORS


@strawberry.enum(description="How an account is connected, and what is kept of it.")
class ImportCredentialType(Enum):
    """How an account is connected."""

    API_KEY = strawberry.enum_value("api_key", description="A key made at the platform.")
    OAUTH = strawberry.enum_value("oauth", description="By signing in at the platform: `initiateOAuthImport`.")
    BASIC = strawberry.enum_value("basic", description="A key and its secret.")
    PASSWORD = strawberry.enum_value("password", description="A user name and password.")


@strawberry.enum(description="How far callstream's support of a platform goes.")
class PlatformStatus(Enum):
    """How far support goes."""

    SUPPORTED = strawberry.enum_value("supported", description="Run against the live platform.")
    BETA = strawberry.enum_value("beta", description="Built by the platform's documents; not yet run against it.")
    COMING_SOON = strawberry.enum_value("coming_soon", description="Being built.")
    NOT_PLANNED = strawberry.enum_value("not_planned", description="Asked for, and not planned.")


@strawberry.type(description="A field of a form.")
class ImportField:
    """A field of a form."""

    name: str = strawberry.field(description="What it is called in `fields` and `filters`.")
    label: str = strawberry.field(description="What a person reads beside it.")
    secret: bool = strawberry.field(description="Not to be shown while it is typed, and never shown again.")
    required: bool
    default: str
    placeholder: str
    help: str


@strawberry.type(description="A way to connect an account of a platform.")
class ImportAuth:
    """A way to connect an account."""

    type: ImportCredentialType
    instructions: str = strawberry.field(description="Where the person finds what the form asks for.")
    available: bool = strawberry.field(
        description="False for OAUTH where this installation is not registered with the platform."
    )
    fields: list[ImportField] = strawberry.field(description="What must be filled in.")


@strawberry.type(description="A platform, and what callstream can do with it.")
class PlatformCapability:
    """A platform, and what callstream can do with it."""

    platform: str = strawberry.field(description="Its name in every argument `platform`, such as `fathom`.")
    display_name: str
    logo_url: str = strawberry.field(description="The address of a picture.")
    supports_historical_import: bool = strawberry.field(description="Whether `startImportJob` takes HISTORICAL.")
    supports_ongoing_sync: bool = strawberry.field(description="Whether new calls come by themselves.")
    auth_type: ImportCredentialType | None = strawberry.field(
        description="The way to connect that is recommended here. Null: there is nothing to connect."
    )
    auth_instructions: str
    status: PlatformStatus
    auths: list[ImportAuth] = strawberry.field(description="All ways to connect.")
    filters: list[ImportField] = strawberry.field(description="What `filters` of an import may name.")
    docs_url: str


async def import_platforms(info: Info) -> list[PlatformCapability]:
    """All platforms, by name."""
    ports, _ = asked(info)
    found = await platforms.list_platforms(ports.settings, ports.pool, ports.base_url)
    return [_shown(each, ports.base_url) for each in found]


def _shown(each: Platform, base_url: str) -> PlatformCapability:
    way = recommended(each)
    return PlatformCapability(
        platform=each.platform,
        display_name=each.display_name,
        logo_url=each.logo if each.logo.startswith("https://") else f"{base_url}/logos/{each.platform}.svg",
        supports_historical_import=each.supports_historical_import,
        supports_ongoing_sync=each.supports_ongoing_sync,
        auth_type=ImportCredentialType(way.kind) if way else None,
        auth_instructions=way.instructions if way else "",
        status=PlatformStatus(each.status),
        auths=[_auth(way) for way in each.auths],
        filters=[_field(field) for field in each.filters],
        docs_url=each.docs_url,
    )


def recommended(platform: Platform) -> WayIn | None:
    """The first way to connect that works in this installation; where none does, the first."""
    return next((way for way in platform.auths if way.available), next(iter(platform.auths), None))


def _auth(way: WayIn) -> ImportAuth:
    fields = [_field(field) for field in way.fields]
    return ImportAuth(
        type=ImportCredentialType(way.kind), instructions=way.instructions, available=way.available, fields=fields
    )


def _field(field: FormField) -> ImportField:
    return ImportField(**field.model_dump())


def platform_name(told: str) -> str:
    """A platform's name however it is written: `FATHOM` is fathom."""
    name = told.strip().lower()
    return name if name in CONNECTORS else told
