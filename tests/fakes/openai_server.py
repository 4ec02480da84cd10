"""A local server that answers like OpenAI's audio transcription, for tests and for trying things by hand without a key.

By hand, in a terminal of its own (Ctrl-C or Ctrl-D ends it):

    python -m tests.fakes.openai_server --port 8499 --api-key sk-fake

and then, in the terminal that runs callstream or any other OpenAI client:

    export OPENAI_BASE_URL=http://127.0.0.1:8499/v1 OPENAI_API_KEY=sk-fake

The first line on standard output is `{"base_url": "http://127.0.0.1:8499/v1"}`; `--port 0` takes any free port. The
server ends when its standard input closes, so that it never outlives the process that started it; that also means it
cannot run with `</dev/null` or in the background of a shell.

What it does not do, but for the model `tones-1`, is listen: the words are drawn from the sha256 of the audio, beginning
with "Audio <12 hex digits>." so that a transcript tells which bytes it came from (`spoken_name`). The rest follows
OpenAI's documentation, and where that is silent the errors that callers report; it was not compared with the service
itself. The key, the file's name, format, size and length are checked, each model has its own response formats, times
are seconds of the audio's real length, and `usage` says what is billed, with token counts that are only of the right
order. Streaming is refused, and `include=logprobs` is taken and ignored. `tones-1` is nobody's model: it answers like
whisper-1, but its segments are the tones in the audio, each with its pitch as its text, so that a transcript tells what
was in which place.

In tests:

    with start_fake_openai() as openai_server:
        openai_server.control({"status": 429, "retry_after": 1}, {}, {"cut": True})
        ...  # of three calls with one file, the first is turned away, the second answered, the third breaks off
        assert openai_server.paid() == {sha256: 2}

The control plane, on the same port and without a key:

POST /control            sets the faults of the next transcription calls, one object a call, as a list or a single one;
                         faults that still wait are replaced
GET  /control/requests   every transcription call so far; how often each sha256 came (`counts`), and how often it would
                         have been billed (`paid`)
POST /control/reset      forgets the faults and the calls

A fault is one of these, or a sum of them; `{}` is a call without a fault:

{"status": 429, "retry_after": 1}               refuses, with `Retry-After` and the rate limit headers; 400 to 599
{"status": 429, "code": "insufficient_quota"}   refuses with this code: the account is out of money
{"cut": true}                                   does the work, sends half of the answer and drops the TCP connection
{"cut_upload": true}                            drops the TCP connection before it reads the audio: nothing is paid
{"delay_seconds": 40}                           does the work and then waits before it answers
{"garbage": true}                               does the work and answers 200 with half of the JSON

A call uses up one fault if its key is right, whatever else is wrong with it. Work done counts as billed even when the
answer does not arrive: the careful assumption, as it makes a blind retry look as expensive as it may be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import itertools
import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
from array import array
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import av
import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

DEFAULT_API_KEY = "sk-fake"
ROOT = Path(__file__).resolve().parents[2]

MAX_FILE_BYTES = 26_214_400
MIN_SECONDS = 0.1
SECONDS_A_SEGMENT = 4
TONE_RATE = 4_000
UNCHUNKED_DIARIZE_SECONDS = 30

# File name extension -> what FFmpeg may find inside.
CONTAINERS = {
    "flac": {"flac"},
    "m4a": {"mp4"},
    "mp3": {"mp3"},
    "mp4": {"mp4"},
    "mpeg": {"mp3", "mpeg", "mpegts"},
    "mpga": {"mp3"},
    "ogg": {"ogg"},
    "wav": {"wav"},
    "webm": {"webm"},
}
LANGUAGES = {"en": "english", "de": "german", "es": "spanish", "fr": "french", "it": "italian", "nl": "dutch"}
WORDS = """
    about after again agree answer budget call change client close contract could customer date deal decide demo email
    every figure first follow going good great help invoice issue later launch meeting minute month never next number
    office often order people plan price project question quarter really report review right sales send shall share
    since start still support team thanks think today tomorrow week where would year
""".split()  # noqa: SIM905 - a list of them is seventy lines


@dataclass(frozen=True)
class Model:
    """What one model accepts.

    1400 s is what callers of the gpt-4o family are told, chunking or not; that gpt-transcribe has it too is assumed.
    """

    formats: tuple[str, ...]
    max_seconds: float = math.inf
    bills_tokens: bool = True
    diarizes: bool = False


MODELS = {
    "whisper-1": Model(("json", "text", "srt", "verbose_json", "vtt"), bills_tokens=False),
    "gpt-4o-transcribe": Model(("json", "text"), max_seconds=1400),
    "gpt-4o-mini-transcribe": Model(("json", "text"), max_seconds=1400),
    "gpt-4o-transcribe-diarize": Model(("json", "text", "diarized_json"), 1400, bills_tokens=False, diarizes=True),
    "gpt-transcribe": Model(("json", "text"), max_seconds=1400),
    "tones-1": Model(("json", "text", "srt", "verbose_json", "vtt"), max_seconds=1400, bills_tokens=False),
}
TONES = "tones-1"


class Fault(BaseModel):
    """What shall go wrong with one call; see the table at the top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    retry_after: float | str | None = None
    cut: bool = False
    cut_upload: bool = False
    hold: bool = False
    delay_seconds: float = Field(default=0, ge=0)
    garbage: bool = False


@dataclass
class Received:
    """One transcription call, written down when it arrives and filled in as it goes on."""

    number: int
    key_suffix: str | None  # the last four characters, and only of the right key
    sha256: str | None = None  # stays None when the audio was not read to its end
    size: int | None = None
    filename: str | None = None
    model: str | None = None
    language: str | None = None
    response_format: str | None = None
    fault: dict[str, Any] | None = None
    status: int | None = None  # None while it is being answered, and after a cut
    held: bool = False  # now, and not at some time
    paid: bool = False


@dataclass
class Desk:
    """All that the server remembers."""

    faults: deque[Fault] = field(default_factory=deque)
    received: list[Received] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)  # another one with each new list of faults

    def expect(self, faults: list[Fault]) -> None:
        """Take a new list of faults and let go of what is held."""
        self.faults = deque(faults)
        self.released.set()
        self.released = asyncio.Event()


class Refused(Exception):
    """An answer other than 200, in the shape of OpenAI's errors."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.type = {429: "requests"}.get(status, "server_error" if status >= 500 else "invalid_request_error")
        if code == "insufficient_quota":
            self.type = code
        self.headers: dict[str, str] = {}

    def response(self) -> Response:
        body = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return JSONResponse({"error": body}, self.status, self.headers)


class CutConnection(Response):
    """Sends half of the promised body, or nothing at all without one, and drops the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.body:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["state"]["transport"].abort()
        await asyncio.sleep(0.01)  # uvicorn must see the loss before this returns, or it reports an unfinished answer


class CuttableProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with the connection within reach of `CutConnection`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


# The server


def build_app(api_key: str) -> FastAPI:
    """The application; `CutConnection` needs it to be served by `CuttableProtocol`."""
    app = FastAPI(openapi_url=None)
    desk = Desk()

    @app.exception_handler(Refused)
    async def refuse(_: Request, refused: Refused) -> Response:
        return refused.response()

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        _check_key(request, api_key)
        listed = [{"id": name, "object": "model", "created": 1677532384, "owned_by": "openai"} for name in MODELS]
        return JSONResponse({"object": "list", "data": listed})

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        entry = Received(len(desk.received) + 1, key_suffix=None)
        desk.received.append(entry)
        try:
            response = await _transcribe(request, entry, desk, api_key)
        except Refused as refused:
            response = refused.response()
        entry.status = None if isinstance(response, CutConnection) else response.status_code
        response.headers["x-request-id"] = f"req_fake_{entry.number:06}"
        return response

    @app.post("/control")
    async def control(faults: list[Fault] | Fault) -> dict[str, int]:
        desk.expect(faults if isinstance(faults, list) else [faults])
        return {"waiting": len(desk.faults)}

    @app.get("/control/requests")
    async def requests() -> dict[str, Any]:
        read = [entry for entry in desk.received if entry.sha256]
        return {
            "requests": [asdict(entry) for entry in desk.received],
            "counts": Counter(entry.sha256 for entry in read),
            "paid": Counter(entry.sha256 for entry in read if entry.paid),
        }

    @app.post("/control/reset")
    async def reset() -> dict[str, int]:
        desk.received = []
        desk.expect([])
        return {"waiting": 0}

    return app


async def _transcribe(request: Request, entry: Received, desk: Desk, api_key: str) -> Response:
    try:
        entry.key_suffix = _check_key(request, api_key)[-4:]
    except Refused:
        async for _ in request.stream():  # a client that is still sending would not see the answer
            pass
        raise
    fault = desk.faults.popleft() if desk.faults else Fault()
    entry.fault = fault.model_dump(exclude_defaults=True) or None
    if fault.cut_upload:
        return CutConnection()

    async with request.form(max_part_size=MAX_FILE_BYTES) as form:
        file = form.get("file")
        audio = await file.read() if isinstance(file, UploadFile) else b""
        _note(entry, form, audio)
        if fault.hold and not await _held(request, entry, desk.released):
            return CutConnection()
        if fault.status:
            await asyncio.sleep(fault.delay_seconds)
            raise _refusal(fault)
        answer = await asyncio.to_thread(_answer, form, audio)

    entry.paid = True
    await asyncio.sleep(fault.delay_seconds)
    if fault.cut:
        return CutConnection(answer.body, media_type=answer.media_type)
    if fault.garbage:
        return Response(bytes(answer.body[: len(answer.body) // 2]), media_type="application/json")
    return answer


async def _held(request: Request, entry: Received, released: asyncio.Event) -> bool:
    """Wait; False when the caller did not."""
    entry.held = True
    try:
        while not released.is_set():
            if await request.is_disconnected():
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(released.wait(), 0.1)
        return not await request.is_disconnected()
    finally:
        entry.held = False


def _check_key(request: Request, api_key: str) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refused(401, "You didn't provide an API key.", code="invalid_api_key")
    if key != api_key:
        raise Refused(401, f"Incorrect API key provided: ***{key[-4:]}.", code="invalid_api_key")
    return key


def _note(entry: Received, form: FormData, audio: bytes) -> None:
    file = form.get("file")
    if isinstance(file, UploadFile):
        entry.sha256, entry.size, entry.filename = hashlib.sha256(audio).hexdigest(), len(audio), file.filename
    entry.model, entry.language = _text(form, "model"), _text(form, "language")
    entry.response_format = _text(form, "response_format")


def _refusal(fault: Fault) -> Refused:
    assert fault.status
    codes = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
    code = fault.code or codes.get(fault.status)
    said = {
        "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
        "rate_limit_exceeded": "Rate limit reached for requests. Please try again later.",
        "invalid_api_key": "Incorrect API key provided.",
    }
    message = said.get(code or "", "The server had an error while processing your request.")
    refused = Refused(fault.status, message, code=code)
    if fault.retry_after is not None:
        wait = f"{fault.retry_after:g}" if isinstance(fault.retry_after, float) else str(fault.retry_after)
        refused.headers["retry-after"] = wait
    if code == "rate_limit_exceeded":
        refused.headers |= {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "0"}
        if isinstance(fault.retry_after, float):
            refused.headers["x-ratelimit-reset-requests"] = f"{fault.retry_after:g}s"
    return refused


# One answer


def _answer(form: FormData, audio: bytes) -> Response:
    """Check the request as the real service does, and answer it; the same request has the same answer."""
    name = _text(form, "model")
    model = MODELS.get(name or "")
    if not name:
        raise Refused(400, "you must provide a model parameter", param="model")
    if not model:
        raise Refused(
            404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found"
        )
    response_format = _check_options(form, name, model)
    seconds = _check_file(form, audio)
    if seconds > model.max_seconds:
        limit = f"longer than {model.max_seconds:g} seconds which is the maximum for this model"
        raise Refused(400, f"audio duration {seconds:g} seconds is {limit}", code="invalid_value")
    chunked = any(key.startswith("chunking_strategy") for key in form)
    if model.diarizes and seconds > UNCHUNKED_DIARIZE_SECONDS and not chunked:
        raise Refused(400, "chunking_strategy is required for diarization models", param="chunking_strategy")

    lines = _tones(audio) if name == TONES else _lines(audio, seconds)
    text = " ".join(line.text for line in lines)
    usage = _usage(model, seconds, text, _text(form, "prompt") or "")
    match response_format:
        case "text":
            return PlainTextResponse(text + "\n")
        case "srt" | "vtt":
            return PlainTextResponse(_subtitles(lines, response_format))
        case "verbose_json":
            return JSONResponse(_verbose(form, lines, seconds, text) | {"usage": usage})
        case "diarized_json":
            return JSONResponse(_diarized(form, lines, seconds, text) | {"usage": usage})
        case _ if name == "gpt-transcribe":
            codes = _texts(form, "languages") or ["en"]
            return JSONResponse({"text": text, "languages": [{"code": code} for code in codes], "usage": usage})
        case _:
            return JSONResponse({"text": text, "usage": usage})


def _check_options(form: FormData, name: str, model: Model) -> str:
    response_format = _text(form, "response_format") or "json"
    granularities = set(_texts(form, "timestamp_granularities"))
    if response_format not in model.formats:
        message = f"response_format '{response_format}' is not compatible with model '{name}'."
        raise Refused(400, message, code="unsupported_value", param="response_format")
    if granularities and response_format != "verbose_json":
        message = "timestamp_granularities needs response_format 'verbose_json'."
        raise Refused(400, message, code="unsupported_value", param="timestamp_granularities")
    if granularities - {"segment", "word"}:
        raise Refused(400, "Unknown granularity.", code="invalid_value", param="timestamp_granularities")
    if model.diarizes and _text(form, "prompt"):
        raise Refused(400, "Prompt is not supported for diarization models.", code="unsupported_value", param="prompt")
    if model.diarizes and _texts(form, "include"):
        raise Refused(400, "logprobs are not supported for this model.", code="unsupported_value", param="include")
    if len(_texts(form, "known_speaker_names")) > 4:
        raise Refused(400, "At most 4 known speakers.", code="invalid_value", param="known_speaker_names")
    if not re.fullmatch(r"[a-z]{2}", _text(form, "language") or "en"):
        message = "Language parameter must be specified in ISO-639-1 format."
        raise Refused(400, message, code="invalid_language_format", param="language")
    if _text(form, "stream") == "true":
        raise Refused(400, "This stand-in does not stream.", code="unsupported_value", param="stream")
    return response_format


def _check_file(form: FormData, audio: bytes) -> float:
    """The length in seconds of a file that the service takes."""
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused(400, "you must provide a file", param="file")
    if len(audio) > MAX_FILE_BYTES:
        raise Refused(413, f"Maximum content size limit ({MAX_FILE_BYTES}) exceeded ({len(audio)} bytes read)")
    extension = (file.filename or "").rpartition(".")[2].lower()
    accepted = CONTAINERS.get(extension)
    if not accepted:
        raise Refused(400, f"Invalid file format. Supported formats: {sorted(CONTAINERS)}", param="file")
    try:
        containers, seconds = _measure(audio)
    except (av.FFmpegError, LookupError):
        seconds, containers = 0.0, set()
    if not accepted & containers:
        message = "The audio file could not be decoded or its format is not supported."
        raise Refused(400, message, code="invalid_value", param="file")
    if seconds < MIN_SECONDS:
        message = f"Audio file is too short. Minimum audio length is {MIN_SECONDS} seconds."
        raise Refused(400, message, code="audio_too_short", param="file")
    return seconds


def _measure(audio: bytes) -> tuple[set[str], float]:
    """What kind of file it is and how long its sound is, decoded to the end: a header can say anything."""
    with av.open(io.BytesIO(audio)) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(stream))
        return set(container.format.name.split(",")), round(seconds, 3)


# The words


@dataclass(frozen=True)
class Line:
    """One sentence and its place in the audio, in seconds."""

    start: float
    end: float
    text: str


def spoken_name(audio: bytes) -> str:
    """The sentence with which the transcript of exactly these bytes begins."""
    return f"Audio {hashlib.sha256(audio).hexdigest()[:12]}."


def _lines(audio: bytes, seconds: float) -> list[Line]:
    """The whole length cut into even parts; the first names the audio, the others are words picked by its sha256."""
    digest = hashlib.sha256(audio).hexdigest()
    count = math.ceil(seconds / SECONDS_A_SEGMENT)
    lines = []
    for number in range(count):
        picked = hashlib.sha256(f"{digest}:{number}".encode()).digest()[:6]
        sentence = " ".join(WORDS[byte % len(WORDS)] for byte in picked).capitalize() + "."
        start, end = round(seconds * number / count, 2), round(seconds * (number + 1) / count, 2)
        lines.append(Line(start, end, sentence if number else spoken_name(audio)))
    return lines


def _tones(audio: bytes) -> list[Line]:
    """What sounds in the audio: each stretch of the same pitch, to the nearest hundred, found in tenths of a second."""
    found: list[Line] = []
    pending, at = array("h"), 0.0
    resampler = av.AudioResampler("s16", "mono", TONE_RATE)
    with av.open(io.BytesIO(audio)) as container:
        for frame in container.decode(audio=0):
            for piece in resampler.resample(frame):
                pending.frombytes(bytes(piece.planes[0])[: piece.samples * 2])
            while len(pending) >= TONE_RATE // 10:
                text = _pitch(pending[: TONE_RATE // 10])
                if found and found[-1].text == text and at - found[-1].end < 0.05:
                    found[-1] = Line(found[-1].start, round(at + 0.1, 2), text)
                elif text:
                    found.append(Line(round(at, 2), round(at + 0.1, 2), text))
                del pending[: TONE_RATE // 10]
                at += 0.1
    return [line for line in found if line.end - line.start > 0.35]  # shorter ones are the edges of others


def _pitch(samples: array[int]) -> str:
    """`400 Hz.`, or nothing where it is silent."""
    if max(samples) < 500:
        return ""
    crossings = sum(1 for one, other in itertools.pairwise(samples) if one < 0 <= other)
    return f"{round(crossings / 10) * 100} Hz."


def _verbose(form: FormData, lines: list[Line], seconds: float, text: str) -> dict[str, Any]:
    code = _text(form, "language") or "en"
    answer: dict[str, Any] = {"task": "transcribe", "language": LANGUAGES.get(code, code), "duration": seconds}
    answer["text"] = text
    granularities = _texts(form, "timestamp_granularities") or ["segment"]
    if "segment" in granularities:
        answer["segments"] = [_segment(number, line) for number, line in enumerate(lines)]
    if "word" in granularities:
        answer["words"] = [word for line in lines for word in _words(line)]
    return answer


def _segment(number: int, line: Line) -> dict[str, Any]:
    place = {"id": number, "seek": 0, "start": line.start, "end": line.end, "text": f" {line.text}"}
    measures = {"temperature": 0.0, "avg_logprob": -0.21, "compression_ratio": 1.08, "no_speech_prob": 0.01}
    return place | {"tokens": [50364, 2425]} | measures


def _words(line: Line) -> list[dict[str, Any]]:
    words = line.text.rstrip(".").split()
    step = (line.end - line.start) / len(words)
    return [
        {"word": word, "start": round(line.start + i * step, 2), "end": round(line.start + (i + 1) * step, 2)}
        for i, word in enumerate(words)
    ]


def _diarized(form: FormData, lines: list[Line], seconds: float, text: str) -> dict[str, Any]:
    """Two speakers take turns; known ones come first, under their names."""
    known = _texts(form, "known_speaker_names")
    speakers = [*known, "A", "B"][: max(2, len(known))]
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number + 1:03}",
            "start": line.start,
            "end": line.end,
            "speaker": speakers[number % len(speakers)],
            "text": line.text,
        }
        for number, line in enumerate(lines)
    ]
    return {"task": "transcribe", "duration": seconds, "text": text, "segments": segments}


def _subtitles(lines: list[Line], kind: str) -> str:
    point = "," if kind == "srt" else "."

    def clock(seconds: float) -> str:
        whole, milliseconds = divmod(round(seconds * 1000), 1000)
        return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"

    cues = [
        (f"{number}\n" if kind == "srt" else "") + f"{clock(line.start)} --> {clock(line.end)}\n{line.text}\n"
        for number, line in enumerate(lines, 1)
    ]
    return ("WEBVTT\n\n" if kind == "vtt" else "") + "\n".join(cues)


def _usage(model: Model, seconds: float, text: str, prompt: str) -> dict[str, Any]:
    if not model.bills_tokens:
        return {"type": "duration", "seconds": math.ceil(seconds)}
    heard, read, written = math.ceil(seconds * 10), len(prompt.split()), len(text.split())
    details = {"text_tokens": read, "audio_tokens": heard}
    tokens = {"input_tokens": heard + read, "output_tokens": written, "total_tokens": heard + read + written}
    return {"type": "tokens", "input_token_details": details} | tokens


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _texts(form: FormData, name: str) -> list[str]:
    """A list field; clients name it with or without brackets."""
    return [value for key in (name, f"{name}[]") for value in form.getlist(key) if isinstance(value, str)]


# For tests: the server as a process


class FakeOpenAI:
    """A running server. Leaving the `with` block, or `stop()`, ends it; so does the end of the calling process."""

    def __init__(self, process: subprocess.Popen[str], base_url: str, api_key: str) -> None:
        self.base_url = base_url
        self.api_key = api_key
        self._process = process
        # Straight to the local port: a proxy of the environment has no business here.
        self._http = httpx2.Client(base_url=base_url.removesuffix("/v1"), trust_env=False, timeout=10)

    def control(self, *faults: Mapping[str, Any]) -> None:
        """Set what goes wrong with the next calls, one fault a call; without any, nothing goes wrong any more."""
        self._http.post("/control", json=[dict(fault) for fault in faults]).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """Every transcription call since the start or the last reset, oldest first, with the fields of `Received`."""
        return list(self._report()["requests"])

    def counts(self) -> dict[str, int]:
        """How often each audio came, by sha256."""
        return dict(self._report()["counts"])

    def paid(self) -> dict[str, int]:
        """How often each audio would have been billed, by sha256; all values 1 means that nothing was paid twice."""
        return dict(self._report()["paid"])

    def reset(self) -> None:
        """Forget all faults and calls."""
        self._http.post("/control/reset").raise_for_status()

    def stop(self) -> int:
        """End the process, whatever it is doing, and return its exit code; a second time does nothing more."""
        self._http.close()
        return _end(self._process)

    def __enter__(self) -> FakeOpenAI:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _report(self) -> dict[str, Any]:
        report: dict[str, Any] = self._http.get("/control/requests").raise_for_status().json()
        return report


def start_fake_openai(api_key: str = DEFAULT_API_KEY, port: int = 0) -> FakeOpenAI:
    """Start the server as a process of its own and return when it takes connections."""
    command = [sys.executable, "-m", "tests.fakes.openai_server", "--port", str(port), "--api-key", api_key]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        _end(process)
        raise RuntimeError(f"the fake OpenAI server ended at once with exit code {process.returncode}")
    return FakeOpenAI(process, json.loads(line)["base_url"], api_key)


def _end(process: subprocess.Popen[str]) -> int:
    assert process.stdin
    assert process.stdout
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    return process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description="A local stand-in for OpenAI's audio transcription.")
    parser.add_argument("--port", type=int, default=8499, help="0 takes any free port")
    parser.add_argument("--api-key", default=DEFAULT_API_KEY, help="the only key that is accepted")
    given = parser.parse_args()

    listener = socket.create_server(("127.0.0.1", given.port))  # listens already, so callers may come from now on
    print(json.dumps({"base_url": f"http://127.0.0.1:{listener.getsockname()[1]}/v1"}), flush=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(
        build_app(given.api_key),
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _end_with_parent() -> None:
    # os.read: a thread inside sys.stdin holds a lock that an ordinary exit would stumble over.
    while os.read(0, 65_536):
        pass
    os._exit(0)  # there is nothing to save, and a slow answer under way must not keep the process


if __name__ == "__main__":
    main()
