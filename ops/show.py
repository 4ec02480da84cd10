"""What the commands print: tables and sentences for a person, JSON for a program."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

NOTHING: Final = "–"

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_json(value: Any, *, one_line: bool = False) -> None:
    """JSON on standard output, and nothing else."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=None if one_line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(sentence: str) -> None:
    """A sentence for the person, beside the output."""
    err.print(sentence, markup=False)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table, or a sentence when there is nothing to put in it."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    if made.row_count:
        out.print(made)
    else:
        out.print(empty, markup=False)


def cell(value: Any) -> str:
    """A value in a table. What came from outside cannot give orders to the terminal."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    text = "".join(char if char.isprintable() else " " for char in str(value))
    return text.replace("[", "\\[")


def one_line(text: str, most: int = 100) -> str:
    """The beginning of a text, fit for a table."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
