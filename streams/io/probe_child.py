"""The child process of `probe.py`: the only place where FFmpeg meets files of strangers. Imports nothing of ours.

Usage: probe_child.py MEMORY_MB CPU_SECONDS probe PATH
       probe_child.py MEMORY_MB CPU_SECONDS measure PATH DESTINATION
       probe_child.py MEMORY_MB CPU_SECONDS extract PATH DESTINATION START_SECONDS SECONDS
Prints one JSON object: the answer, or {"error": reason}.
"""

import ctypes
import errno
import json
import math
import operator
import os
import resource
import signal
import sys
from array import array
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

OPEN_OPTIONS = {
    "protocol_whitelist": "file",  # nothing a file names can make FFmpeg open a connection
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,wav,w64,ogg,flac,aac",  # no playlists, no concat
}
ENCODERS = {".mp3": ("mp3", "libmp3lame"), ".m4a": ("ipod", "aac"), ".ogg": ("ogg", "libopus")}
RATE, BIT_RATE = 16_000, 32_000
LEVEL_RATE = 4_000
WINDOW = LEVEL_RATE // 10
"""A level each tenth of a second. The voice is loudest far below 2 kHz, so a low rate is enough to find pauses."""
FULL_SCALE, MAX_LEVEL = 32_768, 120
MAX_SECONDS = 31 * 24 * 3600
MIN_BITS_PER_SECOND = 16
"""A file that says it is so long that a second has fewer bits than this does not tell the truth."""
MAX_OUTPUT_BYTES = 2 * 1024**3
PACKETS_TRIED = 500
GAP_SECONDS = 0.1
MAX_GAP_SECONDS = 3600
"""A leap of the clock further than this is a mistake in the file and no pause."""


class Unusable(Exception):
    """The file cannot be used; the text is the reason, one of those that `probe.py` knows."""


def limit(memory_mb: int, cpu_seconds: int) -> None:
    """Little memory, little time, few files, no core dump, no new rights, and an end when the parent ends."""
    memory = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES))
    with suppress(OSError, AttributeError):  # Linux only
        libc = ctypes.CDLL(None)
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def probe(path: str) -> dict[str, Any]:
    """Format, codec and length, after the first piece of sound has been decoded."""
    with open_input(path) as source:
        stream = sound_of(source)
        next(frames_of(source, stream, PACKETS_TRIED))
        return {
            "duration_seconds": length_of(source, stream, os.path.getsize(path)),
            "has_video": any(not is_cover(video) for video in source.streams.video),
            "container": source.format.name,
            "codec": stream.codec_context.name,
        }


def extract(path: str, destination: str, start: float, seconds: float | None) -> dict[str, Any]:
    """Decode the first sound track and write it as mono 16 kHz speech, a frame at a time."""
    container, codec = ENCODERS[os.path.splitext(destination)[1]]
    end = min(start + seconds, MAX_SECONDS) if seconds is not None else MAX_SECONDS
    with open_input(path) as source, av.open(destination, "w", format=container) as target:
        stream = sound_of(source)
        if start > 0:
            source.seek(max(0, int((start - 1) * 1_000_000)))
        samples = encode(target, codec, speech(frames_of(source, stream), start, end))
    if not samples:
        raise Unusable("no_sound_decoded")
    return {"duration_seconds": samples / RATE, "size_bytes": os.path.getsize(destination)}


def measure(path: str, destination: str) -> dict[str, Any]:
    """Write how loud the recording is, a byte for each window: decibels below full scale, `MAX_LEVEL` for nothing."""
    with open_input(path) as source, open(destination, "wb") as target:
        frames = speech(frames_of(source, sound_of(source)), 0, MAX_SECONDS, "s16", LEVEL_RATE)
        samples = write_levels(target, frames)
    if not samples:
        raise Unusable("no_sound_decoded")
    return {"duration_seconds": samples / LEVEL_RATE}


def write_levels(target: BinaryIO, frames: Iterator[AudioFrame]) -> int:
    """Write the level of each window, the last one of what is left; the number of samples seen."""
    count, pending = 0, array("h")
    for frame in frames:
        pending.frombytes(memoryview(frame.planes[0])[: frame.samples * 2])
        count += frame.samples
        if len(pending) >= WINDOW:
            whole = len(pending) // WINDOW * WINDOW
            target.write(bytes(level(pending[at : at + WINDOW]) for at in range(0, whole, WINDOW)))
            pending = pending[whole:]
    if pending:
        target.write(bytes([level(pending)]))
    return count


def level(samples: "array[int]") -> int:
    """Decibels below full scale of their mean power."""
    power = sum(map(operator.mul, samples, samples)) / len(samples)
    return min(MAX_LEVEL, max(0, round(-10 * math.log10(power / FULL_SCALE**2)))) if power else MAX_LEVEL


def open_input(path: str) -> InputContainer:
    """The file, by name as a file: a name like `concat:a|b` is a file name here and no protocol."""
    try:
        source: InputContainer = av.open("file:" + os.path.abspath(path), options=OPEN_OPTIONS)
        return source
    except (av.FFmpegError, ValueError, OSError) as error:
        raise_if_memory(error)
        raise Unusable("not_media") from None


def raise_if_memory(error: Exception) -> None:
    """FFmpeg's "cannot allocate" says something about our limit and nothing about the file."""
    if getattr(error, "errno", None) == errno.ENOMEM:
        raise MemoryError from None


def sound_of(source: InputContainer) -> AudioStream:
    """The first sound track that has a decoder."""
    for stream in source.streams.audio:
        if stream.codec_context is not None:
            stream.codec_context.thread_count = 1
            return stream
    raise Unusable("no_audio")


def frames_of(source: InputContainer, stream: AudioStream, packets: int | None = None) -> Iterator[AudioFrame]:
    """The frames of a stream; broken ones are left out. Raises `Unusable` when there is none at all."""
    found = False
    try:
        for number, packet in enumerate(source.demux(stream)):
            if packets is not None and number > packets:
                break
            with suppress(av.InvalidDataError):
                for frame in packet.decode():
                    if isinstance(frame, AudioFrame):
                        found = True
                        yield frame
    except (av.FFmpegError, ValueError, OSError) as error:
        raise_if_memory(error)  # any other: the rest of the file is broken; what was heard until here counts
    if not found:
        raise Unusable("no_sound_decoded")


def speech(
    frames: Iterator[AudioFrame], start: float, end: float, form: str = "fltp", rate: int = RATE
) -> Iterator[AudioFrame]:
    """Mono frames from `start` to `end`, with silence where the recording has gaps, so that times stay right."""
    resampler: AudioResampler | None = None
    shape: tuple[object, ...] = ()
    clock = start
    for frame in frames:
        at = frame.time if frame.time is not None else clock
        if at >= end:
            break
        if at < start:
            continue
        if GAP_SECONDS < at - clock <= MAX_GAP_SECONDS:
            yield from silence(at - clock, form, rate)
            clock = at
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or now != shape:
            yield from resampler.resample(None) if resampler else ()
            resampler, shape = AudioResampler(form, "mono", rate), now
        clock += frame.samples / frame.sample_rate
        frame.pts = None
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def silence(seconds: float, form: str, rate: int) -> Iterator[AudioFrame]:
    """Frames of silence, at most a second each."""
    left = round(seconds * rate)
    while left > 0:
        frame = AudioFrame(format=form, layout="mono", samples=min(left, rate))
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.sample_rate = rate
        left -= frame.samples
        yield frame


def encode(target: OutputContainer, codec: str, frames: Iterator[AudioFrame]) -> int:
    """Write the frames; the number of samples written."""
    stream: Any = target.add_stream(codec, rate=RATE, layout="mono")
    stream.bit_rate = BIT_RATE
    samples = 0
    for frame in frames:
        frame.pts, frame.time_base = samples, Fraction(1, RATE)
        samples += frame.samples
        target.mux(stream.encode(frame))
    if samples:
        target.mux(stream.encode(None))
    return samples


def length_of(source: InputContainer, stream: AudioStream, size: int) -> float | None:
    """The length the file claims, unless it cannot be true."""
    seconds = None
    if source.duration is not None:
        seconds = source.duration / 1_000_000
    elif stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    if seconds is None or not 0 < seconds <= MAX_SECONDS or size * 8 < seconds * MIN_BITS_PER_SECOND:
        return None
    return round(seconds, 3)


def is_cover(stream: Any) -> bool:
    """True for the picture of an album or episode, which players show beside the sound."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def main(arguments: list[str]) -> dict[str, Any]:
    """Do what the command line says."""
    limit(int(arguments[0]), int(arguments[1]))
    av.logging.set_level(av.logging.PANIC)
    try:
        if arguments[2] == "probe":
            return probe(arguments[3])
        if arguments[2] == "measure":
            return measure(arguments[3], arguments[4])
        return extract(arguments[3], arguments[4], float(arguments[5]), float(arguments[6]) if arguments[6] else None)
    except Unusable as unusable:
        return {"error": str(unusable)}
    except MemoryError:
        return {"error": "out_of_memory"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])))
