"""How the built page is served: addresses, files, compression and keeping."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from api import pages

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A page that was built."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>hub</title>")
    (tmp_path / "theme.js").write_text("theme")
    (tmp_path / "stamp").write_text("secretless")
    for name in ("index-ab12.js", "index-ab12.js.br", "index-ab12.js.gz", "small-1.css"):
        (tmp_path / "assets" / name).write_text(name)
    return tmp_path


@pytest.fixture
def client(built: Path) -> Iterator[TestClient]:
    """Asks the fallback alone."""
    app = Starlette()
    app.router.default = pages.page_or(PlainTextResponse("no route", 404), built)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/jobs", "/jobs/0197", "/settings/keys", "/connect/zoom", "/admin", "/nowhere"])
def test_every_address_of_the_page_gets_the_page_and_its_policy(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.text) == (200, "<title>hub</title>")
    assert answer.headers["cache-control"] == "no-store"
    assert "script-src 'self';" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/api/nope", "/api", "/graphql", "/webhooks/x/y", "/admin/imports/1/x", "/assets/gone.js", "/docs/x"]
)
def test_addresses_of_programs_never_get_the_page(client: TestClient, path: str) -> None:
    assert client.get(path, headers=BROWSER).status_code == 404


def test_a_program_that_asks_for_json_is_told_that_there_is_nothing(client: TestClient) -> None:
    assert client.get("/jobs", headers={"accept": "application/json"}).status_code == 404
    assert client.post("/jobs", headers=BROWSER).status_code == 404


def test_files_beside_the_page_are_served_and_nothing_else_of_its_folder(client: TestClient) -> None:
    answer = client.get("/theme.js")
    assert (answer.text, answer.headers["cache-control"]) == ("theme", "no-cache")
    for path in ("/stamp", "/../pages.py", "/.vite/manifest.json"):
        assert client.get(path, headers={"accept": "*/*"}).status_code == 404


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    answer = pages.page(tmp_path)
    assert answer.status_code == 503
    assert b"make setup" in answer.body


@pytest.mark.parametrize(
    ("accepts", "sent"),
    [("gzip, deflate, br, zstd", "br"), ("gzip;q=0.8", "gzip"), ("br;q=0, gzip", "gzip"), ("", None), ("brx", None)],
)
def test_a_file_is_sent_as_the_browser_takes_it_and_kept_for_good(built: Path, accepts: str, sent: str | None) -> None:
    answer = pages.asset("index-ab12.js", accepts, built)
    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("name", ["gone.js", "../index.html", "..", ""])
def test_a_file_that_is_not_an_asset_is_not_found(built: Path, name: str) -> None:
    with pytest.raises(HTTPException):
        pages.asset(name, "br", built)
