"""Whatever the text and the query: nothing is lost, nothing is added, and what is marked was searched for."""

from hypothesis import given
from hypothesis import strategies as st

from api.highlights import phrases_of, snippets_of, spans_of, title_pieces

WORDS = st.sampled_from(
    ["a", "plan", "İx", "ß", "don't", "well-known", "שלום", "👩‍👧", "e\u0301", "3.5", "会議", "<b>", "\n"]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=60).map(" ".join))
PHRASES = st.lists(
    st.lists(st.one_of(WORDS, st.text(min_size=1, max_size=4)), min_size=1, max_size=3).map(tuple), max_size=4
)


def in_small(text: str) -> str:
    """In small letters, with every character where it was."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


@given(TEXTS, PHRASES)
def test_the_pieces_of_a_title_are_the_title(text: str, phrases: list[tuple[str, ...]]) -> None:
    pieces = title_pieces(text, phrases)
    assert "".join(piece.text for piece in pieces) == text
    assert all(piece.text for piece in pieces)


@given(TEXTS, PHRASES)
def test_snippets_are_parts_of_the_text_in_its_order_with_a_hit_in_each(
    text: str, phrases: list[tuple[str, ...]]
) -> None:
    position = 0
    for snippet in snippets_of(text, phrases):
        whole = "".join(piece.text for piece in snippet)
        position = text.index(whole, position) + len(whole)
        assert any(piece.hit for piece in snippet)


@given(TEXTS, st.lists(st.text(min_size=1, max_size=4).map(lambda word: (in_small(word),)), min_size=1, max_size=3))
def test_what_is_marked_is_what_was_searched_for(text: str, phrases: list[tuple[str]]) -> None:
    small = in_small(text)
    for start, end in spans_of(text, phrases):
        assert any(word in small[start:end] for (word,) in phrases)


@given(st.text(max_size=80))
def test_no_query_is_too_odd(tsquery: str) -> None:
    for phrase in phrases_of(tsquery):
        assert phrase
