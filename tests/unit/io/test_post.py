"""The guarded post, against real sockets on this machine and resolvers that lie."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.faults import InvalidCall
from schemas.settings import Settings
from streams.io.post import checked_addresses, checked_url, post
from tests.unit.io.raw_server import raw_server, reply


def allowing(*hosts: str) -> Settings:
    return Settings(_env_file=None, webhook_allow_hosts=", ".join(hosts))


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    async def resolve(host: str, port: int) -> list[str]:
        if not addresses:
            raise OSError("no such host")
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook", "ftp://example.com/", "https://user:secret@example.com/", "https://", "nonsense",
        "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.8/", "https://169.254.169.254/latest", "https://[::ffff:127.0.0.1]/",
        "https://exa mple.com/", "https://" + "a" * 2100, "file:///etc/passwd", "https://0x7f.1/\x00",
    ],
)  # fmt: skip
def test_addresses_that_nothing_is_sent_to_are_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(InvalidCall, match="Nothing can be sent") as refused:
        checked_url(url, allowing())
    assert refused.value.field == "url"
    assert "secret" not in refused.value.sentence


async def test_a_name_that_leads_into_our_network_is_refused_even_if_only_one_address_does() -> None:
    url = checked_url("https://hooks.example.com/x", allowing())
    for addresses in (("127.0.0.1",), ("93.184.216.34", "10.0.0.1"), ("::1",)):
        with pytest.raises(InvalidCall, match="public internet"):
            await checked_addresses(url, allowing(), resolving(*addresses))
        posted = await post(str(url), b"{}", {}, allowing(), resolve=resolving(*addresses))
        assert posted.status is None
        assert "public internet" in (posted.error or "")


async def test_plain_http_goes_to_this_machine_alone_and_only_if_it_is_allowed() -> None:
    async with raw_server(lambda request: reply(200)) as server:
        host = f"127.0.0.1:{server.port}"
        assert (await post(f"http://{host}/", b"{}", {}, allowing())).status is None
        assert server.requests == []
        assert (await post(f"http://{host}/", b"{}", {}, allowing(host))).error is None
        elsewhere = await post("http://intra:80/", b"{}", {}, allowing("intra:80"), resolve=resolving("10.1.2.3"))
        assert "Only https" in (elsewhere.error or "")


async def test_what_is_posted_arrives_and_a_redirect_is_not_followed() -> None:
    async with raw_server(lambda request: reply(302, Location="http://127.0.0.1:1/")) as server:
        host = f"127.0.0.1:{server.port}"
        posted = await post(f"http://{host}/a?b=c", b'{"x":1}', {"webhook-id": "m1"}, allowing(host))
        assert (posted.status, "redirect" in (posted.error or "")) == (302, True)
        [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1")
    assert b"webhook-id: m1" in head.lower()
    assert f"host: {host}".encode() in head.lower()
    assert body == b'{"x":1}'


@pytest.mark.parametrize(
    ("answer", "error", "wait"),
    [
        (reply(204), None, None),
        (reply(500), "127.0.0.1 answered 500.", None),
        (reply(429, Retry_After="120"), "127.0.0.1 answered 429.", 120.0),
        (reply(429, Retry_After="99999999"), "127.0.0.1 answered 429.", 86400.0),
        (b"nonsense\r\n\r\n", "127.0.0.1 could not be reached (RemoteProtocolError).", None),
        (b"", "127.0.0.1 could not be reached (RemoteProtocolError).", None),
    ],
)
async def test_whatever_comes_back_is_an_answer(answer: bytes, error: str | None, wait: float | None) -> None:
    async with raw_server(lambda request: answer) as server:
        host = f"127.0.0.1:{server.port}"
        posted = await post(f"http://{host}/s3cr3t", b"{}", {}, allowing(host))
    assert (posted.error, posted.wait) == (error, wait)


async def test_nobody_there_and_no_such_host_are_answers_too() -> None:
    async with raw_server(lambda request: reply(200)) as server:
        gone = f"127.0.0.1:{server.port}"
    assert "No safe connection" in ((await post(f"http://{gone}/", b"", {}, allowing(gone))).error or "")
    nowhere: Any = await post("https://nowhere.example/", b"", {}, allowing(), resolve=resolving())
    assert nowhere.error == "nowhere.example could not be reached (OSError)."
