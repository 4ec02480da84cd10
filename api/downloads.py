"""What a browser is told about a file that it is to save."""

import re
from urllib.parse import quote

MAX_NAME = 150


def disposition(name: str, *, inline: bool = False) -> str:
    """The Content-Disposition of a file under that name, which may hold anything: it is made safe for every system."""
    name = re.sub(r"[\x00-\x1f\x7f\"\\/]", "_", name)
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    encoded = quote(name.encode("utf-8", "replace"), safe="")
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def file_name(title: str, ending: str) -> str:
    """A file name for a title: readable, and free of what file systems and shells take for something else."""
    words = re.sub(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069<>:\"/\\|?*%]+", " ", title)
    stem = " ".join(words.encode("utf-8", "ignore").decode().split()).strip(". ")[:MAX_NAME].strip(". ")
    return f"{stem or 'call'}.{ending}"
