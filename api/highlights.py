"""Where a search fits: words marked in a title, and the places of a transcript around them. Text in pieces, never HTML.

PostgreSQL says which words a query means (`tsquery` as text); here they are found again in the text it was true of.
Marking in PostgreSQL itself parses every transcript of the page anew, which takes many times as long.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from pydantic import BaseModel

MAX_SNIPPETS: Final = 3
BEFORE: Final = 60
AFTER: Final = 140
"""How many characters of a transcript are shown around a hit."""
REACH: Final = 25
"""So far a cut is moved to fall between two words."""
MAX_PIECES_OF_TITLE: Final = 200
_TOKEN: Final = re.compile(r"'((?:[^'\\]|''|\\.)*)'(?::[*A-D]+)?|(<(?:-|\d+)>)|([&|!()])")
_JOINERS: Final = "\u200c\u200d\ufe0e\ufe0f"

Phrase = tuple[str, ...]
"""Words that follow each other, in small letters."""
Span = tuple[int, int]


class Piece(BaseModel):
    """A piece of a text; `hit`: these are words that were searched for. All pieces together are the text."""

    text: str
    hit: bool


def phrases_of(tsquery: str) -> list[Phrase]:
    """The words and phrases that a text must or may hold, of a `tsquery` as PostgreSQL writes it. What must not be in
    it is left out."""
    found: list[list[str]] = []
    tokens = [match.groups() for match in _TOKEN.finditer(tsquery)]
    position, follows = 0, False
    while position < len(tokens):
        lexeme, distance, sign = tokens[position]
        position += 1
        if sign == "!":
            position = _after_operand(tokens, position)
        elif distance is not None:
            follows = distance in ("<->", "<1>")
        elif lexeme is not None:
            word = re.sub(r"\\(.)", r"\1", lexeme.replace("''", "'")).lower()
            if follows and found:
                found[-1].append(word)
            else:
                found.append([word])
            follows = False
        elif sign in ("&", "|"):
            follows = False
    return list(dict.fromkeys(tuple(_whole(words)) for words in found))


def _after_operand(tokens: Sequence[tuple[str | None, ...]], position: int) -> int:
    """Where what a `!` speaks of has ended."""
    depth = 0
    while position < len(tokens):
        sign = tokens[position][2]
        position += 1
        depth += (sign == "(") - (sign == ")")
        if depth <= 0 and sign != "!":
            break
    return position


def _whole(words: Sequence[str]) -> Iterator[str]:
    """Without the parts that PostgreSQL puts after a word such as `well-known`, which stand for the same place."""
    compound = ""
    for word in words:
        if compound and word != compound and word in compound:
            continue
        compound = word if not word.isalnum() else ""
        yield word


def spans_of(text: str, phrases: Sequence[Phrase], most: int | None = None) -> list[Span]:
    """Where the phrases stand in the text, in order, none over another; of each phrase the first `most`."""
    small = _small(text)
    found = sorted(span for phrase in phrases for span in _first(_places(small, phrase), most))
    apart: list[Span] = []
    for start, end in found:
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart


def _small(text: str) -> str:
    """The text in small letters, with every character where it was."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _first(spans: Iterator[Span], most: int | None) -> Iterator[Span]:
    for count, span in enumerate(spans):
        if most is not None and count >= most:
            return
        yield span


def _places(small: str, phrase: Phrase) -> Iterator[Span]:
    first, *rest = phrase
    start = -1
    while first and (start := small.find(first, start + 1)) >= 0:
        end: int | None = start + len(first)
        if not _is_word(small, start, start + len(first)):
            continue
        for word in rest:
            end = _next_word(small, end or 0, word)
            if end is None:
                break
        if end is not None:
            yield start, end
            start = end - 1


def _next_word(small: str, position: int, word: str) -> int | None:
    """The end of `word` where it is the next word; None where another is."""
    while position < len(small) and not small.startswith(word, position):
        if _in_word(small[position]):
            return None
        position += 1
    end = position + len(word)
    return end if small.startswith(word, position) and _is_word(small, position, end) else None


def _is_word(small: str, start: int, end: int) -> bool:
    """Whether a word begins and ends there: the letters around it are not of the same word."""
    begins = start == 0 or not _in_word(small[start - 1]) or not _in_word(small[start])
    return begins and (end >= len(small) or not _in_word(small[end]) or not _in_word(small[end - 1]))


def _in_word(char: str) -> bool:
    return char.isalnum() or unicodedata.category(char)[0] == "M"


def pieces_of(text: str, spans: Sequence[Span], start: int = 0, end: int | None = None) -> list[Piece]:
    """The text between `start` and `end`, cut where hits begin and end."""
    end = len(text) if end is None else end
    marks = [(max(a, start), min(b, end)) for a, b in spans if a < end and b > start]
    edges = [start, *(edge for mark in marks for edge in mark), end]
    hits = set(marks)
    return [Piece(text=text[a:b], hit=(a, b) in hits) for a, b in pairwise(edges) if a < b]


def title_pieces(title: str, phrases: Sequence[Phrase]) -> list[Piece]:
    """A title with its hits; together the pieces are the title."""
    return pieces_of(title, spans_of(title, phrases)[:MAX_PIECES_OF_TITLE])


def snippets_of(text: str, phrases: Sequence[Phrase]) -> list[list[Piece]]:
    """Up to three places of a transcript with their hits, in their order. Each is a part of the text, word for word."""
    spans = spans_of(text, phrases, most=MAX_SNIPPETS * 4)
    shown: list[Span] = []
    for start, end in spans:
        if shown and start < shown[-1][1]:
            continue
        if len(shown) == MAX_SNIPPETS:
            break
        begin = _cut(text, max(shown[-1][1] if shown else 0, start - BEFORE), start)
        shown.append((begin, _cut(text, min(len(text), max(end, start + AFTER)), end)))
    return [pieces_of(text, spans, a, b) for a, b in shown]


def _cut(text: str, wanted: int, hit: int) -> int:
    """A place near `wanted` where a text may be cut: between words, if there is such a place on the way to the hit."""
    if wanted in (0, len(text)) or wanted == hit:
        return wanted
    towards = range(wanted, hit) if wanted < hit else range(wanted, hit, -1)
    for place in towards[:REACH]:
        if text[place - 1].isspace() != text[place].isspace():
            return place
    for place in towards:
        if not (text[place] in _JOINERS or text[place - 1] == "\u200d" or unicodedata.category(text[place])[0] == "M"):
            return place
    return hit
