"""HTML becomes the text that a person reads. Pure, and never raises."""

import re
from html.parser import HTMLParser

_BREAKS = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table"})
_SILENT = frozenset({"script", "style", "head", "title"})


class _Words(HTMLParser):
    """The words of an HTML text, with a line's end where a block or a list item ends."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in _SILENT
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in _SILENT))
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.found.append(data)


def plain(html: str) -> str:
    """What a person reads in an HTML text; never its tags, and never what a script says."""
    words = _Words()
    try:
        words.feed(html)
        words.close()
    except AssertionError:  # how Python's parser gives up on sections like `<![foo[`
        words.found = [re.sub(r"</?[A-Za-z][^<>]*>", "\n", html)]
    lines = (re.sub(r"[ \t\r\f\v\xa0]+", " ", line).strip() for line in "".join(words.found).split("\n"))
    return re.sub(r"\n{2,}", "\n", "\n".join(lines)).strip()
