"""docs/bad-input.md, row by row: what a person sees for every kind of bad input at every way in."""

import asyncio
import base64
import errno
import gzip
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api import intake
from api.multipart import MAX_FILES
from connectors.payloads import invalid_id, parse_json
from connectors.signatures import sign_standard_webhook
from schemas.faults import InvalidCall
from schemas.topics import RAW
from streams.io import clock
from streams.io.bus import headers_of
from tests.conftest import Broker, Database
from tests.fakes.audio import make_broken_mp4, make_silent_mp4, make_wav
from tests.stack import Stack, until
from tests.system.api_harness import GENERIC, VTT, Api, running_api

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "bad-input.md"
ROW = re.compile(r"^\| (B\d+) \|", re.MULTILINE)

Door = Callable[[Stack, httpx2.AsyncClient], Awaitable[httpx2.Response]]


def fresh() -> str:
    """An id no other test uses."""
    return f"bad-{uuid4().hex}"


def upload(*files: tuple[str, bytes], headers: Mapping[str, str] | None = None, **fields: Any) -> Door:
    """Upload files by name and content."""

    async def act(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
        parts = [("file", file) for file in files]
        return await client.post("/api/uploads", files=parts, data=fields, headers=dict(headers or {}))

    return act


def raw(method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> Door:
    """A request as it is."""

    async def act(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.request(method, path, content=body, headers={"Content-Type": content_type})

    return act


async def new_endpoint(client: httpx2.AsyncClient, platform: str = "generic") -> dict[str, Any]:
    """A new webhook endpoint with a secret."""
    secret = "whsec_" + base64.b64encode(uuid4().bytes * 2).decode()
    answer = await client.post("/api/webhook-endpoints", json={"platform": platform, "secret": secret})
    made: dict[str, Any] = answer.json()
    return made | {"path": f"/webhooks/{platform}/{made['id']}"}


def deliver(
    body: bytes,
    *,
    platform: str = "generic",
    age: int = 0,
    path: str | None = None,
    times: int = 1,
    **changed: str | None,
) -> Door:
    """A signed delivery; `changed` replaces headers (None: takes them away), `path` the address."""

    async def act(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
        endpoint = await new_endpoint(client, platform)
        headers = sign_standard_webhook(endpoint["secret"], "d-1", int(clock.unix_now()) - age, body)
        for name, value in changed.items():
            headers.pop(name.replace("_", "-"))
            if value is not None:
                headers[name.replace("_", "-")] = value
        target = (path or endpoint["path"]).replace("ENDPOINT", endpoint["id"])
        for _ in range(times):
            answer = await client.post(target, content=body, headers=headers)
        return answer

    return act


async def closed_endpoint(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
    """A delivery to an endpoint that was closed."""
    endpoint = await new_endpoint(client)
    await client.delete(f"/api/webhook-endpoints/{endpoint['id']}")
    return await client.post(endpoint["path"], content=b"{}")


async def key_used_before(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
    """An idempotency key that came with another file before."""
    headers = {"Idempotency-Key": fresh()}
    await upload(("a.vtt", VTT), headers=headers)(_, client)
    return await upload(("b.txt", b"Other words."), headers=headers)(_, client)


async def file_in_the_library(stack: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
    """A file that was imported before."""
    text = f"Ann: Hello {fresh()}".encode()
    first = (await upload(("a.txt", text))(stack, client)).json()
    await stack.wait_recording(first["calls"][0]["external_id"])
    return await upload(("b.txt", text))(stack, client)


async def without_a_key(stack: Stack, _: httpx2.AsyncClient) -> httpx2.Response:
    """An upload by nobody."""
    async with httpx2.AsyncClient(base_url=stack.api_url, trust_env=False) as nobody:
        return await nobody.post("/api/uploads", files=[("file", ("a.vtt", VTT))])


async def resolved_retry(stack: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
    """Retry of something discarded."""
    external_id = fresh()
    await stack.publish(stack.raw(external_id, "{}"))
    row = await stack.wait_failed(external_id)
    path = f"/api/failed-imports/{row['failed_import_id']}"
    await client.post(f"{path}/discard")
    return await client.post(f"{path}/retry")


MANY = [("file", ("a.vtt", VTT))] * (MAX_FILES + 1)


async def too_many_files(_: Stack, client: httpx2.AsyncClient) -> httpx2.Response:
    """More files than one upload takes."""
    return await client.post("/api/uploads", files=MANY)


GOOD = json.dumps(GENERIC).encode()
ZIP = b"PK\x03\x04" + bytes(200)
CUT = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.vtt"\r\n\r\nWEBVTT'
NOWHERE = str(uuid4())

AT_THE_DOOR: list[tuple[str, Door, int, str | None]] = [
    ("B01", upload(("a.wav", b"")), 422, "empty_file"),
    ("B02", upload(("a.docx", ZIP)), 422, "unsupported_format"),
    ("B03", upload(("a.mp3", b"Just some words.")), 422, "unsupported_format"),
    ("B08", upload(("a.txt", b"word " * 4_500_000)), 413, "transcript_too_large"),
    ("B09", upload(("a.txt", b"Hello \x81\x8d there, " * 50)), 422, None),
    ("B16", upload(("a.vtt", VTT), ("b.vtt", VTT)), 202, "same_file_twice"),
    ("B17", file_in_the_library, 202, "already_imported"),
    ("B18", upload(("a.txt", fresh().encode()), ("b.docx", ZIP)), 202, "unsupported_format"),
    ("B19", upload(title="no file"), 415, "not_multipart"),
    ("B20", raw("POST", "/api/uploads", b"{}"), 415, "not_multipart"),
    ("B21", raw("POST", "/api/uploads", CUT, "multipart/form-data; boundary=x"), 422, "cut_off"),
    ("B22", too_many_files, 413, "too_many_files"),
    ("B23", upload(("a.vtt", VTT), bank_id=NOWHERE), 422, "unknown_bank"),
    ("B24", upload(("a.vtt", VTT), recorded_at="yesterday"), 422, "invalid_field"),
    ("B25", upload(("a.vtt", VTT), title=b"\xff\xfe"), 422, "not_utf8"),
    ("B26", key_used_before, 409, "idempotency_key_reused"),
    ("B27", without_a_key, 401, "not_signed_in"),
    ("B40", deliver(GOOD, webhook_signature="v1," + base64.b64encode(bytes(32)).decode()), 401, "bad_signature"),
    ("B41", deliver(GOOD, webhook_id=None), 401, "bad_signature"),
    ("B42", deliver(GOOD, age=600), 401, "bad_signature"),
    ("B43", deliver(GOOD, age=-600), 401, "bad_signature"),
    ("B44", deliver(GOOD, times=2), 202, None),
    ("B45", deliver(GOOD, path=f"/webhooks/generic/{NOWHERE}"), 404, "not_found"),
    ("B46", closed_endpoint, 404, "not_found"),
    ("B47", deliver(GOOD, path="/webhooks/generic/not-an-id"), 404, "not_found"),
    ("B48", deliver(GOOD, path="/webhooks/fathom/ENDPOINT"), 404, "not_found"),
    ("B49", deliver(b"x" * (5 * 1024**2 + 1)), 413, "body_too_large"),
    ("B50", deliver(b"[" + b"{}," * 1000 + b"{}]"), 413, "too_many_calls"),
    ("B90", raw("GET", "/api/calls?cursor=AAAA"), 422, "bad_cursor"),
    ("B91", raw("GET", "/api/imports/not-an-id"), 422, "invalid_request"),
    ("B92", raw("GET", "/api/calls?q=%00"), 422, "invalid_request"),
    ("B93", raw("GET", "/api/calls?limit=99999999999999999999"), 422, "invalid_request"),
    ("B94", raw("POST", "/api/keys", b'{"name": "\\ud800"}'), 422, "invalid_request"),
    ("B95", raw("POST", "/api/keys", b'{"name": "\xff"}'), 400, "unreadable_request"),
    ("B96", raw("POST", "/api/failed-imports/retry", b"[" * 100_000), 400, "unreadable_request"),
    ("B97", raw("POST", "/api/keys", b" " * 1_100_000), 413, "body_too_large"),
    ("B98", raw("POST", f"/api/failed-imports/{NOWHERE}/retry"), 404, "not_found"),
    ("B99", resolved_retry, 409, "cannot_retry"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "act", "status", "reason"), AT_THE_DOOR, ids=[each[0] for each in AT_THE_DOOR])
async def test_at_the_door(stack: Stack, row: str, act: Door, status: int, reason: str | None) -> None:
    async with stack.client() as client:
        answer = await act(stack, client)
    assert answer.status_code == status, answer.text
    said = documented(row)
    assert str(status) in said
    body = answer.json()
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["detail"]
    if reason is not None:
        calls = body["calls"] if row in {"B16", "B17", "B18"} else []
        assert reason in {body.get("reason"), *(call["reason"] for call in calls)}
        assert f"`{reason}`" in said
    if row == "B44":
        assert body["status"] == "repeated"


def documented(row: str) -> str:
    """What the table says about a row."""
    return next(line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row} |"))


# At the door of an application whose limits or surroundings are bad -----------------------------------------------


@pytest.fixture
async def small(tmp_path: Path, broker: Broker, database: Database) -> AsyncIterator[Api]:
    """An application that takes files of at most 1000 bytes."""
    async with running_api(tmp_path, broker.bootstrap, database, upload_max_bytes=1000) as running:
        yield running


async def test_b07_a_file_over_the_limit(small: Api) -> None:
    answer = await small.upload(("a.wav", make_wav()))
    assert (answer.status_code, answer.json()["reason"]) == (413, "file_too_large"), documented("B07")


async def test_b28_a_cookie_without_the_token(small: Api) -> None:
    from api import auth

    path = await auth.create_sign_in_link(small.ports.pool, small.workspace_id, small.user_id)
    await small.anonymous.post("/sign-in", data={"token": path.partition("token=")[2]})
    answer = await small.anonymous.post("/api/uploads", files=[("file", ("a.vtt", VTT))])
    assert (answer.status_code, answer.json()["reason"]) == (403, "csrf"), documented("B28")


async def test_b30_b31_the_broker_is_away(tmp_path: Path, database: Database) -> None:
    async with running_api(tmp_path, "127.0.0.1:1", database) as api:
        for row, answer in (
            ("B30", await api.upload(("a.vtt", VTT))),
            ("B31", await api.deliver(await api.endpoint(), GOOD)),
        ):
            assert (answer.status_code, answer.json()["reason"]) == (503, "broker_away"), documented(row)
            assert int(answer.headers["retry-after"]) > 0


async def test_b32_the_database_is_away(small: Api) -> None:
    endpoint = await small.endpoint()
    await small.ports.pool.close()
    for answer in (await small.upload(("a.vtt", VTT)), await small.deliver(endpoint, GOOD)):
        assert (answer.status_code, answer.json()["reason"]) == (503, "database_away"), documented("B32")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("where", ["file", "store"])
async def test_b33_the_disk_is_full(small: Api, where: str) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        if where == "file":
            patch.setattr("api.uploads.receive", full)
        else:
            patch.setattr(intake.media, "exists", full)
        answer = await small.upload(("a.flac", b"fLaC" + bytes(100)))
    assert (answer.status_code, answer.json()["reason"]) == (507, "disk_full"), documented("B33")
    assert await small.value("SELECT count(*) FROM import_jobs") == 0


async def test_b34_a_name_that_climbs(small: Api) -> None:
    answer = await small.upload(("../../etc/pass\x1bwd.vtt", VTT), ("..\\..\\a\u202e.txt", b"Hello."))
    assert answer.status_code == 202, documented("B34")
    assert [call["filename"] for call in answer.json()["calls"]] == ["passwd.vtt", "a.txt"]
    assert not list((small.settings.data_dir).glob("etc*"))


# Accepted, and then among the failed imports, or mended ------------------------------------------------------------

UPLOADED: list[tuple[str, str, Callable[[], bytes], str]] = [
    ("B05", "a.mp4", make_broken_mp4, "media_unreadable"),
    ("B06", "a.mp4", make_silent_mp4, "media_unreadable"),
    ("B10", "a.vtt", lambda: b"WEBVTT\n\nNOTE nothing here\n", "transcript_empty"),
    ("B11", "a.json", lambda: f'"{fresh()}"'.encode(), "transcript_unreadable"),
    ("B12", "a.json", lambda: b'{"segments": [', "payload_not_json"),
    ("B13", "a.json", lambda: b'{"segments": [{"text": "a", "start": NaN}]}', "payload_not_json"),
    ("B14", "a.json", lambda: b'{"a":' * 50_000, "payload_too_deep"),
]


@pytest.mark.parametrize(("row", "name", "content", "reason"), UPLOADED, ids=[each[0] for each in UPLOADED])
async def test_an_upload_that_fails_later(
    stack: Stack, row: str, name: str, content: Callable[[], bytes], reason: str
) -> None:
    async with stack.client() as client:
        answer = await upload((name, content()))(stack, client)
        assert answer.status_code == 202, answer.text
        await is_failed(client, answer.json()["calls"][0]["external_id"], row, reason)


async def is_failed(client: httpx2.AsyncClient, external_id: str, row: str, reason: str) -> None:
    """The call stands among the failed imports, with the documented reason and a sentence."""

    async def look() -> Any:
        answer = await client.get("/api/failed-imports", params={"external_id": external_id})
        return answer.json()["items"]

    [found] = await until(look, 60, f"failed import {external_id}")
    assert found["reason"] == reason, found
    assert f"`{reason}`" in documented(row)
    assert found["message"].endswith(".")
    assert found["status"] == "open"
    detail = await client.get(f"/api/failed-imports/{found['id']}")
    assert detail.status_code == 200


def generic(**changed: Any) -> bytes:
    """A generic raw call with fields changed, or taken away with None."""
    call = {**GENERIC, "external_id": fresh(), **changed}
    return json.dumps({name: value for name, value in call.items() if value is not None}).encode()


def fathom(**changed: Any) -> bytes:
    """A Fathom meeting with fields changed, or taken away with None."""
    spoken = [{"speaker": {"display_name": "Ann"}, "text": "Hi", "timestamp": "00:00:01"}]
    call = {"recording_id": uuid4().int >> 70, "title": "Demo", "transcript": spoken, **changed}
    return json.dumps({name: value for name, value in call.items() if value is not None}).encode()


DELIVERED: list[tuple[str, str, bytes, str]] = [
    ("B51", "generic", f"hello {fresh()}".encode(), "payload_not_json"),
    ("B52", "generic", f'"{fresh()}"'.encode(), "payload_not_object"),
    ("B53", "generic", generic(external_id=None, metadata={"n": fresh()}), "invalid_field"),
    ("B54", "generic", generic(title=None), "invalid_field"),
    ("B55", "generic", generic(full_transcript=None), "nothing_to_import"),
    ("B56", "generic", generic(media_url="http://calls.example/a.mp3"), "invalid_field"),
    ("B57", "generic", generic()[:-1] + b', "duration_seconds": NaN}', "payload_not_json"),
    ("B59", "generic", f'{{"external_id": "{fresh()}", "metadata": {"[" * 5000}'.encode(), "payload_too_deep"),
    ("B60", "generic", generic(recording_start_time="yesterday"), "invalid_field"),
    ("B61", "generic", generic(segments=[{"text": "a", "start_ms": 5, "end_ms": 1}]), "invalid_field"),
    ("B62", "fathom", fathom(transcript=None), "nothing_to_read"),
    ("B63", "fathom", fathom(recording_id=None, url=fresh()), "invalid_field"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "platform", "body", "reason"), DELIVERED, ids=[each[0] for each in DELIVERED])
async def test_a_delivery_that_fails_later(stack: Stack, row: str, platform: str, body: bytes, reason: str) -> None:
    async with stack.client() as client:
        answer = await deliver(body, platform=platform)(stack, client)
        assert answer.status_code == 202, answer.text
        await is_failed(client, id_in(body), row, reason)


def id_in(body: bytes) -> str:
    """The id a call goes under: its own, or one made of its bytes."""
    try:
        call = parse_json(body.decode())
        found = call.get("external_id") or call.get("recording_id")
    except (InvalidCall, AttributeError):
        found = None
    return str(found) if found else invalid_id(body.decode())


async def test_b04_b15_b58_b64_what_is_mended_on_the_way(stack: Stack) -> None:
    odd = fresh()
    body = generic(external_id=odd, title="a\x00b", full_transcript="half \ud800 a character")
    latin = f"Müller: Grüße {fresh()}".encode("cp1252")
    async with stack.client() as client:
        assert (await deliver(body)(stack, client)).status_code == 202
        answer = await upload(("talk.txt", make_wav(0.5, 313)), ("latin.txt", latin))(stack, client)
        wav, text = (call["external_id"] for call in answer.json()["calls"])
    row = await stack.wait_recording(odd)
    assert row["title"] == "ab", documented("B58")
    assert "\ud800" not in row["full_transcript"], documented("B64")
    assert "Grüße" in (await stack.wait_recording(text))["full_transcript"], documented("B15")
    assert (await stack.wait_recording(wav))["media"]["content_type"] == "audio/wav", documented("B04")


# Straight to the topic ---------------------------------------------------------------------------------------------

TOPIC: list[tuple[str, Callable[[dict[str, Any]], bytes | None], dict[str, bytes], str]] = [
    ("B70", lambda _: b"\xff\xfe not json", {}, "undecodable"),
    ("B71", lambda _: None, {}, "empty_event"),
    ("B72", lambda event: json.dumps({**event, "version": 2}).encode(), {}, "unknown_version"),
    ("B73", lambda event: json.dumps(event).encode(), {"ce_type": b"com.example.other"}, "unknown_type"),
    ("B74", lambda event: json.dumps({**event, "payload": 7}).encode(), {}, "wrong_shape"),
    ("B76", lambda event: json.dumps({**event, "source_app": "nosuch"}).encode(), {}, "unknown_source"),
    ("B77", lambda event: json.dumps(event).encode(), {"ce_dataref": b"../../etc/passwd"}, "bad_reference"),
    ("B78", lambda event: json.dumps(event).encode(), {"ce_dataref": None}, "media_missing"),  # type: ignore[dict-item]
    ("B79", lambda event: json.dumps({**event, "payload": "not json"}).encode(), {}, "payload_not_json"),
]


@pytest.mark.parametrize(("row", "value", "headers", "reason"), TOPIC, ids=[each[0] for each in TOPIC])
async def test_a_bad_record_in_the_topic(
    stack: Stack, row: str, value: Callable[[dict[str, Any]], bytes | None], headers: dict[str, bytes], reason: str
) -> None:
    call = stack.raw(fresh(), generic().decode())
    missing = f"claims/{RAW.name}/{call.event_id}-{'0' * 16}.json".encode()
    named = {name: missing if data is None else data for name, data in headers.items()}
    whole = [(name, data) for name, data in headers_of(RAW, call, "test") if name not in named] + list(named.items())
    bus = stack.bus()
    try:
        await bus.send(RAW.name, call.key, value(call.model_dump(mode="json")), whole)
    finally:
        await bus.stop()
    async with stack.client() as client:
        await is_failed(client, call.external_id, row, reason)


async def test_b75_a_record_without_a_key_is_said(stack: Stack) -> None:
    call = stack.raw(fresh(), generic().decode())
    bus = stack.bus()
    try:
        await bus.send(RAW.name, None, call.model_dump_json().encode(), headers_of(RAW, call, "test"))
        await bus.send(RAW.name, None, b"\x00", [])
    finally:
        await bus.stop()

    async def look() -> Any:
        said = await stack.fetch(
            "SELECT 1 FROM failed_imports WHERE event_id = $1 AND reason = 'no_key'", call.event_id
        )
        lost = await stack.fetch(
            "SELECT 1 FROM failed_imports WHERE original_value = $1 AND original_key IS NULL", b"\x00"
        )
        return said and lost

    assert await until(look, 60, "the records without a key"), documented("B75")


# From the command line ---------------------------------------------------------------------------------------------


async def command(stack: Stack, *files: Path) -> tuple[int, dict[str, Any], str]:
    """`callstream import --json`: its exit code, what it printed, what it complained about."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.cli", "import", "--json", *map(str, files),
        env=dict(stack.env), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, json.loads(out) if out.strip() else {}, err.decode()


async def test_b80_to_b84_lines_that_are_no_calls(stack: Stack, tmp_path: Path) -> None:
    lines = {
        "B80": f"not json {fresh()}".encode(),
        "B81": b'{"external_id": "\xff\xfe"}',
        "B82": json.dumps({"source_app": "nosuch", "payload": {"n": fresh()}}).encode(),
        "B83": json.dumps({"source_app": "upload", "payload": {"kind": "media", "n": fresh()}}).encode(),
        "B84": b'{"external_id": "' + b"x" * (5 * 1024**2) + b'"}',
    }
    reasons = ("payload_not_json", "line_not_utf8", "unknown_source", "unknown_source", "line_too_long")
    good = fresh()
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"\n".join([*lines.values(), generic(external_id=good)]) + b"\n")
    code, summary, _ = await command(stack, path)
    assert code == 1
    assert (summary["imported"], summary["failed"]) == (1, len(lines))
    assert {failure["name"] for failure in summary["failures"]} == {f"calls.jsonl, line {n}" for n in range(1, 6)}
    assert all(failure["reason"].endswith(".") for failure in summary["failures"])
    by_line = {failure["name"]: failure["external_id"] for failure in summary["failures"]}
    async with stack.client() as client:
        for number, (row, reason) in enumerate(zip(lines, reasons, strict=True), 1):
            await is_failed(client, by_line[f"calls.jsonl, line {number}"], row, reason)


async def test_b85_b86_files_that_cannot_be_imported(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "a.docx").write_bytes(ZIP)
    code, summary, _ = await command(stack, tmp_path / "empty.wav", tmp_path / "a.docx")
    assert code == 1
    reasons = {failure["name"]: failure["reason"] for failure in summary["failures"]}
    assert "is empty" in reasons["empty.wav"], documented("B85")
    assert "Upload MP3" in reasons["a.docx"], documented("B86")


async def test_b87_a_packed_file_that_is_cut_off(stack: Stack, tmp_path: Path) -> None:
    good = [fresh() for _ in range(200)]
    packed = gzip.compress(b"\n".join(generic(external_id=each) for each in good))
    path = tmp_path / "calls.jsonl.gz"
    path.write_bytes(packed[: len(packed) - 200])
    code, summary, _ = await command(stack, path)
    assert code == 1
    assert summary["failed"] >= 1
    assert summary["imported"] > 0
    assert any("damaged or cut off" in failure["reason"] for failure in summary["failures"]), documented("B87")


async def test_b88_a_file_that_is_not_there(stack: Stack, tmp_path: Path) -> None:
    code, _, said = await command(stack, tmp_path / "nothing.wav")
    assert code == 2
    assert "not a file" in re.sub(r"\s+", " ", said), documented("B88")


# The table itself --------------------------------------------------------------------------------------------------


def test_every_row_of_the_table_is_covered_by_a_test() -> None:
    rows = ROW.findall(DOC.read_text(encoding="utf-8"))
    assert len(rows) == len(set(rows))
    tests = Path(__file__).read_text(encoding="utf-8")
    tested = set(re.findall(r'"(B\d\d)"', tests))
    assert set(rows) == tested
