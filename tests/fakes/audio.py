"""Small real media files, made on the spot by FFmpeg through PyAV.

Every function is pure: the same arguments give the same bytes, within one version of FFmpeg, so a sha256 of the answer
can be compared between two places of a test. Sound is one steady tone, mono, at 16 kHz; another `freq` gives another
file. A second of sound takes about a millisecond to make, a second of video about twenty.

The last three functions make what people really upload by mistake: a video without sound, a file that was cut off, and
an empty one.
"""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import av.container
from av.container import Flags

RATE = 16_000  # samples a second; every codec used here takes it as it is
LOW_RATE = 8_000  # for hours of sound
PICTURE_SIZE = 64  # pixels, both ways
PICTURES_PER_SECOND = 10


def make_wav(seconds: float = 1.0, freq: int = 440) -> bytes:
    """16-bit PCM in a WAV file; its length is exact to the sample."""
    return _encode("wav", "pcm_s16le", seconds, freq)


def make_mp3(seconds: float = 1.0, freq: int = 440) -> bytes:
    """MP3, the format people upload most."""
    return _encode("mp3", "libmp3lame", seconds, freq)


def make_m4a(seconds: float = 1.0, freq: int = 440) -> bytes:
    """AAC in an MPEG-4 file without picture; AAC fills its last frame, so it decodes to up to 64 ms more than asked."""
    return _encode("ipod", "aac", seconds, freq)


def make_mp4(seconds: float = 1.0, freq: int = 440) -> bytes:
    """H.264 picture and AAC sound, with the index (`moov`) at the end, as recorders write it."""
    return _encode("mp4", "aac", seconds, freq, video_codec="libx264")


def make_mov(seconds: float = 1.0, freq: int = 440) -> bytes:
    """The same as `make_mp4` in a QuickTime file, a format that the transcription service refuses."""
    return _encode("mov", "aac", seconds, freq, video_codec="libx264")


def make_webm(seconds: float = 1.0, freq: int = 440) -> bytes:
    """VP8 picture and Opus sound, what a browser records."""
    return _encode("webm", "libopus", seconds, freq, video_codec="libvpx")


def make_ogg(seconds: float = 1.0, freq: int = 440) -> bytes:
    """Opus in an Ogg file."""
    return _encode("ogg", "libopus", seconds, freq)


def make_flac(seconds: float = 1.0, freq: int = 440) -> bytes:
    """FLAC: exact like WAV at a third of the bytes, so 25 minutes still fit into one upload of 25 MB."""
    return _encode("flac", "flac", seconds, freq)


def make_silent_mp4(seconds: float = 1.0) -> bytes:
    """A picture and no sound track at all: a real video with nothing to transcribe."""
    return _encode("mp4", None, seconds, 0, video_codec="libx264")


def make_broken_mp4(seconds: float = 1.0, freq: int = 440) -> bytes:
    """An upload that broke off: it begins as a good MP4 (`ftyp`), but its index (`moov`) never came."""
    whole = make_mp4(seconds, freq)
    return whole[: whole.rindex(b"moov") // 2]


def make_zero_byte() -> bytes:
    """An empty file."""
    return b""


def _encode(
    container: str, audio_codec: str | None, seconds: float, freq: int, video_codec: str | None = None
) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        file.flags |= Flags.bitexact.value  # or the writers put random ids and their own version into the file
        video = _add_video(file, video_codec) if video_codec else None
        audio = _add_audio(file, audio_codec) if audio_codec else None
        if video:
            for picture in _pictures(seconds):
                file.mux(video.encode(picture))
            file.mux(video.encode(None))
        if audio:
            for sound in _tone(seconds, freq):
                file.mux(audio.encode(sound))
            file.mux(audio.encode(None))
    return out.getvalue()


def _add_audio(file: av.container.OutputContainer, codec: str) -> av.AudioStream:
    stream = file.add_stream(codec, rate=RATE, options={"flags": "+bitexact"}, layout="mono")
    assert isinstance(stream, av.AudioStream)
    return stream


def _add_video(file: av.container.OutputContainer, codec: str) -> av.VideoStream:
    options = {"flags": "+bitexact", "threads": "1"}
    stream = file.add_stream(codec, rate=PICTURES_PER_SECOND, options=options)
    assert isinstance(stream, av.VideoStream)
    stream.width = stream.height = PICTURE_SIZE
    stream.pix_fmt = "yuv420p"
    return stream


def _tone(seconds: float, freq: int) -> Iterator[av.AudioFrame]:
    """One frame a second; `freq` is whole, so each second begins where the one before ended and is the same table."""
    second = array("h", (round(8_000 * math.sin(2 * math.pi * freq * i / RATE)) for i in range(RATE))).tobytes()
    total = round(seconds * RATE)
    for start in range(0, total, RATE):
        samples = min(RATE, total - start)
        frame = av.AudioFrame(format="s16", layout="mono", samples=samples, align=1)
        frame.planes[0].update(second[: samples * 2])
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = start
        yield frame


def _pictures(seconds: float) -> Iterator[av.VideoFrame]:
    """A grey square that grows lighter, so that the pictures are not all the same."""
    for number in range(max(1, round(seconds * PICTURES_PER_SECOND))):
        frame = av.VideoFrame(PICTURE_SIZE, PICTURE_SIZE, "yuv420p")
        for plane, value in zip(frame.planes, (16 + number % 200, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.time_base = Fraction(1, PICTURES_PER_SECOND)
        frame.pts = number
        yield frame


def make_long_recording(pitches: Sequence[int], tone_seconds: float = 7.0, silent_seconds: float = 1.0) -> bytes:
    """Hours of tones with pauses between them, in seconds: AAC frames stand for themselves, so each tone is encoded
    once and then only copied. Every tone with its pause is equally long, by whole frames (`long_slot_seconds`)."""
    units = {pitch: _tone_and_pause(pitch, tone_seconds, silent_seconds) for pitch in set(pitches)}
    return b"".join(units[pitch] for pitch in pitches)


def long_slot_seconds(data: bytes, count: int) -> float:
    """How long each of `count` tones of `make_long_recording` takes with its pause, as it decodes."""
    frames, at = 0, 0
    while at < len(data):
        at += (data[at + 3] & 0b11) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames += 1
    return frames * 1024 / LOW_RATE / count


def _tone_and_pause(freq: int, tone_seconds: float, silent_seconds: float) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="adts") as file:
        stream = file.add_stream("aac", rate=LOW_RATE, options={"flags": "+bitexact"}, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 24_000
        loud, total = round(tone_seconds * LOW_RATE), round((tone_seconds + silent_seconds) * LOW_RATE)
        sound = (round(8_000 * math.sin(2 * math.pi * freq * i / LOW_RATE)) if i < loud else 0 for i in range(total))
        frame = av.AudioFrame(format="s16", layout="mono", samples=total, align=1)
        frame.planes[0].update(array("h", sound).tobytes())
        frame.sample_rate, frame.time_base, frame.pts = LOW_RATE, Fraction(1, LOW_RATE), 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()
