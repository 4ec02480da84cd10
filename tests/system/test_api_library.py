"""The library over HTTP on real Kafka and PostgreSQL: search with its hits, speakers, downloads, erasing, isolation."""

import html
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import obstore
import pytest
import webvtt

from api import auth
from schemas.calls import Call, Media, Participant, RawCall, Segment
from schemas.topics import RAW
from streams import erasing
from streams.io import clock, erase, media
from streams.io.bus import MAX_INLINE
from streams.io.recordings import key_of, store
from tests.conftest import Broker, Database
from tests.system.api_harness import VTT, Api, running_api

pytestmark = [pytest.mark.broker, pytest.mark.database]
T0 = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
SHA = "cd" * 32
SEGMENTS = (
    Segment(speaker="Mila Novak", text="Good morning & welcome <all>.", start_ms=0, end_ms=2000),
    Segment(speaker="Ben", text="We ship on Friday.\n\nReally --> yes.", start_ms=61_500, end_ms=61_500),
    Segment(text="Somebody laughs.", start_ms=3_700_001, end_ms=3_701_000),
)


@pytest.fixture
async def api(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """The application."""
    async with running_api(tmp_path, broker.bootstrap, database) as running:
        yield running


async def add(database: Database, external_id: str = "call-1", **fields: Any) -> Call:
    """A stored call."""
    call = Call(
        **{
            "event_id": clock.new_id(), "workspace_id": database.workspace_id, "source_app": "generic",
            "external_id": external_id, "observed_at": T0, "received_at": T0, "title": "Weekly planning",
            "full_transcript": "Good morning.", "fingerprint": "a", **fields,
        }
    )  # fmt: skip
    await store(database.pipeline_pool, [call])
    return call


async def items(api: Api, **query: str) -> list[dict[str, Any]]:
    """What the library answers."""
    answer = await api.client.get("/api/calls", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def call_id_of(api: Api, external_id: str = "call-1") -> str:
    """The id of a stored call."""
    return str(await api.value("SELECT recording_id FROM recordings WHERE external_id = $1", external_id))


def marked(pieces: list[dict[str, Any]]) -> str:
    """Pieces as one text, hits in brackets."""
    return "".join(f"[{piece['text']}]" if piece["hit"] else piece["text"] for piece in pieces)


# Searching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("q", "title", "snippets"),
    [
        ("planning", "Weekly [planning]", ["We talk about [Planning] a well-known plan."]),
        ('"weekly planning"', "[Weekly planning]", []),
        ("well-known", "Weekly planning", ["We talk about Planning a [well-known] plan."]),
        ("plan -budget", "Weekly planning", ["We talk about Planning a well-known [plan]."]),
        ("plan OR weekly", "[Weekly] planning", ["We talk about Planning a well-known [plan]."]),
        ('talk -"weekly plan"', "Weekly planning", ["We [talk] about Planning a well-known plan."]),
    ],
)
async def test_a_search_marks_what_it_found(
    api: Api, database: Database, q: str, title: str, snippets: list[str]
) -> None:
    await add(database, full_transcript="We talk about Planning a well-known plan.")
    [found] = await items(api, q=q)
    assert marked(found["title_pieces"]) == title
    assert [marked(snippet) for snippet in found["snippets"]] == snippets


async def test_without_a_search_nothing_is_marked(api: Api, database: Database) -> None:
    await add(database)
    [found] = await items(api)
    assert (found["title_pieces"], found["snippets"]) == (None, None)


async def test_a_long_transcript_shows_three_places_at_most(api: Api, database: Database) -> None:
    text = ("x " * 200 + "needle ") * 10
    await add(database, full_transcript=text)
    [found] = await items(api, q="needle")
    assert len(found["snippets"]) == 3
    for snippet in found["snippets"]:
        assert "".join(piece["text"] for piece in snippet) in text
        assert [piece["text"] for piece in snippet if piece["hit"]] == ["needle"]


@pytest.mark.parametrize("older", [False, True], ids=["stored now", "stored before there was a column for it"])
@pytest.mark.parametrize("search", [{}, {"q": "morning"}], ids=["listed", "searched"])
async def test_calls_are_found_by_who_speaks(api: Api, database: Database, search: dict[str, str], older: bool) -> None:
    await add(database, segments=SEGMENTS)
    await add(database, "call-2", participants=(Participant(name="Zoë Ångström", email="mila@x.test"),))
    if older:
        await database.pipeline_pool.execute("UPDATE recordings SET speakers = NULL")
    for speaker, expected in [("NOVAK", "call-1"), ("ben", "call-1"), ("zoë å", "call-2"), ("Zoë", "call-2")]:
        assert [each["external_id"] for each in await items(api, speaker=speaker, **search)] == [expected], speaker
    assert await items(api, speaker="x.test", **search) == []


@pytest.mark.parametrize("search", [{}, {"q": "morning"}], ids=["listed", "searched"])
async def test_calls_are_found_by_the_account_that_brought_them(
    api: Api, database: Database, search: dict[str, str]
) -> None:
    mine, other = clock.new_id(), clock.new_id()
    await add(database, "call-1", source_id=mine)
    await add(database, "call-2", source_id=other)
    await add(database, "call-3")
    assert [each["external_id"] for each in await items(api, source_id=str(mine), **search)] == ["call-1"]
    assert await items(api, source_id=str(clock.new_id()), **search) == []


async def test_an_item_says_what_there_is_of_a_call(api: Api, database: Database) -> None:
    source_id = uuid4()
    kept = Media(ref=f"pulled/{database.workspace_id}/{SHA}/a.mp3", sha256=SHA)
    await add(database, source_id=source_id, media=kept)
    await add(database, "call-2", full_transcript="", media=Media(filename="a.mp3"))
    seen = {each["external_id"]: each for each in await items(api)}
    told = ("source_id", "has_media", "has_transcript")
    assert [seen["call-1"][name] for name in told] == [str(source_id), True, True]
    assert [seen["call-2"][name] for name in told] == [None, False, False]


# Downloads ---------------------------------------------------------------------------------------------------------


async def download(api: Api, **query: str) -> Any:
    """A transcript as a file."""
    return await api.client.get(f"/api/calls/{await call_id_of(api)}/transcript", params=query)


async def test_captions_are_what_a_library_reads(api: Api, database: Database) -> None:
    await add(database, segments=SEGMENTS)
    vtt = webvtt.from_string((await download(api, format="vtt")).text)
    srt = webvtt.from_buffer(io.StringIO((await download(api, format="srt")).text), format="srt")
    for read in (vtt, srt):
        assert [(each.start, each.end) for each in read] == [
            ("00:00:00.000", "00:00:02.000"),
            ("00:01:01.500", "00:01:01.501"),
            ("01:01:40.001", "01:01:41.000"),
        ]
    assert [each.voice for each in vtt] == ["Mila Novak", "Ben", None]
    assert [html.unescape(each.text) for each in vtt] == [
        "Good morning & welcome <all>.", "We ship on Friday.\nReally --> yes.", "Somebody laughs.",
    ]  # fmt: skip
    assert [each.raw_text for each in srt] == [
        "Mila Novak: Good morning & welcome <all>.", "Ben: We ship on Friday.\nReally → yes.", "Somebody laughs.",
    ]  # fmt: skip


async def test_text_says_who_and_when(api: Api, database: Database) -> None:
    await add(database, segments=SEGMENTS, recording_start_time=T0)
    answer = await download(api)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="Weekly planning.txt"')
    assert answer.text == (
        "Weekly planning\n2026-03-02 10:00 UTC\n\n[0:00:00] Mila Novak: Good morning & welcome <all>.\n"
        "[0:01:01] Ben: We ship on Friday. Really --> yes.\n[1:01:40] Somebody laughs.\n"
    )


async def test_json_holds_the_utterances(api: Api, database: Database) -> None:
    await add(database, segments=SEGMENTS)
    read = json.loads((await download(api, format="json")).text)
    assert [each["text"] for each in read["segments"]] == [each.text for each in SEGMENTS]


async def test_the_original_comes_word_for_word(api: Api, database: Database) -> None:
    original = "WEBVTT\r\n\r\n00:00.000 --> 00:01.000\r\nHi \n\n"
    await add(database, original_transcript=original, title='A/B: "x" <y>')
    answer = await download(api, which="original", format="json")
    assert answer.content == original.encode()
    assert 'filename="A B x y (original).vtt"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("fields", "query", "status", "reason"),
    [
        ({}, {"format": "vtt"}, 409, "no_times"),
        ({"full_transcript": ""}, {}, 404, "no_transcript"),
        ({}, {"which": "original"}, 404, "no_original"),
        ({}, {"format": "pdf"}, 422, None),
    ],
)
async def test_what_cannot_be_downloaded_is_said(
    api: Api, database: Database, fields: dict[str, Any], query: dict[str, str], status: int, reason: str | None
) -> None:
    await add(database, **fields)
    answer = await download(api, **query)
    assert answer.status_code == status
    assert reason is None or answer.json()["reason"] == reason


async def test_a_recording_is_downloaded_when_asked(api: Api, database: Database) -> None:
    ref = f"pulled/{database.workspace_id}/{SHA}/a.mp3"
    await media.put_bytes(api.ports.store, ref, b"sound")
    await add(database, media=Media(ref=ref, sha256=SHA, filename="a.mp3", content_type="audio/mpeg"))
    path = f"/api/calls/{await call_id_of(api)}/media"
    assert (await api.client.get(path)).headers["content-disposition"].startswith("inline")
    answer = await api.client.get(path, params={"download": "1"})
    assert answer.content == b"sound"
    assert answer.headers["content-disposition"].startswith("attachment")


# Erasing -----------------------------------------------------------------------------------------------------------


async def objects(api: Api) -> set[str]:
    """What lies in the media store."""
    return {each["path"] async for page in obstore.list(api.ports.store) for each in page}


async def test_an_erased_call_leaves_nothing_in_the_media_store(api: Api, database: Database) -> None:
    """Its recording under every name, what was fetched for it, and payloads too large for Kafka."""
    workspace = database.workspace_id
    ref, again = (f"uploads/{workspace}/{SHA}/{name}.mp3" for name in ("a", "b"))
    call = await add(database, media=Media(ref=ref, sha256=SHA))
    stays = f"uploads/{workspace}/{'ef' * 32}/a.mp3"
    for key in (ref, again, stays, f"fetched/{workspace}/{call.event_id}/{SHA}/a.mp3"):
        await media.put_bytes(api.ports.store, key, b"sound")
    for event_id in (call.event_id, clock.new_id()):
        await api.ports.bus.publish(
            RAW,
            RawCall(**call.identity() | {"event_id": event_id, "external_id": "x"}, payload="x" * (MAX_INLINE + 1)),
        )
    assert len([key for key in await objects(api) if key.startswith("claims/")]) == 2
    answer = await api.client.delete(f"/api/calls/{await call_id_of(api)}")
    assert answer.status_code == 204
    left = await objects(api)
    assert {key for key in left if not key.startswith("claims/")} == {stays}
    assert len(left) == 2
    assert await api.value("SELECT left_at IS NULL FROM erased_calls")


async def test_a_recording_that_another_call_has_stays_until_that_is_erased_too(api: Api, database: Database) -> None:
    ref = f"pulled/{database.workspace_id}/{SHA}/a.mp3"
    await media.put_bytes(api.ports.store, ref, b"sound")
    for name in ("call-1", "call-2"):
        await add(database, name, media=Media(ref=ref, sha256=SHA))
    await api.client.delete(f"/api/calls/{await call_id_of(api, 'call-1')}")
    assert await objects(api) == {ref}
    await api.client.delete(f"/api/calls/{await call_id_of(api, 'call-2')}")
    assert await objects(api) == set()


async def test_what_could_not_be_removed_is_removed_by_the_audit(api: Api, database: Database) -> None:
    ref = f"pulled/{database.workspace_id}/{SHA}/a.mp3"
    await media.put_bytes(api.ports.store, ref, b"sound")
    call = await add(database, media=Media(ref=ref, sha256=SHA))
    async with database.pipeline_pool.acquire() as connection, connection.transaction():
        await erase.erase(connection, key_of(call), by="somebody whose process dies right here")
    assert await objects(api) == {ref}
    pool, ports = database.pipeline_pool, api.ports
    assert await erasing.round_of(pool, ports.store, ports.bus, after_seconds=0) == 1
    assert await objects(api) == set()
    assert await erasing.round_of(pool, ports.store, ports.bus, after_seconds=0) == 0


async def test_a_call_is_erased_while_the_broker_is_away(api: Api, database: Database, tmp_path: Path) -> None:
    """Its files go at once; only the claim of dedup is released later."""
    ref = f"pulled/{database.workspace_id}/{SHA}/a.mp3"
    nobody = "127.0.0.1:1"
    async with running_api(tmp_path / "alone", nobody, database) as alone:
        await media.put_bytes(alone.ports.store, ref, b"sound")
        await add(database, media=Media(ref=ref, sha256=SHA))
        assert (await alone.client.delete(f"/api/calls/{await call_id_of(alone)}")).status_code == 204
        assert await objects(alone) == set()
    assert await api.value("SELECT left_at IS NOT NULL FROM erased_calls")
    await erasing.round_of(database.pipeline_pool, api.ports.store, api.ports.bus, after_seconds=0)
    assert await api.value("SELECT left_at IS NULL FROM erased_calls")


async def test_a_recording_that_comes_once_more_is_removed_as_well(api: Api, database: Database) -> None:
    """A pull had it in hand when the call was erased."""
    call = await add(database)
    await api.client.delete(f"/api/calls/{await call_id_of(api)}")
    ref = f"pulled/{database.workspace_id}/{SHA}/a.mp3"
    await media.put_bytes(api.ports.store, ref, b"sound")
    late = call.model_copy(update={"media": Media(ref=ref, sha256=SHA), "event_id": clock.new_id()})
    assert (await store(database.pipeline_pool, [late]))[0].result == "erased"
    await erasing.round_of(database.pipeline_pool, api.ports.store, api.ports.bus, after_seconds=0)
    assert await objects(api) == set()


async def test_an_erased_call_is_gone_from_every_answer(api: Api, database: Database) -> None:
    await add(database)
    path = f"/api/calls/{await call_id_of(api)}"
    await api.client.delete(path)
    for gone in (path, f"{path}/media", f"{path}/transcript"):
        assert (await api.client.get(gone)).status_code == 404
    assert await items(api) == []
    assert (await api.client.delete(path)).status_code == 404


async def test_the_audit_log_has_no_title(api: Api, database: Database) -> None:
    await add(database, title="Secret plans")
    call_id = await call_id_of(api)
    await api.client.delete(f"/api/calls/{call_id}")
    [row] = await api.fetch("SELECT * FROM audit_log WHERE action = 'call.erased'")
    assert row["target"] == call_id
    assert row["detail"] == {"source_app": "generic", "external_id": "call-1", "failed_imports": 0}


async def test_the_same_file_is_refused_at_the_door(api: Api, database: Database) -> None:
    await api.upload(("talk.vtt", VTT), headers={"Idempotency-Key": "k1"})
    external_id = str(await api.value("SELECT external_id FROM job_calls"))
    await add(database, external_id, source_app="upload")
    await api.client.delete(f"/api/calls/{await call_id_of(api, external_id)}")
    for key in ("k1", "k2"):
        answer = await api.upload(("talk.vtt", VTT), headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["reason"], answer.json()["detail"]) == (422, "erased", erase.ERASED)
    good = await api.upload(("talk.vtt", VTT), ("other.vtt", VTT + b"\nmore"))
    assert [each["status"] for each in good.json()["calls"]] == ["refused", "accepted"]


@pytest.mark.parametrize(
    ("role", "own", "status"),
    [("member", False, 403), ("member", True, 204), ("support", False, 204), ("owner", False, 204)],
)
async def test_a_call_is_erased_by_its_owner_or_who_may_for_all(
    api: Api, database: Database, role: str, own: bool, status: int
) -> None:
    user_id = clock.new_id()
    pool = database.pipeline_pool
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Ben')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, $3)", database.workspace_id, user_id, role)
    await add(database)
    if own:
        await pool.execute("UPDATE recordings SET owner_user_id = $1", user_id)
    key = await auth.create_api_key(api.ports.pool, database.workspace_id, user_id, "ben's")
    path = f"/api/calls/{await call_id_of(api)}"
    answer = await api.anonymous.delete(path, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == status
    assert (await api.client.get(path)).status_code == (404 if status == 204 else 200)


async def test_another_workspace_sees_and_erases_nothing_of_it(api: Api, database: Database) -> None:
    await add(database, segments=SEGMENTS)
    other, user_id, pool = clock.new_id(), clock.new_id(), database.pipeline_pool
    await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", other)
    await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, 'Eve')", user_id)
    await pool.execute("INSERT INTO memberships VALUES ($1, $2, 'owner')", other, user_id)
    key = await auth.create_api_key(api.ports.pool, other, user_id, "eve's")
    headers = {"Authorization": f"Bearer {key}"}
    path = f"/api/calls/{await call_id_of(api)}"
    assert (await api.anonymous.delete(path, headers=headers)).status_code == 404
    assert (await api.anonymous.get(f"{path}/transcript", headers=headers)).status_code == 404
    for query in ({"q": "morning"}, {"speaker": "ben"}, {"q": "morning", "speaker": "ben"}):
        found = await api.anonymous.get("/api/calls", params=query, headers=headers)
        assert found.json()["items"] == []
    assert len(await items(api, q="morning", speaker="ben")) == 1


async def test_a_workspace_that_erased_a_call_keeps_no_other_from_having_it(api: Api, database: Database) -> None:
    call = await add(database)
    other = clock.new_id()
    await database.pipeline_pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, 'Other')", other)
    await api.client.delete(f"/api/calls/{await call_id_of(api)}")
    theirs = call.model_copy(update={"workspace_id": other})
    assert (await store(database.pipeline_pool, [theirs]))[0].result == "imported"


async def test_a_source_counts_what_it_brought_by_webhook_too(api: Api, database: Database) -> None:
    source_id: UUID = clock.new_id()
    await api.execute(
        "INSERT INTO import_sources (source_id, workspace_id, user_id, source_app, account_email)"
        " VALUES ($1, $2, $3, 'gong', 'a@x.test')",
        source_id, api.workspace_id, api.user_id,
    )  # fmt: skip
    for number in range(3):
        await add(database, f"call-{number}", source_id=source_id, received_at=T0 + timedelta(seconds=number))
    await add(database, "call-9")
    answer = await api.client.get(f"/api/sources/{source_id}")
    assert answer.json()["calls_imported"] == 3
    await api.client.delete(f"/api/calls/{await call_id_of(api, 'call-1')}")
    assert (await api.client.get(f"/api/sources/{source_id}")).json()["calls_imported"] == 2
