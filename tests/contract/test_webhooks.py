"""One suite over the registry: a webhook that the source signed is read; whatever else comes is refused."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.contract import BadSignature, Delivery, Notice, Received, Webhook
from connectors.http import open_http, rewrite
from connectors.registry import CONNECTORS, to_call
from schemas.faults import InvalidCall
from tests.contract.vendors import FAKED, Vendor, a_call, vendor_of
from tests.fakes.vendors.core import FakeCall, Vendors, modules

HOOKED = tuple(name for name in FAKED if CONNECTORS[name].webhook is not None)
URL = "https://calls.example.com/webhooks/{}/0199b6c4-8f3e-7c50-9d6e-0f2a3b4c5d6e"
TOLERANCE = 300
UNSIGNED = {
    "grain": "signs nothing: the address is the secret",
    "ringcentral": "sends a token, over nothing",
    "google_meet": "Google's token says who sends and where to, and not what",
}
"""Sources whose proof does not cover the body. Nothing of theirs is believed but an id, which is read at the source."""


@pytest.fixture(params=HOOKED)
async def hooked(request: pytest.FixtureRequest, fake_vendors: Vendors) -> Vendor:
    """Every connector with a webhook, one after the other."""
    return await vendor_of(request.param, modules()[request.param].KIND, fake_vendors)


def webhook_of(vendor: Vendor) -> Webhook:
    assert vendor.connector.webhook is not None
    return vendor.connector.webhook


async def deliveries(vendor: Vendor, call: FakeCall, secret: str) -> list[Delivery]:
    """What the stand-in would post about a call."""
    vendor.add(call)
    url = URL.format(vendor.name)
    keys = await public_keys(vendor)
    return [
        Delivery(
            method=posting.method,
            url=posting.url,
            headers={name.lower(): value for name, value in posting.headers.items()},
            query=dict(parse_qsl(urlsplit(posting.url).query)),
            body=posting.body,
            secret=secret,
            now=vendor.world.now().timestamp(),
            tolerance=TOLERANCE,
            keys=keys,
        )
        for posting in vendor.fake.webhook(vendor.world, call, secret, url)
    ]


async def public_keys(vendor: Vendor) -> dict[str, Any]:
    """The keys the source signs with, by their id."""
    where = webhook_of(vendor).keys_url
    if where is None:
        return {}
    async with open_http() as http:
        answer = await http.get(rewrite(where, vendor.running.origin))
    return {key["kid"]: key for key in answer.json()["keys"]}


def secret_of(vendor: Vendor) -> str:
    """A secret as this source wants it."""
    secret = getattr(vendor.fake, "WEBHOOK_SECRET", "whsec_Y29udHJhY3Qtc3VpdGUtc2VjcmV0LWtleQ==")
    check = webhook_of(vendor).check_secret
    return check(secret) if check else secret


async def test_what_the_source_signs_is_read_to_the_call_it_is_about(hooked: Vendor) -> None:
    call = a_call(7, hooked.before(minutes=30))
    wanted = hooked.fake.external_id(call)
    named: set[str] = set()
    delivery_ids: set[str] = set()
    webhook = webhook_of(hooked)
    sent = await deliveries(hooked, call, secret_of(hooked))
    assert sent
    for delivery in sent:
        delivery_ids.add(webhook.verify(delivery))
        for found in webhook.read(delivery):
            named.add(found.external_id)
            if isinstance(found, Notice):
                assert found.after >= timedelta(0)
    assert named == {wanted}
    assert len(delivery_ids) == len(sent), "two deliveries under one id: the second would be taken for a repetition"


async def test_a_repetition_has_the_same_id(hooked: Vendor) -> None:
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        later = replace(delivery, now=delivery.now + 60)
        assert webhook_of(hooked).verify(later) == webhook_of(hooked).verify(delivery)


async def test_the_named_call_can_be_read_and_agrees_with_what_came(hooked: Vendor) -> None:
    call = a_call(7, hooked.before(minutes=30))
    async with hooked.api() as api:
        for delivery in await deliveries(hooked, call, secret_of(hooked)):
            for found in webhook_of(hooked).read(delivery):
                item = await hooked.pull.find(api, found.external_id)
                payload, read = await hooked.read(api, item)
                assert hooked.connector.external_id_of(dict(payload.payload)) == found.external_id
                if isinstance(found, Received):
                    brought = hooked.mapped(json.loads(found.payload))
                    assert brought.model_dump(exclude={"source_metadata"}) == read.model_dump(
                        exclude={"source_metadata"}
                    )


async def test_a_wrong_secret_is_refused(hooked: Vendor) -> None:
    if hooked.name in UNSIGNED and hooked.name == "grain":
        pytest.skip(UNSIGNED[hooked.name])
    other = getattr(hooked.fake, "OTHER_SECRET", "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LWtleS0wMQ==")
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        if delivery.keys:
            keys = {name: {**key, "n": "AQAB"} for name, key in delivery.keys.items()}
            forged = replace(delivery, keys=keys)
        else:
            forged = replace(delivery, secret=other)
        with pytest.raises(BadSignature) as caught:
            webhook_of(hooked).verify(forged)
        assert delivery.secret not in str(caught.value)
        assert other not in str(caught.value)


async def test_every_flipped_byte_is_refused(hooked: Vendor) -> None:
    if hooked.name in UNSIGNED:
        pytest.skip(UNSIGNED[hooked.name])
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        for place in range(len(delivery.body)):
            body = bytearray(delivery.body)
            body[place] ^= 1
            refuse(hooked, replace(delivery, body=bytes(body)))
        for body in (b"", delivery.body + b" ", delivery.body[:-1]):
            refuse(hooked, replace(delivery, body=body))


async def test_every_header_of_the_proof_is_needed(hooked: Vendor) -> None:
    if hooked.name == "grain":
        pytest.skip(UNSIGNED[hooked.name])
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        proof = [name for name in delivery.headers if name not in ("content-type", "content-length", "user-agent")]
        bare = {name: value for name, value in delivery.headers.items() if name not in proof}
        if proof:
            refuse(hooked, replace(delivery, headers=bare))
        for name in proof:
            if delivery.headers[name]:
                odd = delivery.headers[name][:-2] + ("AA" if not delivery.headers[name].endswith("AA") else "BB")
                try:
                    webhook_of(hooked).verify(replace(delivery, headers={**delivery.headers, name: odd}))
                except BadSignature:
                    break
        else:
            assert not proof, "no header matters"


async def test_an_old_delivery_is_refused_where_a_time_is_signed(hooked: Vendor) -> None:
    timeless = {"youtube", "fireflies", "ringcentral", "grain", "dialpad"}  # they sign no time
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        late = replace(delivery, now=delivery.now + TOLERANCE + 7200)
        if hooked.name in timeless:
            webhook_of(hooked).verify(late)
        else:
            refuse(hooked, late)


async def test_a_body_that_nobody_can_read_is_kept_as_it_came(hooked: Vendor) -> None:
    (delivery, *_) = await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked))
    for body in bodies():
        for found in webhook_of(hooked).read(replace(delivery, body=body)):
            assert found.external_id
            found.external_id.encode()
            if isinstance(found, Received):
                found.payload.encode()
                with suppress(InvalidCall):
                    to_call(hooked.name, found.payload)


async def test_odd_bytes_are_refused_without_an_accident(hooked: Vendor) -> None:
    if hooked.name in UNSIGNED:
        pytest.skip(UNSIGNED[hooked.name])
    (delivery, *_) = await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked))
    for body in bodies():
        refuse(hooked, replace(delivery, body=body))
        refuse(hooked, replace(delivery, body=body, headers={}))
    for value in (
        "",
        " ",
        "\x00",
        "ü",
        "v0=",
        "Bearer ",
        "Bearer a.b.c",
        "9" * 400,
        "a" * 10_000,
        "sha256=",
        "-1",
        "nan",
    ):
        refuse(hooked, replace(delivery, body=b"{}", headers=dict.fromkeys(delivery.headers, value)))


async def test_a_handshake_is_answered_only_to_the_source(hooked: Vendor) -> None:
    shake = webhook_of(hooked).handshake
    if shake is None:
        pytest.skip(f"{hooked.name} has no handshake")
    for delivery in await deliveries(hooked, a_call(7, hooked.before(minutes=30)), secret_of(hooked)):
        assert shake(delivery) is None, "an ordinary delivery is no handshake"
        for body in bodies():
            reply = shake(replace(delivery, body=body, headers={}, method="POST"))
            assert reply is None or delivery.secret not in reply.body


def refuse(vendor: Vendor, delivery: Delivery) -> None:
    """It must not pass, and the refusal says nothing secret."""
    with pytest.raises(BadSignature) as caught:
        webhook_of(vendor).verify(delivery)
    assert delivery.secret not in str(caught.value)


def bodies() -> Iterator[bytes]:
    """What no source sends."""
    yield from (
        b"", b" ", b"\x00", b"\xff\xfe", b"null", b"[]", b"{}", b"[null]", b'"a"', b"1e999", b"<feed/>", b"<", b"a.b.c",
        b'{"a":', b"[" * 50_000, b'{"event": null, "payload": []}', b'[{"objectId": 1}]', b'{"message": {"data": 1}}',
        b'{"recording_id": "\\ud800"}', b"\xef\xbb\xbf{}", b'<!DOCTYPE a [<!ENTITY b "c">]><feed>&b;</feed>',
    )  # fmt: skip
