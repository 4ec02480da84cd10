"""The part of docs/connectors.md that says what every connector declares, written from the registry.

python -m ops.connectors_doc          write it again
python -m ops.connectors_doc --check  exit with 1 if the page says something else
"""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

from connectors.contract import Auth, Connector, Limit
from connectors.registry import CONNECTORS

PAGE: Final = Path(__file__).parents[1] / "docs" / "connectors.md"
BEGIN: Final = "<!-- written by `python -m ops.connectors_doc` from here … -->"
END: Final = "<!-- … to here -->"
KINDS: Final = {
    "api_key": "API key",
    "basic": "access key and secret",
    "password": "form",
    "oauth": "“Connect with …” (OAuth)",
}


def main(argv: list[str]) -> int:
    """The command of the module's docstring."""
    text = PAGE.read_text("utf-8")
    wanted = renewed(text, CONNECTORS.values())
    if "--check" in argv:
        return 0 if text == wanted else 1
    PAGE.write_text(wanted, "utf-8")
    return 0


def renewed(page: str, connectors: Iterable[Connector]) -> str:
    """The page with what these connectors declare between the two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{declared(connectors)}\n{END}{after}"


def declared(connectors: Iterable[Connector]) -> str:
    """A table a connector, for all that pull."""
    return "\n".join(_table(connector) for connector in connectors if connector.pull is not None)


def _table(connector: Connector) -> str:
    pull, webhook = connector.pull, connector.webhook
    if pull is None:
        return ""
    rows = [
        ("Status", connector.status.upper()),
        ("Connected by", "; ".join(_way(auth) for auth in connector.auths)),
        ("Rights asked for", ", ".join(f"`{scope}`" for scope in _scopes(connector)) or "those of the key or app"),
        ("Set-up", " ".join(dict.fromkeys(auth.instructions for auth in connector.auths if auth.instructions)) or "–"),
        ("Limits we keep to", "; ".join(map(_limit, connector.limits)) or "none stated"),
        ("Webhook", "no" if webhook is None else f"The secret is made by {_maker(webhook.key_from)}. {webhook.setup}"),
        ("A sync looks back", _words(pull.overlap)),
        ("The source forgets after", _words(pull.reaches_back) if pull.reaches_back else "never, as far as we know"),
        ("Counts beforehand", "yes" if pull.count else "no: the number is known at the end of the listing"),
        ("A call that is not ready is tried after", ", ".join(map(_words, pull.tries))),
        ("Filters", ", ".join(f"`{one.name}` ({one.label})" for one in pull.filters) or "dates only"),
        ("Vendor's pages", f"<{connector.docs_url}>"),
    ]
    lines = [f"### {connector.display_name} (`{connector.source_app}`)", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows), ""])


def _way(auth: Auth) -> str:
    fields = ", ".join(f"*{field.label}*{'' if field.required else ' (optional)'}" for field in auth.fields)
    pkce = " with PKCE" if auth.oauth and auth.oauth.pkce else ""
    return f"{KINDS[auth.kind]}{pkce}" + (f": {fields}" if fields else "")


def _scopes(connector: Connector) -> list[str]:
    return list(dict.fromkeys(scope for auth in connector.auths if auth.oauth for scope in auth.oauth.scopes))


def _limit(limit: Limit) -> str:
    bucket = "" if limit.bucket == "default" else f"{limit.bucket}: "
    day = f", anew at midnight in {limit.zone}" if limit.zone else ""
    span = _words(timedelta(seconds=limit.seconds)).removeprefix("1 ")
    return f"{bucket}{limit.count:,} {'an' if span == 'hour' else 'a' if span[0].isalpha() else 'in'} {span}{day}"


def _maker(key_from: str) -> str:
    return {"us": "callstream"}.get(key_from, "the source")


def _words(span: timedelta) -> str:
    seconds = span.total_seconds()
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {name}{'s' if seconds > size else ''}"
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
