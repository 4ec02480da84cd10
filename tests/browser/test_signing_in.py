"""A person opens the link that was printed, and is in."""

import pytest

from tests.browser.rig import Hub

pytestmark = pytest.mark.browser


async def test_a_sign_in_link_opened_in_a_browser_signs_in(hub: Hub) -> None:
    async with hub.person("Mila Berg") as mila:
        session = await mila.api("GET", "/api/session")
        assert session["name"] == "Mila Berg"
        assert session["workspace_name"] == "Berg & Sons"
