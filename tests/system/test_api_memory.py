"""A 2 GB upload to the real server: its memory must not grow by more than 64 MB."""

import asyncio
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from api import auth
from schemas.settings import Settings
from streams.io.secrets import generate_key
from streams.io.store import open_pool
from tests.conftest import Broker, Database

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
SIZE = 2 * 1024**3 - 4096
LIMIT = 64 * 1024**2
PIECE = bytes(1024**2)
SERVER = """
import uvicorn
from api.app import create_app
from schemas.settings import Settings
settings = Settings()
uvicorn.run(create_app(settings), host="127.0.0.1", port=settings.port, log_level="warning", access_log=False)
"""


def wav_header(size: int) -> bytes:
    """The header of a WAV file of `size` bytes in all: 16 kHz, mono."""
    wave = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    return b"RIFF" + struct.pack("<I", size - 8) + wave + b"data" + struct.pack("<I", size - 44)


def whole(size: int) -> Iterator[bytes]:
    """A multipart body with one WAV file of silence, made as it is sent."""
    yield b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="long.wav"\r\n\r\n'
    header = wav_header(size)
    yield header
    left = size - len(header)
    while left:
        piece = PIECE[: min(left, len(PIECE))]
        left -= len(piece)
        yield piece
    yield b"\r\n--XyZ--\r\n"


class Watch:
    """The most memory a process had."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.start = self.most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    def stop(self) -> int:
        """How much more it was than at the start."""
        self._over.set()
        self._thread.join()
        return self.most - self.start


async def test_two_gigabytes_do_not_grow_memory(tmp_path: Path, broker: Broker, database: Database) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pool = await open_pool(database.app_url, size=1)
    key = await auth.create_api_key(pool, database.workspace_id, database.user_id, "memory")
    await pool.close()
    env = {
        "CALLSTREAM_DATA_DIR": str(tmp_path), "CALLSTREAM_KAFKA": broker.bootstrap, "CALLSTREAM_PORT": str(port),
        "CALLSTREAM_DATABASE_URL": database.app_url, "CALLSTREAM_SECRET_KEYS": generate_key(),
        "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    server = subprocess.Popen([sys.executable, "-c", SERVER], env=env, cwd=tmp_path)
    try:
        grown, answer = await asyncio.to_thread(_upload, server.pid, port, key)
    finally:
        server.terminate()
        server.wait(30)
    assert answer.status_code == 202, answer.text
    [call] = answer.json()["calls"]
    assert call["status"] == "accepted"
    kept = tmp_path / "media" / "uploads" / str(database.workspace_id) / call["external_id"] / "long.wav"
    assert kept.stat().st_size == SIZE
    kept.unlink()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert grown < LIMIT, f"memory grew by {grown / 1024**2:.0f} MB"


def _upload(pid: int, port: int, key: str) -> tuple[int, httpx2.Response]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=XyZ"}
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=800, trust_env=False) as client:
        _wait_until_it_answers(client)
        client.post("/api/uploads", content=b"".join(whole(200_000))).raise_for_status()
        watch = Watch(pid)
        answer = client.post("/api/uploads", content=whole(SIZE))
        return watch.stop(), answer


def _wait_until_it_answers(client: httpx2.Client) -> None:
    for _ in range(300):
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def test_the_default_limit_is_two_gigabytes() -> None:
    assert Settings().upload_max_bytes == 2 * 1024**3
