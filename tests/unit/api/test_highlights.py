"""What a query means, and where that stands in a text."""

import pytest

from api.highlights import MAX_SNIPPETS, Phrase, Piece, phrases_of, snippets_of, spans_of, title_pieces


def marked(pieces: list[Piece]) -> str:
    """Pieces as one text, hits in brackets."""
    return "".join(f"[{piece.text}]" if piece.hit else piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("tsquery", "phrases"),
    [
        ("", []),
        ("'plan'", [("plan",)]),
        ("'weekly' & 'plan'", [("weekly",), ("plan",)]),
        ("'a' | 'b'", [("a",), ("b",)]),
        ("'weekly' <-> 'plan' & 'x'", [("weekly", "plan"), ("x",)]),
        ("'a' & !'b'", [("a",)]),
        ("!'a'", []),
        ("'a' & !( 'b' <-> 'c' ) & 'd'", [("a",), ("d",)]),
        ("'a' & !!'b'", [("a",)]),
        ("'well-known' <-> 'well' <-> 'known'", [("well-known",)]),
        ("'a' <-> 'well-known' <-> 'well' <-> 'known' <-> 'b'", [("a", "well-known", "b")]),
        ("'x.com/a' <-> 'x.com' <-> '/a'", [("x.com/a",)]),
        ("'o''brien'", [("o'brien",)]),
        (r"'a\\b'", [("a\\b",)]),
        ("'a' <2> 'b'", [("a",), ("b",)]),
        ("'a':*", [("a",)]),
        ("'a' & 'a'", [("a",)]),
    ],
)
def test_a_query_says_which_words_are_wanted(tsquery: str, phrases: list[Phrase]) -> None:
    assert phrases_of(tsquery) == phrases


@pytest.mark.parametrize(
    ("title", "phrases", "expected"),
    [
        ("Plan the plan, PLAN!", [("plan",)], "[Plan] the [plan], [PLAN]!"),
        ("Planning", [("plan",)], "Planning"),
        ("don't", [("don", "t")], "[don't]"),
        ("good  morning, good evening", [("good", "morning")], "[good  morning], good evening"),
        ("good grey morning", [("good", "morning")], "good grey morning"),
        ("a a b", [("a", "b")], "a [a b]"),
        ("Straße ÄPFEL", [("äpfel",)], "Straße [ÄPFEL]"),
        ("İstanbul plan", [("plan",)], "İstanbul [plan]"),
        ("👩‍👩‍👧 plan 🎉plan🎉", [("plan",)], "👩‍👩‍👧 [plan] 🎉[plan]🎉"),
        ("שלום עולם", [("עולם",)], "שלום [עולם]"),
        ("الخطة، اليوم", [("الخطة",)], "[الخطة]، اليوم"),
        ("cafe\u0301 cafe", [("cafe",)], "cafe\u0301 [cafe]"),
        ("version 3.5 and 35", [("3.5",)], "version [3.5] and 35"),
        ("<b>plan</b> & 'x'", [("plan",)], "<b>[plan]</b> & 'x'"),
        ("one two three", [("one", "two"), ("two", "three")], "[one two three]"),
        ("", [("a",)], ""),
        ("a" * 50, [("a",)], "a" * 50),
    ],
)
def test_hits_are_whole_words_whatever_stands_around_them(title: str, phrases: list[Phrase], expected: str) -> None:
    assert marked(title_pieces(title, phrases)) == expected


def test_a_snippet_begins_and_ends_between_words() -> None:
    text = "lorem ipsum dolor " * 20 + "needle " + "sit amet consectetur " * 20
    [[before, hit, after]] = snippets_of(text, [("needle",)])
    assert (hit.text, hit.hit) == ("needle", True)
    assert before.text.split()[0] in ("lorem", "ipsum", "dolor")
    assert after.text.split()[-1] in ("sit", "amet", "consectetur")


def test_hits_near_each_other_share_a_snippet() -> None:
    [snippet] = snippets_of("plan a plan and a plan", [("plan",)])
    assert marked(snippet) == "[plan] a [plan] and a [plan]"


def test_every_word_of_a_query_may_be_shown() -> None:
    """One that stands a hundred times before leaves room for the other."""
    text = "often " * 12 + "x " * 300 + "seldom"
    assert any("[seldom]" in marked(each) for each in snippets_of(text, [("often",), ("seldom",)]))


def test_there_are_three_snippets_at_most() -> None:
    assert len(snippets_of(("plan " + "x " * 300) * 9, [("plan",)])) == MAX_SNIPPETS


def test_no_emoji_is_torn_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    text = family * 200 + " plan " + family * 200
    [snippet] = snippets_of(text, [("plan",)])
    whole = "".join(piece.text for piece in snippet)
    assert whole.replace(family, "").strip() == "plan"


def test_spans_never_lie_over_each_other() -> None:
    assert spans_of("a b a b a", [("a", "b"), ("b", "a"), ("a",)]) == [(0, 9)]
