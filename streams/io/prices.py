"""What speech to text costs. An estimate: the vendor's bill is the truth."""

import ipaddress
from urllib.parse import urlsplit

from schemas.settings import Settings
from streams.io.whisper import DEFAULT_BASE_URL

MICROS_A_MINUTE = {
    "whisper-1": 6000,
    "gpt-4o-transcribe": 6000,
    "gpt-4o-mini-transcribe": 3000,
    "gpt-4o-transcribe-diarize": 6000,
}
"""OpenAI's prices by the minute of audio, in millionths of a US dollar."""


def cost_micros(model: str, seconds: float, settings: Settings) -> int | None:
    """The price of so much audio, in millionths of a US dollar.

    What CALLSTREAM_SPEECH_PRICES says goes first. A server of one's own costs nothing, and of anybody else's the price
    is not known: None, as for a model that is not in the list.
    """
    dollars = settings.speech_prices.get(model)
    if dollars is not None:
        return round(dollars * 1_000_000 * seconds / 60)
    address = (settings.openai_base_url or DEFAULT_BASE_URL).rstrip("/")
    if is_own(address):
        return 0
    a_minute = MICROS_A_MINUTE.get(model) if address == DEFAULT_BASE_URL else None
    return None if a_minute is None else round(a_minute * seconds / 60)


def is_own(address: str) -> bool:
    """Whether this is a server on the same machine or in the same network."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))
