"""What touches the whole database: its schema, the home workspace, the keys that stored secrets are encrypted under.

Migrations are plain SQL under `streams/io/sql/migrations`, applied in the order of their names by yoyo. Its own tables
live in the schema `callstream_migrations`, of which the application may only read which migrations are applied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI, parse_uri
from yoyo.migrations import Migration, MigrationList, default_migration_table

from connectors.registry import CONNECTORS
from schemas.faults import ConfigFault, OutageFault
from schemas.settings import Settings
from streams.io import clock, queries
from streams.io.secrets import Secrets

FOLDER: Final = queries.SQL / "migrations"
SCHEMA: Final = "callstream_migrations"
LOCK_KEY: Final = 4_027_318_115_602_411  # any number; the same in every version
LOCK_SECONDS: Final = 60
CONNECT_SECONDS: Final = 10

HOME_NAME: Final = "Home"
OWNER_NAME: Final = "Owner"
BANK_NAME: Final = "Owner's calls"

# The names of the migrations that are applied.
FIND_APPLIED: Final = "SELECT migration_id FROM callstream_migrations._yoyo_migration"
# The installation's own workspace.
FIND_HOME: Final = "SELECT workspace_id FROM workspaces WHERE is_home"
ADD_HOME: Final = "INSERT INTO workspaces (workspace_id, name, is_home) VALUES (%s, %s, true)"
# The first owner of a workspace.
FIND_OWNER: Final = """
    SELECT u.user_id FROM users u JOIN memberships m USING (user_id)
    WHERE m.workspace_id = %s AND m.role = 'owner' ORDER BY u.created_at, u.user_id LIMIT 1
"""
ADD_USER: Final = "INSERT INTO users (user_id, name) VALUES (%s, %s)"
ADD_OWNER: Final = "INSERT INTO memberships (workspace_id, user_id, role) VALUES (%s, %s, 'owner')"
# The bank where calls go that name no other place.
FIND_BANK: Final = "SELECT bank_id FROM banks WHERE workspace_id = %s AND personal_of = %s"
ADD_BANK: Final = "INSERT INTO banks (bank_id, workspace_id, name, personal_of) VALUES (%s, %s, %s, %s)"
ADD_BANK_OWNER: Final = """
    INSERT INTO bank_memberships (workspace_id, bank_id, user_id, role) VALUES (%s, %s, %s, 'owner')
    ON CONFLICT DO NOTHING
"""
# What a connector can do, for whoever reads the database. What a call costs is the operator's own.
PUT_PLATFORM: Final = """
    INSERT INTO platform_capabilities AS p (
        source_app, display_name, status, auth_types, auth_instructions, supports_historical_import,
        supports_ongoing_sync, supports_webhook, rate_limits
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (source_app) DO UPDATE SET
        display_name = excluded.display_name, status = excluded.status, auth_types = excluded.auth_types,
        auth_instructions = excluded.auth_instructions,
        supports_historical_import = excluded.supports_historical_import,
        supports_ongoing_sync = excluded.supports_ongoing_sync, supports_webhook = excluded.supports_webhook,
        rate_limits = excluded.rate_limits
"""
# Every stored secret, whoever it belongs to: the table, the field, how they are found, how they are stored again.
SECRETS: Final = (
    (
        "webhook_endpoints",
        "encrypted_secret",
        "SELECT endpoint_id, workspace_id, encrypted_secret FROM webhook_endpoints FOR UPDATE",
        "UPDATE webhook_endpoints SET encrypted_secret = %s WHERE endpoint_id = %s",
    ),
    (
        "import_credentials",
        "encrypted_credential",
        "SELECT source_id, workspace_id, encrypted_credential FROM import_credentials FOR UPDATE",
        "UPDATE import_credentials SET encrypted_credential = %s WHERE source_id = %s",
    ),
    (
        "webhook_subscriptions",
        "encrypted_secret",
        "SELECT subscription_id, workspace_id, encrypted_secret FROM webhook_subscriptions"
        " WHERE encrypted_secret IS NOT NULL FOR UPDATE",
        "UPDATE webhook_subscriptions SET encrypted_secret = %s WHERE subscription_id = %s",
    ),
    (
        "webhook_subscriptions",
        "url_secret",
        "SELECT subscription_id, workspace_id, url_secret FROM webhook_subscriptions"
        " WHERE url_secret IS NOT NULL FOR UPDATE",
        "UPDATE webhook_subscriptions SET url_secret = %s WHERE subscription_id = %s",
    ),
)


def owner_url(settings: Settings) -> str:
    """The login that owns the tables. Raises `ConfigFault` when none is set and no embedded database runs."""
    url = settings.database_owner_url or settings.database_url
    if url is None:
        raise ConfigFault(
            "database_unset",
            "No database is set. Start `callstream up` first, or set CALLSTREAM_DATABASE_OWNER_URL.",
        )
    return url.get_secret_value()


def migrate(owner_url: str) -> list[str]:
    """Apply what is missing and return its names; and write down what the platforms can do. One run at a time; a second
    one waits, then finds nothing to do.

    A migration and the note that it was applied are one transaction: after a crash it was applied or it was not.
    """
    with _locked(owner_url) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        with _backend(owner_url) as backend:
            backend.break_lock()  # whoever held yoyo's own lock is dead: we hold the one that dies with its holder
            with backend.lock():
                missing = list(backend.to_apply(_ours()))
                for migration in missing:
                    _apply(backend, migration)
        # Only what `callstream doctor` needs under the application's login.
        connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO callstream_app")
        connection.execute(f"GRANT SELECT ON {SCHEMA}.{default_migration_table} TO callstream_app")
        _put_platforms(connection)
    return [migration.id for migration in missing]


def _put_platforms(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        for each in CONNECTORS.values():
            limits = [{"count": it.count, "seconds": it.seconds, "bucket": it.bucket} for it in each.limits]
            instructions = " ".join(way.instructions for way in each.auths if way.instructions)
            pulls = each.pull is not None
            connection.execute(
                PUT_PLATFORM,
                (
                    each.source_app, each.display_name, each.status, [way.kind for way in each.auths], instructions,
                    pulls, pulls, each.webhook is not None, Jsonb(limits),
                ),
            )  # fmt: skip


def missing_migrations(url: str) -> list[str]:
    """The names of the migrations not yet applied, in order. Any login of callstream's may ask."""
    with _connect(url) as connection:
        try:
            rows = connection.execute(FIND_APPLIED).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            rows = []
    applied = {row[0] for row in rows}
    return [migration.id for migration in _ours() if migration.id not in applied]


def ensure_home(owner_url: str) -> tuple[UUID, UUID]:
    """The home workspace and its owner, made if they are not there, with the owner's personal bank."""
    with _locked(owner_url) as connection, connection.transaction():
        workspace_id = _value(connection, FIND_HOME)
        if workspace_id is None:
            workspace_id = clock.new_id()
            connection.execute(ADD_HOME, (workspace_id, HOME_NAME))
        user_id = _value(connection, FIND_OWNER, workspace_id)
        if user_id is None:
            user_id = clock.new_id()
            connection.execute(ADD_USER, (user_id, OWNER_NAME))
            connection.execute(ADD_OWNER, (workspace_id, user_id))
        bank_id = _value(connection, FIND_BANK, workspace_id, user_id)
        if bank_id is None:
            bank_id = clock.new_id()
            connection.execute(ADD_BANK, (bank_id, workspace_id, BANK_NAME, user_id))
        connection.execute(ADD_BANK_OWNER, (workspace_id, bank_id, user_id))
    return workspace_id, user_id


def find_home(url: str) -> tuple[UUID, UUID]:
    """The home workspace and its owner, under any login of ours. Raises `ConfigFault` when there is none yet."""
    missing = ConfigFault("database_empty", "The database has not been set up. Run `callstream migrate`.")
    with _connect(url) as connection:
        connection.execute("SELECT set_config('callstream.scope', 'pipeline', false)")
        try:
            workspace_id = _value(connection, FIND_HOME)
            user_id = workspace_id and _value(connection, FIND_OWNER, workspace_id)
        except psycopg.errors.UndefinedTable:
            raise missing from None
    if workspace_id is None or user_id is None:
        raise missing
    return workspace_id, user_id


def rotate_secrets(url: str, secrets: Secrets) -> int:
    """Encrypt every stored secret under the newest key, all or none; how many it were. Raises `ConfigFault` for one
    whose key is no longer there."""
    with _connect(url) as connection, connection.transaction():
        connection.execute("SELECT set_config('callstream.scope', 'pipeline', true)")
        done = 0
        for table, field, find, store in SECRETS:
            for row_id, workspace_id, sealed in connection.execute(find).fetchall():
                row = f"{table}/{row_id}"
                again = secrets.reseal(bytes(sealed), workspace_id=workspace_id, row=row, field=field)
                if again is not None:
                    connection.execute(store, (again, row_id))
                    done += 1
    return done


class _Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]
    """yoyo's bookkeeping in a schema of its own, the migrations themselves in the login's own search path."""

    def copy(self) -> PostgresqlPsycopgBackend:
        return PostgresqlPsycopgBackend(self.uri._replace(args=_without_schema(self.uri)), self.migration_table)

    def get_log_data(self, migration: Migration | None = None, operation: str = "apply") -> dict[str, object]:
        """Without yoyo's look-ups of the user's and the machine's name, which fail or hang in some containers."""
        return {
            "id": str(clock.new_id()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": "callstream",
            "hostname": "",
            "created_at_utc": clock.now().replace(tzinfo=None),
            "operation": operation,
        }


def _without_schema(uri: DatabaseURI) -> dict[str, str]:
    return {name: value for name, value in uri.args.items() if name != "schema"}


def _backend(url: str) -> Any:
    uri = parse_uri(urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg")))
    backend = _Backend(uri._replace(args={**uri.args, "schema": SCHEMA}), default_migration_table)
    backend.init_database()
    backend.ensure_internal_schema_updated()
    return backend


def _ours() -> MigrationList:
    return read_migrations(str(FOLDER))


def _apply(backend: Any, migration: Migration) -> None:
    migration.load()
    if not migration.use_transactions:  # such as CREATE INDEX CONCURRENTLY; must be written to bear a second run
        backend.apply_one(migration)
        return
    with backend.transaction():
        backend.execute("SET LOCAL search_path TO public")
        migration.process_steps(backend, "apply")
        backend.execute(f"SET LOCAL search_path TO {SCHEMA}")
        backend.mark_one(migration)


@contextmanager
def _locked(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that holds the migration lock. It is released when the connection ends, however it ends."""
    with _connect(url) as connection:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_SECONDS}s",))
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
        except psycopg.errors.LockNotAvailable as error:
            raise OutageFault(
                "migration_busy", f"Another `callstream migrate` has been running for over {LOCK_SECONDS} seconds."
            ) from error
        yield connection


@contextmanager
def _connect(url: str) -> Iterator[psycopg.Connection[Any]]:
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        raise OutageFault(
            "database_away", "PostgreSQL cannot be reached, or refuses the login.", detail=str(error)
        ) from error
    with connection:
        yield connection


def _value(connection: psycopg.Connection[Any], sql: str, *values: object) -> UUID | None:
    row = connection.execute(sql, values).fetchone()
    return row[0] if row else None
