"""The guarded download, against real sockets on this machine and resolvers that lie."""

import asyncio
import datetime as dt
import hashlib
import ipaddress
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from obstore.store import LocalStore, MemoryStore

from schemas.calls import Call, Media
from schemas.faults import Fault, InvalidCall, OutageFault, TransientFault
from schemas.settings import Settings
from streams.io import fetch as module
from streams.io.fetch import fetch, is_public, shown
from streams.io.stored_media import StoredMedia
from tests.unit.io.raw_server import RawServer, raw_server, reply

NAME = "media.example"
SIGNED = "?X-Signature=s3cr3t"
BODY = b"RIFF" + bytes(range(256)) * 4000


async def read(url: str, settings: Settings, **options: Any) -> bytes:
    async with fetch(url, settings, **options) as fetched:
        return b"".join([chunk async for chunk in fetched.chunks])


def allowing(*hosts: str, **more: Any) -> Settings:
    return Settings(_env_file=None, media_allow_hosts=", ".join(hosts), **more)


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


@asynccontextmanager
async def http(
    answer: Callable[[bytes], bytes | Awaitable[bytes]],
) -> AsyncIterator[tuple[RawServer, str, Settings]]:
    """A plain server on this machine that the settings allow, and its address."""
    async with raw_server(answer) as server:
        host = f"127.0.0.1:{server.port}"
        yield server, f"http://{host}", allowing(host)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `media.example`, its own authority; `cert.pem` and `key.pem`."""
    folder = tmp_path_factory.mktemp("tls")
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    today = dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
def server_tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context


@pytest.fixture
def client_tls(certificates: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates / "cert.pem"))


@pytest.fixture
def tiny_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 plays the public internet, everything else is private."""
    monkeypatch.setattr(module, "is_public", lambda address: address == "127.0.0.1")


# What comes back


async def test_content_type_name_and_size() -> None:
    disposition = "attachment; filename*=UTF-8''M%C3%A4rz%2F..%2Fcall.mp3"
    answer = reply(body=BODY, Content_Type="audio/MPEG; x=y", Content_Disposition=disposition)
    async with http(lambda _: answer) as (server, base, settings):
        async with fetch(f"{base}/a/b.wav{SIGNED}#part", settings) as fetched:
            assert (fetched.filename, fetched.content_type, fetched.size_bytes) == ("call.mp3", "audio/mpeg", len(BODY))
            assert b"".join([chunk async for chunk in fetched.chunks]) == BODY
        assert server.requests[0].startswith(b"GET /a/b.wav?X-Signature=s3cr3t HTTP/1.1\r\n")
        assert f"host: 127.0.0.1:{server.port}\r\n".encode() in server.requests[0].lower()


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/recordings/talk%20one.m4a", {}, "talk one.m4a"),
        ("/", {"Content_Type": "video/mp4"}, "recording.mp4"),
        ("/download", {"Content_Type": "audio/x-unheard-of"}, "download"),
        ("/a%2F..%2F..%2Fetc%2Fpasswd.wav", {}, "passwd.wav"),
        ("/x", {"Content_Disposition": r'attachment; filename="..\..\win.wav"'}, "win.wav"),
        ("/x.wav", {"Content_Disposition": "attachment; filename*=nonsense''%ff.wav"}, None),
        ("/" + "n" * 900, {}, "n" * 150),
    ],
)
async def test_names_are_safe(path: str, headers: dict[str, Any], name: str | None) -> None:
    async with (
        http(lambda _: reply(body=b"x", **headers)) as (_, base, settings),
        fetch(base + path, settings) as fetched,
    ):
        assert name in (None, fetched.filename)
        assert "/" not in fetched.filename
        assert fetched.filename


async def test_a_length_is_not_needed() -> None:
    async with http(lambda _: reply(body=BODY, length=-1)) as (_, base, settings):
        assert await read(base, settings) == BODY


# Which addresses are refused


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd12::1",
        "fe80::1", "fe80::1%eth0", "2606:4700::1111%1", "fec0::1", "ff02::1", "5f00::1", "localhost", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2001:4860:4860::8888"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://media.example/a", "ftp://media.example/a", "file:///etc/passwd", "data:audio/wav;base64,AAAA", "/a", "",
        "https://", "https:///a", "https://[::1", "https://media.example:99999/a", "https://\x00/", "nonsense",
        "https://user:pass@media.example/a", "https://user@media.example/a", "https://" + "a" * 70 + ".example/",
    ],
)  # fmt: skip
async def test_urls_that_are_refused(url: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        host.encode("idna")
        return ["127.0.0.1"]

    with pytest.raises(InvalidCall) as caught:
        await read(url, allowing(), resolve=resolve)
    assert (caught.value.reason, caught.value.field) == ("media_url_refused", "media.url")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a", "https://127.1/a", "https://2130706433/a", "https://0x7f000001/a", "https://localhost/a",
        "https://[::1]/a", "https://[::ffff:127.0.0.1]/a", "https://169.254.169.254/latest/meta-data/", "https://0/a",
    ],
)  # fmt: skip
async def test_this_machine_by_all_its_names(url: str) -> None:
    with pytest.raises(InvalidCall, match="not on the public internet"):
        await read(url, allowing())


async def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(InvalidCall, match="not on the public internet"):
        await read(f"https://{NAME}/a", allowing(), resolve=resolving("93.184.216.34", "10.0.0.1"))
    with pytest.raises(InvalidCall):
        await read(f"https://{NAME}/a", allowing(), resolve=resolving())


async def test_an_allowed_host_is_allowed_only_with_its_port() -> None:
    async with raw_server(lambda _: reply(body=b"x")) as server:
        for settings in (allowing(), allowing("127.0.0.1"), allowing(f"127.0.0.1:{server.port + 1}")):
            with pytest.raises(InvalidCall):
                await read(f"http://127.0.0.1:{server.port}/", settings)
        assert server.requests == []
        assert await read(f"http://127.0.0.1:{server.port}/", allowing("other:1", f"127.0.0.1:{server.port}")) == b"x"


async def test_an_allowed_ipv6_host() -> None:
    try:
        async with raw_server(lambda _: reply(body=b"x"), host="::1") as server:
            assert await read(f"http://[::1]:{server.port}/", allowing(f"[::1]:{server.port}")) == b"x"
            assert f"host: [::1]:{server.port}\r\n".encode() in server.requests[0].lower()
    except OSError:
        pytest.skip("this machine has no IPv6")


async def test_an_unknown_host_may_be_known_later() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(TransientFault) as caught:
        await read(f"https://{NAME}/a{SIGNED}", allowing(), resolve=resolve)
    assert caught.value.reason == "media_host_unknown"


# The checked address is the one that is used


async def test_tls_names_the_host_and_the_connection_goes_to_the_checked_address(
    tiny_internet: None, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    async with raw_server(lambda _: reply(body=b"x"), tls=server_tls) as server:
        got = await read(f"https://{NAME}:{server.port}/", allowing(), resolve=rebinding, tls=client_tls)
        assert (got, asked, server.names) == (b"x", [NAME], [NAME])
        assert f"host: {NAME}:{server.port}\r\n".encode() in server.requests[0].lower()


async def test_a_name_that_turns_private_at_a_redirect_is_refused(
    tiny_internet: None, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with raw_server(lambda _: reply(302, Location="/again"), tls=server_tls) as server:
        with pytest.raises(InvalidCall, match="not on the public internet"):
            await read(f"https://{NAME}:{server.port}/", allowing(), resolve=rebinding, tls=client_tls)
        assert len(server.requests) == 1


async def test_a_certificate_for_another_name_is_not_accepted(
    tiny_internet: None, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with raw_server(lambda _: reply(body=b"x"), tls=server_tls) as server:
        url = f"https://other.example:{server.port}/"
        with pytest.raises(TransientFault) as caught:
            await read(url, allowing(), resolve=resolving("127.0.0.1"), tls=client_tls)
        assert caught.value.reason == "media_unreachable"
        assert server.requests == []


async def test_an_unknown_authority_is_not_accepted(tiny_internet: None, server_tls: ssl.SSLContext) -> None:
    async with raw_server(lambda _: reply(body=b"x"), tls=server_tls) as server:
        with pytest.raises(TransientFault, match="no safe connection"):
            await read(f"https://{NAME}:{server.port}/", allowing(), resolve=resolving("127.0.0.1"))


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with raw_server(lambda _: reply(body=b"x")) as server:
        settings = allowing(f"{NAME}:{server.port}")
        url = f"http://{NAME}:{server.port}/"
        assert await read(url, settings, resolve=resolving("127.0.0.77", "127.0.0.1")) == b"x"
        with pytest.raises(TransientFault) as caught:
            await read(url, settings, resolve=resolving("127.0.0.77"))
        assert caught.value.reason == "media_unreachable"


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with http(lambda _: reply(body=b"x")) as (_, base, settings):
        assert await read(base, settings) == b"x"


# Redirects


async def test_redirects_are_followed() -> None:
    def answer(request: bytes) -> bytes:
        if request.startswith(b"GET /there"):
            return reply(body=b"x")
        return reply(302, Location="//" + request.split(b"ost: ")[1].split(b"\r\n")[0].decode() + "/there?sig=1")

    async with http(answer) as (server, base, settings):
        assert await read(f"{base}/here", settings) == b"x"
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1/", "https://127.0.0.1/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data/",
        "https://localhost/", "http://media.example/", "file:///etc/passwd", "https://[::1]/", "https://[", "gopher://x",
        "https://user:pass@media.example/",
    ],
)  # fmt: skip
async def test_redirects_to_where_nobody_may_go(target: str) -> None:
    async with http(lambda _: reply(307, Location=target)) as (server, base, settings):
        with pytest.raises(InvalidCall) as caught:
            await read(f"{base}/a", settings)
        assert caught.value.reason == "media_url_refused"
        assert len(server.requests) == 1


async def test_too_many_redirects() -> None:
    async with http(lambda _: reply(301, Location=f"/a{SIGNED}")) as (server, base, settings):
        with pytest.raises(InvalidCall, match="too often") as caught:
            await read(f"{base}/a", settings)
        assert len(server.requests) == 6
        assert "s3cr3t" not in caught.value.sentence


# Sizes, times and broken answers


@pytest.mark.parametrize("length", [None, -1, 10])
async def test_the_limit_counts_what_comes(length: int | None) -> None:
    async with http(lambda _: reply(body=BODY, length=length)) as (_, base, settings):
        if length == 10:  # a length that is too small cuts the content: no byte beyond it is taken
            assert await read(base, settings, max_bytes=1000) == BODY[:10]
            return
        with pytest.raises(InvalidCall) as caught:
            await read(base, settings, max_bytes=1000)
        assert caught.value.reason == "media_too_large"


async def test_exactly_the_limit_is_taken() -> None:
    async with http(lambda _: reply(body=BODY)) as (_, base, settings):
        assert await read(base, settings, max_bytes=len(BODY)) == BODY


async def test_the_default_limit_is_that_of_uploads() -> None:
    async with raw_server(lambda _: reply(body=BODY)) as server:
        settings = allowing(f"127.0.0.1:{server.port}", upload_max_bytes=1000)
        with pytest.raises(InvalidCall):
            await read(f"http://127.0.0.1:{server.port}", settings)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(body=BODY, length=len(BODY) + 1), "media_cut_off"),
        (reply(body=b"1000\r\nhalf", length=-1, Transfer_Encoding="chunked"), "media_cut_off"),
        (b"", "media_cut_off"),
        (b"220 smtp.example ready\r\n", "media_cut_off"),
        (b"HTTP/1.1 200 OK\r\nbroken", "media_cut_off"),
    ],
)
async def test_answers_that_break_off_are_tried_again(answer: bytes, reason: str) -> None:
    async with http(lambda _: answer) as (_, base, settings):
        with pytest.raises(TransientFault) as caught:
            await read(base, settings)
        assert caught.value.reason == reason


async def test_there_is_a_limit_on_time() -> None:
    async def wait(_: bytes) -> bytes:
        await asyncio.sleep(3)
        return b""

    async with http(wait) as (_, base, settings):
        with pytest.raises(TransientFault) as caught:
            await read(base, settings, seconds=0.2)
        assert caught.value.reason == "media_timeout"


async def test_the_limit_on_time_holds_for_the_content_too() -> None:
    head = reply(length=100)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        try:
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(TransientFault) as caught:
        await read(f"http://{host}/", allowing(host), seconds=0.3)
    assert caught.value.reason == "media_timeout"
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (reply(401), InvalidCall, "media_url_gone"),
        (reply(403), InvalidCall, "media_url_gone"),
        (reply(404), InvalidCall, "media_url_gone"),
        (reply(410), InvalidCall, "media_url_gone"),
        (reply(400), InvalidCall, "media_url_failed"),
        (reply(204), InvalidCall, "media_url_failed"),
        (reply(304), InvalidCall, "media_url_failed"),
        (reply(302), InvalidCall, "media_url_failed"),
        (reply(200), InvalidCall, "media_empty"),
        (reply(body=b"<html>", Content_Type="text/html; charset=utf-8"), InvalidCall, "media_url_failed"),
        (reply(body=b"\x1f\x8b", Content_Encoding="gzip"), InvalidCall, "media_url_failed"),
        (reply(429, Retry_After="9"), TransientFault, "media_host_failing"),
        (reply(500), TransientFault, "media_host_failing"),
        (reply(503), TransientFault, "media_host_failing"),
    ],
)
async def test_answers_and_their_faults(answer: bytes, kind: type[Fault], reason: str) -> None:
    async with http(lambda _: answer) as (_, base, settings):
        with pytest.raises(Fault) as caught:
            await read(f"{base}/call.wav{SIGNED}", settings)
    fault = caught.value
    assert (type(fault), fault.reason) == (kind, reason)
    assert "/call.wav" in fault.sentence
    assert "s3cr3t" not in "".join(traceback.format_exception(fault)) + fault.detail
    assert getattr(fault, "retry_after", None) == (9.0 if b" 429 " in answer else None)


def test_what_is_shown_of_an_address() -> None:
    assert shown("https://u:p@media.example:8443/a%20b?sig=1#f") == "https://media.example:8443/a b"
    assert shown("https://[::1?sig=1") == "The media address"


# Into the store


def make_call(url: str, **more: Any) -> Call:
    now = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    return Call(
        event_id=UUID(int=1),
        workspace_id=UUID(int=2),
        source_app="generic",
        external_id="1",
        observed_at=now,
        received_at=now,
        title="t",
        fingerprint="f",
        media=Media(url=url, **more),
    )


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_recording_is_stored_once_an_event(kind: str, tmp_path: Path) -> None:
    store = MemoryStore() if kind == "memory" else LocalStore(str(tmp_path))
    body, sha256 = BODY * 8, hashlib.sha256(BODY * 8).hexdigest()  # more than one part
    async with http(lambda _: reply(body=body, Content_Type="audio/wav")) as (server, base, settings):
        stored = StoredMedia(store, settings)
        media = await stored.fetch(make_call(f"{base}/märz (1).wav{SIGNED}"))
        assert media.ref == f"fetched/{UUID(int=2)}/{UUID(int=1)}/{sha256}/m_rz_1_.wav"
        assert (media.filename, media.content_type, media.url) == ("märz (1).wav", "audio/wav", None)
        assert (media.size_bytes, media.sha256) == (len(body), sha256)
        async with stored.local_copy(media.ref) as path:
            assert path.read_bytes() == body
        again = await stored.fetch(make_call(f"{base}/gone", filename="Monday.wav"))
        assert (again.ref, again.sha256, again.size_bytes) == (media.ref, sha256, len(body))
        assert again.filename == "Monday.wav"
        assert len(server.requests) == 1


async def test_a_broken_download_leaves_nothing_in_the_store() -> None:
    store = MemoryStore()
    async with http(lambda _: reply(body=BODY, length=len(BODY) * 2)) as (_, base, settings):
        with pytest.raises(TransientFault):
            await StoredMedia(store, settings).fetch(make_call(base))
    assert store.list().collect() == []


async def test_a_store_that_is_away_is_an_outage(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    store = LocalStore(str(folder), mkdir=True)
    folder.rmdir()
    folder.write_text("not a folder")
    async with http(lambda _: reply(body=BODY)) as (_, base, settings):
        with pytest.raises(OutageFault):
            await StoredMedia(store, settings).fetch(make_call(base))


async def test_a_call_without_an_address() -> None:
    with pytest.raises(InvalidCall):
        await StoredMedia(MemoryStore(), allowing()).fetch(make_call(""))


def test_every_refused_network_is_a_network() -> None:
    assert all(isinstance(n, ipaddress.IPv4Network | ipaddress.IPv6Network) for n in module._REFUSED_NETWORKS)
