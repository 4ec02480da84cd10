"""`callstream doctor`: each setting and where it comes from, and what is wrong in plain words. It changes nothing."""

import array
import asyncio
import json
import math
import os
import shutil
import sys
import tempfile
import time
import wave
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import psycopg
from dotenv import dotenv_values
from pydantic import AliasChoices, SecretStr

from ops.migrate import missing_migrations
from ops.topics import admin_client, partition_counts, wanted_topics, wrong_counts
from schemas.faults import Fault
from schemas.settings import INSTANCE_FILE, Settings
from streams.io import clock, media, queries
from streams.io.secrets import open_secrets
from streams.io.store import open_pool
from streams.io.whisper import Whisper

CALLS: Final = queries.load("calls")
MIN_FREE_BYTES: Final = 2 * 1024**3
CHECK_SECONDS: Final = 20.0
SPEECH_SECONDS: Final = 60.0
"""How long the speech service may take: a server of one's own loads its model for the first request."""
FRESH_SECONDS: Final = 30.0
ROLES: Final = ("pipeline", "dedup", "transcribe", "pull", "audit")
MASK: Final = "•••"
FROM_INSTANCE: Final = ("kafka", "database_url", "database_owner_url", "secret_keys")


@dataclass(frozen=True, slots=True)
class SettingShown:
    """A setting as doctor prints it. Secrets are masked."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was found, and where it is not well, what to do."""

    check: str
    ok: bool
    sentence: str


def shown_settings(
    settings: Settings, env: Mapping[str, str], dotenv: Mapping[str, Any], instance: Mapping[str, Any]
) -> list[SettingShown]:
    """Every setting with its origin: environment, .env, embedded instance or default."""
    return [
        SettingShown(names[0], masked(getattr(settings, field)), _origin(field, names, env, dotenv, instance, settings))
        for field, names in setting_names().items()
    ]


def setting_names() -> dict[str, tuple[str, ...]]:
    """The environment variables of each setting; the first one is the one to name."""
    names: dict[str, tuple[str, ...]] = {}
    for field, info in Settings.model_fields.items():
        alias = info.validation_alias
        names[field] = (
            tuple(str(choice) for choice in alias.choices)
            if isinstance(alias, AliasChoices)
            else (f"CALLSTREAM_{field.upper()}",)
        )
    return names


def _origin(
    field: str,
    names: Sequence[str],
    env: Mapping[str, str],
    dotenv: Mapping[str, Any],
    instance: Mapping[str, Any],
    settings: Settings,
) -> str:
    for origin, source in (("environment", env), (".env", dotenv)):
        known = {name.lower() for name, value in source.items() if value}
        if any(name.lower() in known for name in names):
            return origin
    value = getattr(settings, field)
    if field in FROM_INSTANCE and value is not None and instance.get(field) == _plain(value):
        return "embedded instance"
    return "default"


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def masked(value: Any) -> str:
    """A value that may be shown: of an address only the password is hidden, of another secret everything."""
    if value is None:
        return "unset"
    if isinstance(value, SecretStr):
        return masked_url(value.get_secret_value())
    if isinstance(value, str):
        return masked_url(value) if "@" in value else value
    return str(value)


def masked_url(text: str) -> str:
    """An address without its password; whatever is no address becomes a mask."""
    try:
        parts = urlsplit(text)
        if not parts.scheme or not parts.hostname:
            return MASK
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return MASK
    login = f"{parts.username or ''}:{MASK}@" if parts.password else f"{parts.username}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return urlunsplit((parts.scheme, f"{login}{host}{port}", parts.path, MASK if parts.query else "", ""))


def read_instance(settings: Settings) -> dict[str, Any]:
    """What the running `callstream up` of this data directory has written down; empty when there is none."""
    try:
        found = json.loads((settings.data_dir / INSTANCE_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_dotenv() -> dict[str, Any]:
    """The `.env` file of this folder."""
    return dict(dotenv_values(".env"))


async def examine(settings: Settings, *, speech: bool = True) -> list[Finding]:
    """Every check. One that fails, whatever the reason, is a finding and stops no other. `speech`: send the speech
    service a second of audio, which costs a cent's fraction."""
    checks: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("Python", check_python),
        ("Data directory", check_data_dir),
        ("Instance", check_instance),
        ("Kafka", check_kafka),
        ("Database", check_database),
        ("Migrations", check_migrations),
        ("Media store", check_media),
        ("Secret keys", check_secrets),
        ("Speech to text", check_speech if speech else check_speech_setup),
        ("Roles", check_roles),
    ]
    return list(await asyncio.gather(*(_checked(name, check(settings)) for name, check in checks)))


class Unwell(Exception):
    """Something is not as it should be; the message says what, and what to do."""


async def _checked(name: str, check: Awaitable[str]) -> Finding:
    try:
        async with asyncio.timeout(CHECK_SECONDS + (SPEECH_SECONDS if name == "Speech to text" else 0)):
            return Finding(name, True, await check)
    except (Unwell, Fault) as problem:
        return Finding(name, False, str(problem))
    except TimeoutError:
        return Finding(name, False, f"No answer within {CHECK_SECONDS:.0f} seconds.")
    except Exception as error:
        return Finding(name, False, f"The check itself failed: {type(error).__name__}: {error}")


async def check_python(settings: Settings) -> str:
    """The interpreter is one that is supported."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise Unwell(f"Python {version} is not supported. Use 3.11, 3.12 or 3.13.")
    return version


async def check_data_dir(settings: Settings) -> str:
    """There is a place to write, with room."""
    folder = settings.data_dir.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise Unwell(f"{existing} cannot be written to ({error.strerror}). Set CALLSTREAM_DATA_DIR.") from None
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        raise Unwell(f"{existing} has only {free / 1024**3:.1f} GB left. Make room, or set CALLSTREAM_DATA_DIR.")
    return f"{folder}, {free / 1024**3:.0f} GB free"


async def check_instance(settings: Settings) -> str:
    """What is written about a running instance is true."""
    found = read_instance(settings)
    if not found:
        return "no `callstream up` runs on this data directory"
    pid = int(found.get("pid", 0))
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except (ProcessLookupError, OverflowError):
        raise Unwell(f"`callstream up` (process {pid}) ended without tidying up. Start it again.") from None
    return f"`callstream up` runs as process {pid}, on port {found.get('port')}"


async def check_kafka(settings: Settings) -> str:
    """The broker answers and every topic is there, with the right number of partitions."""
    async with admin_client(settings) as admin:
        found = await partition_counts(admin)
    wanted = wanted_topics(settings)
    if missing := [topic.name for topic in wanted if topic.name not in found]:
        raise Unwell(f"{len(missing)} topics are missing ({', '.join(missing)}). Run `callstream topics`.")
    if wrong := wrong_counts(wanted, found):
        listed = ", ".join(f"{topic.name}: {found[topic.name]}" for topic in wrong)
        raise Unwell(f"CALLSTREAM_PARTITIONS is {settings.partitions}, but these topics have others: {listed}.")
    return f"{settings.kafka}, {len(wanted)} topics with {settings.partitions} partitions each"


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise Unwell("No database is set. Start `callstream up`, or set CALLSTREAM_DATABASE_URL.")
    return settings.database_url.get_secret_value()


async def check_database(settings: Settings) -> str:
    """The application's login works, and row-level security applies to it."""
    url = _database_url(settings)
    try:
        pool = await open_pool(url, size=1)
    except Fault:
        raise
    except Exception as error:
        raise Unwell(f"PostgreSQL refuses the login of CALLSTREAM_DATABASE_URL: {error}") from None
    try:
        version = await pool.fetchval("SHOW server_version")
        who = await pool.fetchval("SELECT current_user")
    finally:
        await pool.close()
    if int(str(version).split(".")[0]) < 15:
        raise Unwell(f"PostgreSQL {version} is too old. Use 15 or newer.")
    return f"PostgreSQL {version} as {who}, row-level security applies"


async def check_migrations(settings: Settings) -> str:
    """The schema is that of this version."""
    url = _database_url(settings)
    try:
        missing = await asyncio.to_thread(missing_migrations, url)
    except psycopg.errors.InsufficientPrivilege:
        raise Unwell("This login may not see which migrations are applied. Run `callstream migrate`.") from None
    if missing:
        raise Unwell(f"{len(missing)} not applied yet, the first is {missing[0]}. Run `callstream migrate`.")
    return "all applied"


async def check_media(settings: Settings) -> str:
    """What is put into the media store can be read again."""
    store = media.open_media(settings)
    key = f"claims/doctor/{clock.new_id()}.json"
    await media.put_bytes(store, key, b"{}")
    try:
        if await media.get_bytes(store, key) != b"{}":
            raise Unwell("The media store gives back something else than was put in. Check CALLSTREAM_MEDIA_URL.")
    finally:
        # Not `delete_async`: its thread may still be telling us that it is done while the interpreter shuts down, and
        # that aborts the process.
        await asyncio.to_thread(store.delete, key)
    return masked_url(settings.media_url) if settings.media_url else str((settings.data_dir / "media").absolute())


async def check_secrets(settings: Settings) -> str:
    """There is a key to keep secrets under."""
    keys = open_secrets(settings)
    return f"new secrets are encrypted under the key {keys.newest}"


async def check_speech_setup(settings: Settings) -> str:
    """Speech to text is set up. Nothing is sent."""
    return f"{_speech_service(settings)}; not asked"


def _speech_service(settings: Settings) -> str:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise Unwell(
            "OPENAI_API_KEY is not set: transcripts are imported, but recordings become failed imports until it is. "
            "Set it, or OPENAI_BASE_URL for a server of your own."
        )
    where = masked(settings.openai_base_url) if settings.openai_base_url else "OpenAI"
    return f"{where}, model {settings.openai_model}"


async def check_speech(settings: Settings) -> str:
    """The speech service transcribes a second of audio, with the very code that transcribes recordings."""
    service = _speech_service(settings)
    speech = Whisper(settings.model_copy(update={"transcribe_timeout_seconds": SPEECH_SECONDS}))
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="callstream-doctor-") as folder:
            tone = Path(folder) / "audio.wav"
            write_tone(tone)
            await speech.transcribe(tone, tone.name, settings.openai_model, settings.openai_language)
    except Fault as fault:
        sentence = fault.sentence.replace(", restart, then press Retry.", ", and restart.")
        sentence = sentence.replace(", then press Retry.", ".")
        detail = f" ({fault.detail.strip()})" if fault.detail.strip() else ""
        raise Unwell(f"{service}: {sentence}{SPEECH_ADVICE.get(fault.reason, '')}{detail}") from None
    finally:
        await speech.close()
    return f"{service}, transcribed a second of audio in {time.perf_counter() - began:.1f} s"


SPEECH_ADVICE: Final = {
    "speech_to_text_unreachable": " Check OPENAI_BASE_URL, that a server runs there, and the network.",
    "speech_to_text_timeout": " A model that is still being loaded may answer the next time; else look at its log.",
    "speech_to_text_unreadable": " Check that OPENAI_BASE_URL is the address of an OpenAI-compatible API; it mostly"
    " ends in /v1.",
    "speech_to_text_rate_limited": " The key works; try again later.",
    "speech_to_text_failing": " Try again later; if it stays so, ask whoever runs it.",
}
"""What to do, where the fault's own sentence leaves it to the runner's next try."""


def write_tone(path: Path, seconds: float = 1.0, rate: int = 16_000) -> None:
    """Write a soft tone of 440 Hz as a WAV file."""
    samples = (round(6000 * math.sin(2 * math.pi * 440 * number / rate)) for number in range(int(seconds * rate)))
    tone = array.array("h", samples)
    if sys.byteorder == "big":
        tone.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone.tobytes())


async def check_roles(settings: Settings) -> str:
    """Every role has a worker that says it is well."""
    pool = await open_pool(_database_url(settings), size=1)
    try:
        rows = await pool.fetch(CALLS["heartbeats"], FRESH_SECONDS)
    finally:
        await pool.close()
    return judge_roles([dict(row) for row in rows])


def judge_roles(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the heartbeats say. Raises `Unwell` for a role that nobody runs, or that waits for something."""
    fresh = [row for row in rows if row["fresh"]]
    silent = [role for role in ROLES if role not in {row["role"] for row in fresh}]
    waiting = [f"{row['worker']} waits for: {row['detail']}" for row in fresh if not row["ready"]]
    if silent:
        waiting.append(
            f"nobody runs {', '.join(silent)}; start `callstream up`, or `callstream worker {silent[0]}` on a cluster"
        )
    if waiting:
        sentence = "; ".join(waiting)
        raise Unwell(f"{sentence[0].upper()}{sentence[1:]}.")
    return ", ".join(sorted(str(row["worker"]) for row in fresh))
