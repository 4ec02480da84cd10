"""One suite over the registry: no credential and no signed address gets into a payload, a fault or a log line."""

import json
import logging
import re
from datetime import datetime

import pytest

from schemas.faults import ConfigFault, Fault, InvalidCall
from streams.logs import QUIET
from tests.contract.vendors import MARK, Vendor, some_calls

SIGNED = re.compile(
    r"https?://[^\s\"]*[?&;](x-amz-\w+|sig|signature|expires|exp|token|access_token|download_token|key)=",
    re.IGNORECASE,
)
"""An address that is a key to what it leads to."""


def secrets_of(vendor: Vendor) -> list[str]:
    """What of the credential must not be seen."""
    public = {field.name for field in vendor.auth.fields if not field.secret} | {"expires_at", "scope", "token_type"}
    values = [value for name, value in vendor.credential.items() if name not in public]
    return [value for value in values if len(value) >= 6 and "://" not in value]


def all_of(fault: BaseException) -> str:
    """Everything a fault says, and those it came from."""
    found: BaseException | None = fault
    texts = []
    while found is not None:
        texts.append(f"{found!r} {found} {getattr(found, 'detail', '')} {vars(found)}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\n".join(texts)


def is_quiet(record: logging.LogRecord) -> bool:
    """Whether a line of a library is never written, because `streams/logs.py` says so."""
    return record.levelno < logging.WARNING and record.name.startswith(QUIET)


async def test_no_secret_is_in_a_payload(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 4, 6), *some_calls(vendor, 1, 8, has_transcript=False))
    refused: list[str] = []
    async with vendor.api() as api:
        for item in await vendor.items(api, vendor.recent(10)):
            try:
                found, call = await vendor.read(api, item)
            except InvalidCall as refusal:  # nothing to read, and nothing to hear
                refused.append(all_of(refusal))
                continue
            assert "pwd=" not in call.model_dump_json(exclude={"original_transcript"}), "a meeting's passcode"
            for text in (json.dumps(found.payload), call.model_dump_json()):
                assert not [secret for secret in secrets_of(vendor) if secret in text]
                assert SIGNED.search(text) is None, SIGNED.search(text)
                if found.recording is not None and "?" in found.recording.url:
                    assert found.recording.url not in text
                    assert found.recording.url.partition("?")[2] not in text
    assert not [secret for secret in secrets_of(vendor) if secret in "".join(refused)]


@pytest.mark.parametrize("kind", ["429", "500", "503", "cut_json", "bad_token", "forbidden"])
async def test_no_secret_is_in_a_fault_or_log_line(
    vendor: Vendor, kind: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    vendor.add(*some_calls(vendor, 2, 5))
    said = ""
    with caplog.at_level(logging.INFO):
        async with vendor.api() as api:
            items = await vendor.items(api, vendor.recent(10))
            vendor.order(kind, times=100)
            assert vendor.connector.validate is not None
            for ask in (
                vendor.connector.validate(api),
                vendor.pull.list_page(api, vendor.recent(10), None),
                vendor.pull.fetch(api, items[0]),
                vendor.pull.find(api, items[0].external_id),
            ):
                try:
                    await ask
                except Fault as fault:
                    said += all_of(fault)
    printed = capsys.readouterr()
    said += (
        "".join(record.getMessage() for record in caplog.records if not is_quiet(record)) + printed.out + printed.err
    )
    assert said
    assert not [secret for secret in secrets_of(vendor) if secret in said]
    assert SIGNED.search(said) is None, SIGNED.search(said)


async def test_a_credential_that_was_mistyped_is_not_repeated(vendor: Vendor) -> None:
    vendor.add(*some_calls(vendor, 1, 5))
    wrong = {name: f"{MARK}-wrong-{name}" for name, value in vendor.credential.items() if value in secrets_of(vendor)}
    async with vendor.api(**wrong) as api:
        assert vendor.connector.validate is not None
        with pytest.raises(ConfigFault) as caught:
            await vendor.connector.validate(api)
    assert MARK not in all_of(caught.value)


async def test_a_payload_is_json_of_this_world(vendor: Vendor) -> None:
    """Kafka carries it as text, and PostgreSQL keeps it: what cannot be written again is found here."""
    vendor.add(*some_calls(vendor, 1, 3))
    async with vendor.api() as api:
        (item,) = await vendor.items(api, vendor.recent(10))
        found = await vendor.pull.fetch(api, item)
    assert json.loads(json.dumps(found.payload, allow_nan=False)) == found.payload
    assert item.started_at is None or isinstance(item.started_at, datetime)
    assert item.started_at is None or item.started_at.tzinfo is not None
