import socket

import pytest

from schemas.faults import ConfigFault, TransientFault
from schemas.settings import Settings
from streams.io.fetch import MAX_ADDRESSES, Resolve
from streams.io.reach import reach


def resolving(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def test_checked_addresses_are_given_and_not_the_name() -> None:
    found = await reach("SFTP.example.com.", 22, Settings(), resolve=resolving("93.184.216.34", "2606:2800:220:1::1"))
    assert found == ["93.184.216.34", "2606:2800:220:1::1"]
    many = resolving(*(f"93.184.216.{number}" for number in range(1, 20)))
    assert len(await reach("sftp.example.com", 22, Settings(), resolve=many)) == MAX_ADDRESSES


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",), ("10.0.0.7",), ("169.254.169.254",), ("::1",), ("fd00::1",), ("::ffff:10.0.0.7",), ("0.0.0.0",),
        ("93.184.216.34", "192.168.1.1"), (),
    ],
)  # fmt: skip
async def test_a_single_address_of_our_own_network_refuses_the_host(addresses: tuple[str, ...]) -> None:
    with pytest.raises(ConfigFault) as caught:
        await reach("sftp.example.com", 22, Settings(), resolve=resolving(*addresses))
    assert caught.value.reason == "host_refused"
    assert "sftp.example.com:22" in caught.value.sentence
    assert not any(address in caught.value.sentence for address in addresses), "nobody is told what our network is like"


@pytest.mark.parametrize(
    ("allowed", "host", "port", "let_in"),
    [
        ("files.local:22", "files.local", 22, True),
        ("other:1, FILES.local:22", "Files.Local.", 22, True),
        ("[fd00::1]:22", "fd00::1", 22, True),
        ("files.local:22", "files.local", 2222, False),
        ("files.local", "files.local", 22, False),
        ("files.local:22", "more.files.local", 22, False),
    ],
)
async def test_the_operator_may_allow_a_host_with_its_port(allowed: str, host: str, port: int, let_in: bool) -> None:
    settings = Settings(media_allow_hosts=allowed)
    if let_in:
        assert await reach(host, port, settings, resolve=resolving("10.0.0.7")) == ["10.0.0.7"]
        return
    with pytest.raises(ConfigFault):
        await reach(host, port, settings, resolve=resolving("10.0.0.7"))


async def test_the_stand_in_for_all_sources_is_reached_at_any_port() -> None:
    settings = Settings(vendor_origin="http://127.0.0.1:8500")
    assert await reach("127.0.0.1", 3333, settings) == ["127.0.0.1"]
    with pytest.raises(ConfigFault):
        await reach("127.0.0.2", 3333, settings)


async def test_a_host_that_is_not_found_may_be_found_later() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(TransientFault):
        await reach("sftp.example.com", 22, Settings(), resolve=resolve)


async def test_a_name_that_is_none_is_refused() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise UnicodeError("label too long")

    with pytest.raises(ConfigFault):
        await reach("a" * 300, 22, Settings(), resolve=resolve)
