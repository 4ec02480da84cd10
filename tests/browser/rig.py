"""People at the Import Hub: each in a browser of their own, in a workspace of their own, on one running stack."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from re import Pattern
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Playwright,
    Response,
    ViewportSize,
    async_playwright,
    expect,
)

from api import auth
from streams.io import clock
from streams.io.store import open_pool
from tests.browser.chromium import find_chromium
from tests.fakes.receiver import Receiver, receiving
from tests.fakes.vendors.core import CLIENT_ID, CLIENT_SECRET, Vendors
from tests.servers import Servers
from tests.stack import Stack, start_stack, until
from tests.system.sources_harness import OAUTH

PATIENCE_MS = 60_000
"""How long a test looks for what a person should see. It only ends a test that would hang; it measures nothing."""
expect.set_options(timeout=PATIENCE_MS)
ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
SHOTS_OF_FAILURES = ROOT / "build" / "browser"
SETTLED = """
() => !document.querySelector('[aria-busy=true]')
    && ![...document.querySelectorAll('[role=status]')].some(each => /^(Loading|Searching)/.test(each.textContent))
"""
GO = """
path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate', {state: {}})); }
"""
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


async def launch(playwright: Playwright) -> Browser:
    """The browser, without a window."""
    found = find_chromium()
    env: dict[str, str | float | bool] = {**os.environ, **found.env}
    return await playwright.chromium.launch(executable_path=found.path, args=list(FLAGS), env=env)


@asynccontextmanager
async def open_hub(folder: Path, servers: Servers, vendors: Vendors) -> AsyncIterator["Hub"]:
    """callstream as a whole on a database of its own, its sources turned to the stand-ins, and a browser."""
    async with receiving() as receiver:
        stack = await asyncio.to_thread(_start, folder, servers, vendors, receiver)
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                try:
                    yield Hub(stack, vendors, receiver, browser)
                finally:
                    await browser.close()
        finally:
            await stack.close_pools()
            await asyncio.to_thread(stack.stop)


def _start(folder: Path, servers: Servers, vendors: Vendors, receiver: Receiver) -> Stack:
    clients = {name: {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} for name in OAUTH}
    env = {
        "CALLSTREAM_OAUTH_CLIENTS": json.dumps(clients),
        "CALLSTREAM_MEDIA_ALLOW_HOSTS": urlsplit(vendors.origin).netloc,
        "CALLSTREAM_WEBHOOK_ALLOW_HOSTS": receiver.host,
        "CALLSTREAM_FIRST_SYNC_DAYS": "30",
        "CALLSTREAM_PULL_SLICE_SECONDS": "3",
    }
    return start_stack(folder, servers["kafka"], servers=servers, vendor_origin=vendors.origin, env=env)


@dataclass
class Person:
    """Somebody at a browser. `complaints`: what the page or the browser found wrong; a test that expects some takes
    them out."""

    name: str
    workspace_id: UUID
    user_id: UUID
    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> Page:
        """Go to an address of the page."""
        await self.page.goto(self.url + path)
        return self.page

    async def api(self, method: str, path: str, **body: Any) -> Any:
        """A request of this person beside the page, with their cookie, as a page of ours would send it."""
        sent = await self.context.request.fetch(
            self.url + path, method=method, headers={"Origin": self.url}, **({"data": body} if body else {})
        )
        assert sent.ok, f"{method} {path}: {sent.status} {await sent.text()}"
        return await sent.json() if sent.status != 204 else None

    async def connect(self, platform: str, credential: Mapping[str, Any]) -> dict[str, Any]:
        """A source, connected without a click: by the form's way, or with tokens by signing in at the stand-in. Its
        first sync has begun."""
        if "access_token" in credential:
            begun = await self.api("GET", f"/api/oauth/{platform}/start")
            await self.page.goto(begun["authorize_url"])
            await self.page.wait_for_url("**/?connected=*")
            found = (await self.api("GET", "/api/sources"))["items"]
            return next(each for each in found if each["platform"] == platform)
        made: dict[str, Any] = await self.api("POST", "/api/sources", platform=platform, fields=dict(credential))
        return made

    async def upload(self, *files: tuple[str, bytes]) -> list[dict[str, Any]]:
        """Files, uploaded beside the page one by one; what the API says of each."""
        said = []
        for name, body in files:
            file = {"name": name, "mimeType": "application/octet-stream", "buffer": body}
            sent = await self.context.request.post(
                self.url + "/api/uploads", headers={"Origin": self.url}, multipart={"file": file}
            )
            assert sent.ok, await sent.text()
            said.append((await sent.json())["calls"][0])
        return said

    async def settled(self, path: str, *, within: bool = False) -> Page:
        """Go to an address and wait until nothing of it is loading any more. `within`: as a link of the page does."""
        page = self.page
        if within:
            await page.evaluate(GO, path)
        else:
            await self.open(path)
        await page.locator("h1").first.wait_for()  # under a dialog it has no role
        await page.wait_for_function(SETTLED)
        return page

    async def at_rest(self) -> bool | None:
        """Whether all imports of the workspace are over."""
        jobs = (await self.api("GET", "/api/imports?limit=100"))["items"]
        return all(job["status"] not in {"pending", "counting", "in_progress"} for job in jobs) or None

    def card(self, name: str) -> Locator:
        """The card of a source on the Hub."""
        return self.page.get_by_role("article", name=name)

    def toast(self, words: str | Pattern[str]) -> Locator:
        """A short note at the edge of the page."""
        return self.page.locator("[data-sonner-toast]").filter(has_text=words).first

    def row(self, words: str | Pattern[str]) -> Locator:
        """A row of a list."""
        return self.page.get_by_role("row").filter(has_text=words).first

    def button(self, name: str | Pattern[str], *, exact: bool = False) -> Locator:
        """A button, by its words."""
        return self.page.get_by_role("button", name=name, exact=exact)

    async def serious_faults(self, *rules: str) -> list[str]:
        """What axe finds wrong for people with impairments, without what it calls minor; by all its rules, or these."""
        if await self.page.evaluate("typeof axe === 'undefined'"):
            await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        found = await self.page.evaluate("how => axe.run(document, {resultTypes: ['violations'], ...how})", only)
        return [
            f"{each['id']}: {each['help']} at {', '.join(str(node['target']) for node in each['nodes'][:3])}"
            for each in found["violations"]
            if each["impact"] in {"serious", "critical"}
        ]


@dataclass
class Hub:
    """A running callstream with stand-ins for its vendors, somebody who receives its webhooks, and a browser."""

    stack: Stack
    vendors: Vendors
    receiver: Receiver
    browser: Browser

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.stack.api_url

    def seed(self, source: str, count: int, days: float = 5.0, *, again: bool = False) -> None:
        """Calls of the last days at a vendor. Those it had before are gone, unless `again`."""
        world = self.vendors.world
        if not again:
            world.calls[source] = []
        world.seed(source, count, world.now() - timedelta(days=days), world.now() - timedelta(hours=3), Random(count))

    async def workspace(self, name: str) -> UUID:
        """A new workspace without anybody."""
        workspace_id = clock.new_id()
        pool = await self.stack.pool()
        await pool.execute("INSERT INTO workspaces (workspace_id, name) VALUES ($1, $2)", workspace_id, name)
        return workspace_id

    async def member(self, workspace_id: UUID, name: str, role: str) -> UUID:
        """Somebody in a workspace, with a bank of their own."""
        user_id, bank_id = clock.new_id(), clock.new_id()
        pool = await self.stack.pool()
        await pool.execute("INSERT INTO users (user_id, name) VALUES ($1, $2)", user_id, name)
        await pool.execute("INSERT INTO memberships VALUES ($1, $2, $3)", workspace_id, user_id, role)
        await pool.execute(
            "INSERT INTO banks (bank_id, workspace_id, name, personal_of) VALUES ($1, $2, 'My calls', $3)",
            bank_id, workspace_id, user_id,
        )  # fmt: skip
        return user_id

    @asynccontextmanager
    async def person(
        self, name: str = "Mila Berg", role: str = "owner", *, workspace_id: UUID | None = None,
        user_id: UUID | None = None,
        workspace_name: str = "Berg & Sons", **how: Any,
    ) -> AsyncIterator[Person]:  # fmt: skip
        """Somebody who is signed in by a link, in a fresh browser and, unless told, a fresh workspace.

        `how` goes to the browser context: `viewport`, `color_scheme`, `locale`, `timezone_id`, `reduced_motion`. What
        the page complains about fails the test.
        """
        workspace_id = workspace_id or await self.workspace(workspace_name)
        user_id = user_id or await self.member(workspace_id, name, role)
        settings: dict[str, Any] = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Berlin"}
        context = await self.browser.new_context(**{**settings, **how})
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        person = Person(name, workspace_id, user_id, context, page, self.url)
        listen(page, person.complaints)
        try:
            await page.goto(self.url + await self.link(workspace_id, user_id))
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(self.url + "/")
            yield person
            assert not person.complaints, person.complaints
        except BaseException:
            SHOTS_OF_FAILURES.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=SHOTS_OF_FAILURES / f"{name.replace(' ', '-')}-{user_id}.png", full_page=True)
            raise
        finally:
            await context.close()

    async def link(self, workspace_id: UUID, user_id: UUID) -> str:
        """A one-time sign-in link, as `callstream sign-in` prints it."""
        pool = await open_pool(self.stack.app_url, size=1)
        try:
            return await auth.create_sign_in_link(pool, workspace_id, user_id)
        finally:
            await pool.close()

    async def until(self, probe: Callable[[], Any], what: str) -> Any:
        """Ask until there is an answer."""
        return await until(probe, 120, what)

    async def answers(self) -> bool | None:
        """Whether the API is there."""
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                return (await client.get(f"{self.url}/health/live")).status_code == 200 or None
        except httpx2.HTTPError:
            return None


def listen(page: Page, complaints: list[str]) -> None:
    """Note whatever the browser finds wrong: errors of scripts, a broken policy, answers that are our own fault."""

    def said(message: ConsoleMessage) -> None:
        # A refused request is the server's answer and shown to the person; the browser writes it down all the same.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            complaints.append(f"{message.type}: {message.text}")

    def answered(response: Response) -> None:
        if response.status == 500:
            complaints.append(f"500: {response.request.method} {response.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    page.on("response", answered)
