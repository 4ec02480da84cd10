"""What the API says of itself is published as it is, and the page is typed by nothing else."""

from ops import openapi


def test_the_published_description_and_the_types_of_the_page_are_those_of_the_application() -> None:
    assert openapi.stale() == []
