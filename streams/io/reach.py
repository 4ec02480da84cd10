"""Where a host that a person named may be connected to by other means than HTTP: the guard of `fetch`, for a socket."""

from urllib.parse import urlsplit

from schemas.faults import ConfigFault, TransientFault
from schemas.settings import Settings
from streams.io.fetch import MAX_ADDRESSES, Resolve, is_public, resolve


async def reach(host: str, port: int, settings: Settings, *, resolve: Resolve = resolve) -> list[str]:
    """Addresses of the open internet, or whatever the operator allows. Connect to these, not to the name: it may
    resolve differently the second time.

    `media_allow_hosts` names what is allowed besides; so is the machine that stands in for all sources. Raises
    `ConfigFault` if a single address is refused, `TransientFault` when the host is not found.
    """
    host = host.strip().rstrip(".").lower()
    try:
        addresses = await resolve(host, port)
    except UnicodeError:
        raise ConfigFault("host_refused", f"{host[:253]} is not a valid name of a server. Correct it.") from None
    except OSError as error:
        sentence = f"{host[:253]} was not found on the network. It is tried again by itself."
        raise TransientFault("host_unknown", sentence, detail=repr(error)) from None
    if not addresses or not (_allowed(host, port, settings) or all(map(is_public, addresses))):
        sentence = f"{host[:253]} is not on the public internet, so callstream does not connect to it."
        todo = f"Its operator can allow it by adding {host[:253]}:{port} to CALLSTREAM_MEDIA_ALLOW_HOSTS."
        raise ConfigFault("host_refused", f"{sentence} {todo}")
    return addresses[:MAX_ADDRESSES]


def _allowed(host: str, port: int, settings: Settings) -> bool:
    named = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    entries = (entry.strip().lower() for entry in settings.media_allow_hosts.split(","))
    stand_in = urlsplit(settings.vendor_origin or "").hostname
    return named in entries or host == stand_in
