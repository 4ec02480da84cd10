"""Speech to text by OpenAI, or by any server that speaks the same API.

Every error of the SDK, the network or the answer leaves here as a fault; the key and what an error may quote of it do
not. The SDK's own retries are off: the runner is the only one who retries.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import openai
from pydantic import BaseModel, ConfigDict

from schemas.calls import Segment
from schemas.faults import ConfigFault, Fault, InvalidCall, TransientFault
from schemas.metrics import API_LATENCY, API_REQUESTS
from schemas.settings import Settings
from streams.io import clock
from streams.io.probe import HEAD_BYTES, sniff
from streams.io.retry_after import retry_after

DEFAULT_BASE_URL = "https://api.openai.com/v1"
EXTENSIONS = frozenset({"flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"})
CONNECT_SECONDS = 15.0
MAX_SECONDS = {
    "whisper-1": 1800,
    "gpt-4o-transcribe": 1200,
    "gpt-4o-mini-transcribe": 1200,
    "gpt-4o-transcribe-diarize": 1200,
}
"""How much sound is sent in one piece. The gpt-4o family takes some 1,400 s; whisper-1 names no limit, but what fails
is sent again, so not too much goes at once."""
MAX_SECONDS_OF_OTHERS = 1200
MAX_COMPRESSION = 2.4
"""Text that can be packed tighter than this repeats itself: Whisper's own sign of words that nobody said."""
MAX_REPEATS = 3
"""The same segment more often in a row than this is a loop, and counts once."""
_PLATFORM, _ENDPOINT = "openai", "audio/transcriptions"


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was heard. `text` is empty when nobody spoke; `seconds` is the length of the audio, if the vendor said."""

    text: str
    segments: tuple[Segment, ...] = ()
    language: str | None = None
    seconds: float | None = None


class Whisper:
    """The transcription service that the settings name. One instance a worker; `close` it at the end."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = clock.now) -> None:
        self._key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
        self._base_url = (settings.openai_base_url or DEFAULT_BASE_URL).rstrip("/")
        self._timeout = settings.transcribe_timeout_seconds
        self._now = now
        self._client: openai.AsyncOpenAI | None = None
        self._plain_models: set[str] = set()

    def check(self) -> None:
        """Raise `ConfigFault` when there is no key. A server of one's own may need none."""
        if not self._key and self._base_url == DEFAULT_BASE_URL:
            raise ConfigFault(
                "speech_to_text_not_set_up",
                "No speech-to-text key is set. Set OPENAI_API_KEY (or OPENAI_BASE_URL for a server of your own), "
                "restart, then press Retry.",
            )

    def name_for(self, path: Path, filename: str | None) -> str | None:
        """A name with the extension that the file's first bytes call for; None when its format is not accepted.

        The call's own file name is not sent: the vendor has no need of it, and it is often wrong.
        """
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        try:
            found = sniff(head, filename or path.name)
        except InvalidCall:
            return None
        return f"audio.{found.format}" if found.kind == "media" and found.format in EXTENSIONS else None

    def max_seconds(self, model: str) -> int:
        """How much sound is sent in one piece."""
        return MAX_SECONDS.get(model, MAX_SECONDS_OF_OTHERS)

    def knows_speakers(self, model: str) -> bool:
        """Whether this model says who speaks, and can be told how those sound whom it knows."""
        return "diarize" in model

    async def transcribe(
        self, path: Path, filename: str, model: str, language: str | None, voices: Sequence[tuple[str, Path]] = ()
    ) -> Spoken:
        """Send the file, streamed from disk, and read the answer. Raises faults and nothing else.

        `voices` are known speakers, each with an MP3 of some seconds. A service that does not take them is asked
        without them: then it names nobody by these names.
        """
        self.check()
        options = self._options(model) | ({"language": language} if language else {})
        samples = await asyncio.to_thread(_voice_options, voices)
        try:
            return await self._send(path, filename, model, options | samples)
        except _FormatRefused:
            self._plain_models.add(model)
            return await self._send(path, filename, model, options | samples | {"response_format": "json"})
        except _VoicesRefused:
            return await self._send(path, filename, model, options)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _options(self, model: str) -> dict[str, Any]:
        """The richest answer a model can give. Unknown models are taken for whisper."""
        if self.knows_speakers(model):
            return {"response_format": "diarized_json", "chunking_strategy": "auto"}
        plain = model in self._plain_models or model.startswith("gpt-")
        return {"response_format": "json" if plain else "verbose_json"}

    def _connected(self) -> openai.AsyncOpenAI:
        if self._client is None:
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._base_url,
                max_retries=0,
                timeout=openai.Timeout(self._timeout, connect=CONNECT_SECONDS),
            )
        return self._client

    async def _send(self, path: Path, filename: str, model: str, options: dict[str, Any]) -> Spoken:
        with path.open("rb") as file, self._faults():
            async with asyncio.timeout(self._timeout):
                answer = await self._connected().audio.transcriptions.with_raw_response.create(
                    file=(filename, file), model=model, **options
                )
            return read_answer(answer.text, answer.headers.get("content-type", ""))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Count the request and turn whatever goes wrong into a fault, without the original as its cause: an SDK
        error holds the request, and the request holds the key."""
        started, status = time.perf_counter(), "abandoned"
        fault: Fault | None = None
        try:
            yield
            status = "200"
        except Fault:
            status = "200"
            raise
        except (TimeoutError, openai.APITimeoutError):
            status = "timeout"
            fault = TransientFault("speech_to_text_timeout", "The speech-to-text service did not answer in time.")
        except openai.APIStatusError as error:
            status = str(error.status_code)
            fault = self._fault_of(error)
        except openai.OpenAIError as error:
            status = "unreachable"
            fault = TransientFault(
                "speech_to_text_unreachable",
                "The connection to the speech-to-text service broke.",
                detail=self._clean(repr(error.__cause__ or error)),
            )
        finally:
            API_REQUESTS.labels(_PLATFORM, _ENDPOINT, status).inc()
            API_LATENCY.labels(_PLATFORM, _ENDPOINT).observe(time.perf_counter() - started)
        if fault is not None:
            raise fault from None

    def _fault_of(self, error: openai.APIStatusError) -> Fault:
        """The status table of this vendor."""
        status, code, said = error.status_code, error.code or "", self._clean(_message(error))
        detail = f"{status} {code} {said} request {error.request_id}".replace("  ", " ")
        if status in (400, 422) and (error.param == "response_format" or "response_format" in said):
            return _FormatRefused(
                "speech_to_text_refused", f"The speech-to-text service refused: {said}", detail=detail
            )
        if status in (400, 422) and "known_speaker" in f"{error.param} {said}":
            return _VoicesRefused(
                "speech_to_text_refused", f"The speech-to-text service refused: {said}", detail=detail
            )
        if code == "insufficient_quota" or error.type == "insufficient_quota":
            return ConfigFault(
                "speech_to_text_quota_used_up",
                "The speech-to-text account has no credit left. Add credit at the vendor, then press Retry.",
                detail=detail,
            )
        if status in (401, 403):
            return ConfigFault(
                "speech_to_text_key_refused",
                "The speech-to-text service refused the key. Set a valid OPENAI_API_KEY, restart, then press Retry.",
                detail=detail,
            )
        if status == 404 or code == "model_not_found" or error.param in ("model", "language"):
            return ConfigFault(
                "speech_to_text_settings_refused",
                "The speech-to-text service does not know the model, language or address in the settings. Check "
                "CALLSTREAM_OPENAI_MODEL, CALLSTREAM_OPENAI_LANGUAGE and OPENAI_BASE_URL, restart, then press Retry.",
                detail=detail,
            )
        if status == 413:
            return ConfigFault(
                "speech_to_text_takes_too_little",
                "The speech-to-text service refused this recording as too large, although no more than 25 MB are sent "
                "at a time. Let the server behind OPENAI_BASE_URL take 25 MB, then press Retry.",
                detail=detail,
            )
        if status in (408, 409, 425, 429) or status >= 500:
            limited = status == 429
            return TransientFault(
                "speech_to_text_rate_limited" if limited else "speech_to_text_failing",
                "The speech-to-text service is limiting us."
                if limited
                else "The speech-to-text service has a problem.",
                detail=detail,
                retry_after=retry_after(error.response.headers.get("retry-after"), self._now()),
            )
        sentence = f"The speech-to-text service refused this recording: {said}"
        return InvalidCall("speech_to_text_refused", sentence, field="media", detail=detail)

    def _clean(self, text: str) -> str:
        """Without keys, control characters and endless length."""
        if len(self._key) >= 4:
            text = text.replace(self._key, "***")
        text = re.sub(r"\bsk-[\w*.-]+", "***", text)
        return re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()[:300]


class _FormatRefused(ConfigFault):
    """The server does not know our `response_format`."""


class _VoicesRefused(InvalidCall):
    """The server does not take samples of voices."""


def _voice_options(voices: Sequence[tuple[str, Path]]) -> dict[str, Any]:
    """The parameters by which the vendor knows speakers again."""
    if not voices:
        return {}
    samples = [f"data:audio/mpeg;base64,{base64.b64encode(path.read_bytes()).decode()}" for _, path in voices]
    return {"known_speaker_names": [name for name, _ in voices], "known_speaker_references": samples}


def _message(error: openai.APIStatusError) -> str:
    """The vendor's own sentence, where there is one."""
    body = error.body
    said = body.get("message") or body.get("detail") if isinstance(body, dict) else None
    return str(said or error.message)


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class _Piece(_Lenient):
    text: str = ""
    start: float = 0.0
    end: float = 0.0
    speaker: str | None = None
    no_speech_prob: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None

    @property
    def is_invented(self) -> bool:
        """Nothing said, or by Whisper's own rules more likely silence, or words in a loop, than what was said."""
        silence = (self.no_speech_prob or 0) > 0.6 and (self.avg_logprob or 0) < -1.0
        return silence or (self.compression_ratio or 0) > MAX_COMPRESSION or not self.text.strip()


class _Usage(_Lenient):
    seconds: float | None = None


class _Answer(_Lenient):
    text: str
    language: str | None = None
    duration: float | None = None
    segments: list[_Piece] | None = None
    usage: _Usage | None = None


def read_answer(body: str, content_type: str) -> Spoken:
    """Any of the vendor's answer formats: verbose_json, diarized_json, json, or plain text.

    Raises `TransientFault` for anything else: a body that was cut off, an error page, JSON of another shape.
    """
    try:
        answer = _Answer.model_validate(json.loads(body))
    except (ValueError, RecursionError) as error:
        if content_type.startswith("text/plain") and not body.lstrip().startswith("{"):
            return Spoken(body.strip())
        raise TransientFault(
            "speech_to_text_unreadable",
            "The speech-to-text service sent an answer that cannot be read.",
            detail=f"{type(error).__name__}, {len(body)} characters of {content_type or 'no type'}",
        ) from None
    pieces = answer.segments or []
    voiced = _without_loops([piece for piece in pieces if not piece.is_invented])
    text = answer.text.strip()
    if len(voiced) < len(pieces) or not text:
        text = " ".join(piece.text.strip() for piece in voiced)
    seconds = answer.duration or (answer.usage.seconds if answer.usage else None)
    segments = tuple(_segment(piece) for piece in voiced)
    return Spoken(text, segments, answer.language or None, max(0.0, seconds) if seconds else None)


def _without_loops(pieces: Sequence[_Piece]) -> list[_Piece]:
    """The pieces, with one of each run of the same words by the same speaker, where a run is too long to be meant."""
    kept: list[_Piece] = []
    for _, run in groupby(pieces, key=lambda piece: (piece.speaker, piece.text.strip().casefold())):
        same = list(run)
        kept += same if len(same) <= MAX_REPEATS else same[:1]
    return kept


def _segment(piece: _Piece) -> Segment:
    start = max(0, round(piece.start * 1000))
    return Segment(
        speaker=piece.speaker or None,
        text=piece.text.strip(),
        start_ms=start,
        end_ms=max(start, round(piece.end * 1000)),
    )
