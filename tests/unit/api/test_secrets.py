"""Secrets at rest: sealed anew each time, bound to their row, opened by any key we still hold."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.faults import ConfigFault
from schemas.settings import Settings
from streams.io.secrets import Secrets, generate_key, key_id_of, open_secrets

WORKSPACE = uuid4()
PLACE = {"workspace_id": WORKSPACE, "row": "webhook_endpoints/1", "field": "encrypted_secret"}


def secrets(*keys: str) -> Secrets:
    """The secrets of an installation with these keys."""
    return open_secrets(Settings(secret_keys=",".join(keys)))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_can_be_opened(text: str) -> None:
    ours = secrets(generate_key())
    assert ours.open(ours.seal(text, **PLACE), **PLACE) == text


def test_the_same_secret_never_looks_the_same() -> None:
    ours = secrets(generate_key())
    sealed = {ours.seal("secret", **PLACE) for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"secret" in each for each in sealed)


@pytest.mark.parametrize("changed", [{"workspace_id": uuid4()}, {"row": "webhook_endpoints/2"}, {"field": "other"}])
def test_a_secret_does_not_open_elsewhere(changed: dict[str, object]) -> None:
    ours = secrets(generate_key())
    with pytest.raises(ConfigFault, match="cannot be decrypted"):
        ours.open(ours.seal("secret", **PLACE), **{**PLACE, **changed})


def test_the_newest_key_seals_and_all_of_them_open() -> None:
    old, new = generate_key(), generate_key()
    sealed = secrets(old).seal("secret", **PLACE)
    both = secrets(new, old)
    assert both.open(sealed, **PLACE) == "secret"
    again = both.reseal(sealed, **PLACE)
    assert again is not None
    assert key_id_of(again) == new.partition(":")[0]
    assert secrets(new).open(again, **PLACE) == "secret"
    assert both.reseal(again, **PLACE) is None


def test_a_key_that_is_gone_is_named() -> None:
    old, new = generate_key(), generate_key()
    with pytest.raises(ConfigFault, match=old.partition(":")[0]):
        secrets(new).open(secrets(old).seal("secret", **PLACE), **PLACE)


def test_the_same_id_with_another_key_does_not_open() -> None:
    first, other = generate_key().partition(":")[2], generate_key().partition(":")[2]
    sealed = secrets(f"k:{first}").seal("secret", **PLACE)
    with pytest.raises(ConfigFault, match="cannot be decrypted"):
        secrets(f"k:{other}").open(sealed, **PLACE)


@given(st.binary(max_size=100))
def test_what_was_never_sealed_is_a_fault_and_no_crash(data: bytes) -> None:
    with pytest.raises(ConfigFault):
        secrets(generate_key()).open(data, **PLACE)


@pytest.mark.parametrize("text", [None, "", " , "])
def test_without_a_key_nothing_starts(text: str | None) -> None:
    with pytest.raises(ConfigFault) as caught:
        open_secrets(Settings(secret_keys=text))
    assert caught.value.reason == "secret_keys_missing"


@pytest.mark.parametrize("text", ["abc", "k:", "k:AAAA", "k:%%%", f"{generate_key()},x", "a b:" + "A" * 44])
def test_a_key_that_cannot_be_one_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        open_secrets(Settings(secret_keys=text))
    assert caught.value.reason == "secret_keys_malformed"
    assert text not in str(caught.value)


def test_two_keys_under_one_id_are_refused() -> None:
    one, two = generate_key(), generate_key()
    with pytest.raises(ConfigFault):
        open_secrets(Settings(secret_keys=f"k:{one.partition(':')[2]},k:{two.partition(':')[2]}"))
