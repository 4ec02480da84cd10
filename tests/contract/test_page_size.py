"""The built page: current, and light enough for a slow connection."""

from pathlib import Path

from ops import page

FIRST_LOAD_LIMIT = 250_000


def test_the_page_that_is_served_is_built_from_the_present_sources() -> None:
    assert page.fresh(), "The page is not built from the present sources: run `make setup`."


def test_a_first_visit_loads_less_than_250_kb_of_compressed_script() -> None:
    assert 10_000 < page.first_load() < FIRST_LOAD_LIMIT


def test_every_script_and_style_of_size_is_there_compressed() -> None:
    large = [
        each for each in (page.PAGE / "assets").iterdir() if each.suffix in {".js", ".css"} and _size(each) >= 1024
    ]
    assert large
    for each in large:
        for suffix in (".br", ".gz"):
            assert _size(each.with_name(each.name + suffix)) < _size(each)


def _size(path: Path) -> int:
    return path.stat().st_size
