"""A mark for each platform: its initials on a colour of its own. The platforms' own logos are theirs to give out."""

import re
import zlib
from html import escape

from api.problems import not_found
from connectors.registry import CONNECTORS

HEADERS = {"Cache-Control": "public, max-age=86400", "Content-Security-Policy": "default-src 'none'"}
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="{name}">\
<rect width="64" height="64" rx="14" fill="hsl({hue} 55% 32%)"/>\
<text x="32" y="42" text-anchor="middle" font-family="system-ui, sans-serif" font-size="28" font-weight="600" \
fill="#fff">{initials}</text></svg>
"""


def mark_of(platform: str) -> str:
    """The mark as SVG. Raises a 404 problem for a platform that there is not."""
    connector = CONNECTORS.get(platform)
    if connector is None:
        raise not_found("platform")
    name = connector.display_name
    initials = "".join(word[0] for word in re.findall(r"[A-Z][A-Za-z]*|\d+", name))[:2] or name[:1].upper()
    return SVG.format(name=escape(name), hue=zlib.crc32(platform.encode()) % 360, initials=escape(initials))
