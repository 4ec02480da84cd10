"""What uploaded files are. Real FFmpeg in a real child process, and files that mean harm."""

import asyncio
import os
import random
import struct
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from schemas.faults import InvalidCall, TransientFault
from streams.io import probe
from streams.io.probe import HEAD_BYTES, Probed, ProbeError, Sniffed, extract_audio, measure, probe_media, sniff
from tests.fakes import audio

MEDIA: dict[str, Callable[..., bytes]] = {
    "mp3": audio.make_mp3,
    "wav": audio.make_wav,
    "m4a": audio.make_m4a,
    "mp4": audio.make_mp4,
    "mov": audio.make_mov,
    "webm": audio.make_webm,
    "ogg": audio.make_ogg,
    "flac": audio.make_flac,
}
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"


def saved(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", MEDIA)
@pytest.mark.parametrize("name", ["call.{}", "call", "call.txt", "call.exe"])
def test_media_is_known_by_its_content(form: str, name: str) -> None:
    found = sniff(MEDIA[form](0.2)[:HEAD_BYTES], name.format(form))
    assert (found.kind, found.format) == ("media", form)
    assert found.content_type.split("/")[0] in ("audio", "video")


@pytest.mark.parametrize(
    ("head", "name", "form"),
    [
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi", "a.vtt", "vtt"),
        (b"\xef\xbb\xbfWEBVTT\n", "a.txt", "vtt"),
        ("WEBVTT\n".encode("utf-16"), "a.json", "vtt"),
        (SRT, "a.srt", "srt"),
        (SRT, "a.txt", "srt"),
        (SRT, "a", "srt"),
        (SRT, "a.vtt", "vtt"),
        (b'{"segments": []}', "a.json", "json"),
        (b'\n [ {"text": "x"} ]', "a.txt", "json"),
        (b"{'text': 'not quite json'}", "a.JSON", "json"),
        (b"[00:01] Ann: hi", "a.txt", "txt"),
        ("Grüße an alle".encode("cp1252"), "a.txt", "txt"),
        ("Grüße".encode()[:3], "a.md", "txt"),
        (b"hello", "folder.mp3\\a.txt", "txt"),
        (b"hello", "no extension", "txt"),
    ],
)
def test_transcripts_are_known_by_content_and_name(head: bytes, name: str, form: str) -> None:
    assert sniff(head, name) == Sniffed("transcript", form, probe._CONTENT_TYPES[form])


@pytest.mark.parametrize(
    ("head", "name", "words"),
    [
        (b"hello", "call.mp3", "holds text, although its name is that of a recording"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nfile:///etc/passwd\n", "call.mp4", "a web page, a program or a document"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "call.txt", "a web page, a program or a document"),
        (b"<!DOCTYPE html><html>", "call.txt", "a web page"),
        (b"\n  <html><script>", "call.vtt", "a web page"),
        (b"<?xml version='1.0'?><svg/>", "call.json", "a web page"),
        (b"#!/bin/sh\nrm -rf /\n", "call.txt", "a program"),
        (b"{\\rtf1 hello}", "call.txt", "a document"),
        (b"%PDF-1.7\n1 0 obj", "call.txt", "a document"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "call.mp3", "a ZIP archive or an office document"),
        (b"MZ\x90\x00\x03\x00\x00\x00", "call.wav", "a program"),
        (b"\x7fELF\x02\x01\x01\x00", "call", "a program"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "call.mp4", "Portable Network Graphics"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "call.mp4", "something"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "call.wav", "something"),
        (b"\x00" * 100, "call.mp3", "something"),
        (b"\xff" * 100, "call.mp3", "something"),
        (b"a,b\n1,2", "call.csv", "text of the kind .csv"),
        (random.Random(1).randbytes(4096), "call.mp3", "something"),
    ],
)
def test_what_is_neither_is_refused(head: bytes, name: str, words: str) -> None:
    with pytest.raises(InvalidCall) as caught:
        sniff(head, name)
    assert caught.value.reason == "unsupported_format"
    assert words in caught.value.sentence
    assert "MP3, WAV, M4A, MP4, MOV, WebM, OGG or FLAC" in caught.value.sentence
    assert "VTT, SRT, TXT or JSON" in caught.value.sentence


def test_an_empty_file_is_refused_by_name() -> None:
    with pytest.raises(InvalidCall, match=r"^call\.mp3 is empty\.") as caught:
        sniff(audio.make_zero_byte(), "x/\x00call.mp3\n")
    assert caught.value.reason == "empty_file"


@pytest.mark.parametrize("seed", range(200))
def test_sniffing_never_raises_anything_else(seed: int) -> None:
    dice = random.Random(seed)
    starts = [b"", b"\xff", b"\xff\xfb", b"ID3", b"RIFF", b"\xff\xfe", b"\xef\xbb\xbf", b"{", b"\x00\x00\x00\x20ftyp"]
    head = dice.choice(starts) + dice.randbytes(dice.randrange(0, 300))
    try:
        assert sniff(head, "\ud800" + chr(dice.randrange(0x300)) + ".mp3").format
    except InvalidCall as refusal:
        refusal.sentence.encode()


@pytest.mark.parametrize("form", MEDIA)
async def test_a_recording_is_measured(form: str, tmp_path: Path) -> None:
    found = await probe_media(saved(tmp_path, MEDIA[form](1.5), f"a.{form}"))
    assert isinstance(found, Probed)
    assert found.duration_seconds == pytest.approx(1.5, abs=0.1)
    assert found.has_audio
    assert found.has_video is (form in ("mp4", "mov", "webm"))
    assert found.codec


def with_ftyp() -> bytes:
    return b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2mp41" + random.Random(2).randbytes(200_000)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (audio.make_broken_mp4(), "not_media"),
        (audio.make_silent_mp4(), "no_audio"),
        (with_ftyp(), "not_media"),
        (b"", "not_media"),
        (b"hello", "not_media"),
        (SRT, "not_media"),
        (audio.make_wav(0.1)[:44], "no_sound_decoded"),
    ],
    ids=["cut off", "silent", "ftyp and noise", "empty", "text", "captions", "only a header"],
)
async def test_what_cannot_be_heard_is_an_error_with_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    found = await probe_media(saved(tmp_path, content))
    assert isinstance(found, ProbeError)
    assert found.reason == reason
    assert found.sentence == probe._REASONS[reason]
    with pytest.raises(InvalidCall) as caught:
        await extract_audio(tmp_path / "file", tmp_path / "out.mp3")
    assert caught.value.reason == "media_unreadable"
    assert not (tmp_path / "out.mp3").exists()


async def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert await probe_media(tmp_path / "nothing") == ProbeError("not_media", probe._REASONS["not_media"])


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "hls key": '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:9,\nx\n',
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'contentType="audio"><Representation id="1"><BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period>'
    "</MPD>",
    "smil": '<smil><body><audio src="{url}"/></body></smil>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["a.m3u8", "a.mp4"])
async def test_a_playlist_opens_neither_a_connection_nor_another_file(kind: str, name: str, tmp_path: Path) -> None:
    connections = 0

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()
        await writer.wait_closed()

    other = saved(tmp_path, audio.make_mp3(0.5), "other.mp3")
    async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for url in (
            f"http://127.0.0.1:{port}/a.ts",
            f"tcp://127.0.0.1:{port}",
            f"file://{other}",
            str(other),
            "other.mp3",
        ):
            path = saved(tmp_path, PLAYLISTS[kind].format(url=url, port=port).encode(), name)
            assert await probe_media(path) == ProbeError("not_media", probe._REASONS["not_media"])
    assert connections == 0


@pytest.mark.parametrize("name", ["concat:other.mp3", "http://127.0.0.1/a.mp3", "pipe:0", "lavfi:sine", "data:audio,x"])
async def test_a_name_is_never_taken_for_a_protocol(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, audio.make_mp3(0.5), "other.mp3")
    assert isinstance(await probe_media(name), ProbeError)


async def test_an_impossible_length_in_a_header_is_not_believed(tmp_path: Path) -> None:
    content = audio.make_m4a(1)
    for box, offset in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 24)):
        at = content.index(box) + 4 + offset
        content = content[:at] + struct.pack(">I", 0xFFFFFFFE) + content[at + 4 :]
    found = await probe_media(saved(tmp_path, content))
    assert isinstance(found, Probed)
    assert found.duration_seconds == pytest.approx(1, abs=0.1)
    found = await probe_media(with_gaps(tmp_path / "gaps.mkv", [0, 2_000_000]))
    assert isinstance(found, Probed)
    assert found.duration_seconds is None


async def test_a_file_that_never_ends_is_given_up_and_its_child_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    found = await asyncio.wait_for(probe_media(tmp_path / "pipe", timeout=1), 10)
    assert found == ProbeError("timeout", probe._REASONS["timeout"])
    with pytest.raises(TransientFault) as caught:
        await extract_audio(tmp_path / "pipe", tmp_path / "out.mp3", timeout=1)
    assert caught.value.reason == "media_timeout"


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    monkeypatch.setattr(probe, "CHILD", saved(folder, program.encode(), "child.py"))


@pytest.mark.parametrize(
    "program",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "raise SystemExit(3)",
        "print('not json')",
        "print('[]')",
        'print(\'{"error": "something new"}\')',
        "import sys; sys.stdout.write('x' * 5_000_000)",
        "import sys; sys.stdout.write('{}'); sys.stdout.flush(); import os; os.abort()",
    ],
)
async def test_a_child_that_crashes_or_talks_nonsense_is_an_error(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, tmp_path, program)
    assert await probe_media("x") == ProbeError("crashed", probe._REASONS["crashed"])


async def test_a_child_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "pid"
    pretend(
        monkeypatch, tmp_path, f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    assert await probe_media("x", timeout=1) == ProbeError("timeout", probe._REASONS["timeout"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


async def test_a_cancelled_probe_leaves_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "pid"
    pretend(
        monkeypatch, tmp_path, f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    )
    task = asyncio.create_task(probe_media("x"))
    while not mark.exists() or not mark.read_text():  # noqa: ASYNC110 - the other side is a process
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


async def test_the_child_sees_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-invented")
    program = (
        "import os, json; print(json.dumps({'error': 'crashed' if 'OPENAI_API_KEY' in os.environ else 'no_audio'}))"
    )
    pretend(monkeypatch, tmp_path, program)
    found = await probe_media("x")
    assert isinstance(found, ProbeError)
    assert found.reason == "no_audio"


async def test_too_little_memory_is_an_error_and_no_crash_of_ours(tmp_path: Path) -> None:
    found = await probe_media(saved(tmp_path, audio.make_mp3(1)), memory_mb=1)
    assert isinstance(found, ProbeError)
    assert found.reason in ("crashed", "out_of_memory")


@pytest.mark.parametrize("form", MEDIA)
async def test_the_sound_of_every_format_is_extracted(form: str, tmp_path: Path) -> None:
    written = await extract_audio(saved(tmp_path, MEDIA[form](1), f"a.{form}"), tmp_path / "out.mp3")
    assert written.duration_seconds == pytest.approx(1, abs=0.1)
    assert written.size_bytes == (tmp_path / "out.mp3").stat().st_size


@pytest.mark.parametrize(("ending", "codec"), [(".mp3", "mp3float"), (".m4a", "aac"), (".ogg", "opus")])
async def test_the_name_decides_the_format_written(ending: str, codec: str, tmp_path: Path) -> None:
    await extract_audio(saved(tmp_path, audio.make_webm(1)), tmp_path / f"out{ending}")
    with av.open(str(tmp_path / f"out{ending}")) as file:
        (stream,) = file.streams.audio
        assert stream.codec_context.name == codec
        assert stream.channels == 1
        assert stream.rate == (48_000 if codec == "opus" else 16_000)


async def test_parts_put_together_are_the_whole(tmp_path: Path) -> None:
    source = saved(tmp_path, audio.make_mp3(5))
    whole = await extract_audio(source, tmp_path / "whole.mp3")
    parts = [await extract_audio(source, tmp_path / "part.mp3", start_seconds=start, seconds=2) for start in (0, 2, 4)]
    assert sum(part.duration_seconds for part in parts) == pytest.approx(whole.duration_seconds, abs=0.2)
    with pytest.raises(InvalidCall):
        await extract_audio(source, tmp_path / "part.mp3", start_seconds=60, seconds=2)


async def test_gaps_become_silence_so_that_times_stay_right(tmp_path: Path) -> None:
    source = with_gaps(tmp_path / "gaps.mkv", [2, 3, 10])
    written = await extract_audio(source, tmp_path / "out.mp3")
    assert written.duration_seconds == pytest.approx(11, abs=0.1)
    loud = loudness(tmp_path / "out.mp3")
    assert [level > 1000 for level in loud[:11]] == [second in (2, 3, 10) for second in range(11)]


async def test_a_leap_of_the_clock_is_no_pause(tmp_path: Path) -> None:
    source = with_gaps(tmp_path / "gaps.mkv", [0, 2_000_000])
    written = await extract_audio(source, tmp_path / "out.mp3")
    assert written.duration_seconds == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("form", MEDIA)
async def test_every_format_is_measured_to_its_end(form: str, tmp_path: Path) -> None:
    found = await measure(saved(tmp_path, MEDIA[form](2), f"a.{form}"))
    assert found.duration_seconds == pytest.approx(2, abs=0.1)
    assert len(found.levels) == -(-round(found.duration_seconds * 1000) // 100)
    assert all(10 <= level <= 20 for level in found.levels[2:-3])  # the tone has a quarter of full scale


async def test_pauses_are_found_where_they_are(tmp_path: Path) -> None:
    found = await measure(with_gaps(tmp_path / "gaps.mkv", [2, 3, 10]))
    seconds = [found.levels[at + 3 : at + 7] for at in range(0, len(found.levels), 10)]
    assert [max(levels) < 30 for levels in seconds] == [second in (2, 3, 10) for second in range(11)]
    assert [min(levels) == 120 for levels in seconds] == [second not in (2, 3, 10) for second in range(11)]


async def test_what_cannot_be_measured_is_at_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidCall) as caught:
        await measure(saved(tmp_path, audio.make_silent_mp4()))
    assert caught.value.reason == "media_unreadable"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TransientFault, match="took longer than"):
        await measure(tmp_path / "pipe", timeout=1)


@pytest.mark.parametrize("kind", ["vbr", "vbr without index", "cbr", "adts"])
async def test_a_part_is_where_it_is_in_the_whole_whatever_index_the_file_has(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    container, codec = ("adts", "aac") if kind == "adts" else ("mp3", "libmp3lame")
    options = {"global_quality": "472", "flags": "+qscale"} if "vbr" in kind else {}
    with av.open(str(source), "w", format=container, options={"write_xing": "0"} if "without" in kind else {}) as file:
        stream = file.add_stream(codec, rate=16_000, layout="mono", options=options)
        for second in range(300):
            frame = av.AudioFrame(format="s16", layout="mono", samples=16_000, align=1)
            # Noise and then tones, so that a variable bit rate varies; each fifth second is silent.
            noise, loud = random.Random(second).randbytes(32_000), bytes(TONE)
            frame.planes[0].update(bytes(32_000) if second % 5 == 4 else noise if second < 60 else loud)
            frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), second * 16_000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    whole = await measure(source)
    await extract_audio(source, tmp_path / "part.m4a", start_seconds=200, seconds=20)
    part = await measure(tmp_path / "part.m4a")
    assert part.duration_seconds == pytest.approx(20, abs=0.15)
    pauses = [[at for at in range(5, 195) if sound[at] >= 40] for sound in (whole.levels[2000:2200], part.levels)]
    assert pauses[0][0] == pytest.approx(pauses[1][0], abs=2)
    assert pauses[0][-1] == pytest.approx(pauses[1][-1], abs=2)


TONE = audio.make_wav(1)[-32_000:]


def with_gaps(path: Path, seconds: list[int]) -> Path:
    """A recording with one second of sound at each of these seconds."""
    tone = audio.make_wav(1)[-32_000:]
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for second in seconds:
            frame = av.AudioFrame(format="s16", layout="mono", samples=16_000, align=1)
            frame.planes[0].update(tone)
            frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), second * 16_000
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def loudness(path: Path) -> list[int]:
    """The loudest sample in the middle of each second."""
    samples = array("h")
    resampler = av.AudioResampler("s16", "mono", 16_000)
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            for piece in resampler.resample(frame):
                samples.frombytes(bytes(piece.planes[0])[: piece.samples * 2])
    seconds = [samples[at + 4_000 : at + 12_000] for at in range(0, len(samples), 16_000)]
    return [max(map(abs, second), default=0) for second in seconds]
