"""The fake vendors' common part, under one name. A vendor module is `tests/fakes/vendors/<source_app>.py`:

    SOURCE = "fathom"; KIND = "api_key"; CREDENTIAL = {"api_key": "fathom-fake-key"}
    LIMITS = (Rate(60, 60, remaining_header="RateLimit-Remaining", …),)          (optional)
    def refusal(kind, status, wait): return status, {"message": …}                 (optional: the vendor's error bodies)
    def external_id(call) -> str
    def routes(world) -> list[Route]: paths "/<real host>/<real path>"
    def webhook(world, call, secret, url) -> list[Posting]                         (optional)

`CREDENTIAL` of a source with OAuth holds only what is beside the tokens; `Vendors.credential(source)` adds fresh ones.
Addresses inside answers are the vendor's real ones, `https://host/…`.
"""

from tests.fakes.vendors.auth import issue, oauth_routes
from tests.fakes.vendors.media import TYPES, media_answer, media_url, recording_of
from tests.fakes.vendors.server import (
    Vendors,
    credential,
    deliver,
    external_id,
    modules,
    start_fake_vendors,
    webhook,
)  # fmt: skip
from tests.fakes.vendors.shapes import FakeCall, Fault, Line, Person, Posting, Rate, Seen, Slice, Token
from tests.fakes.vendors.world import (
    CLIENT_ID,
    CLIENT_SECRET,
    World,
    guard,
    page_of,
    refused,
    reply,
    seen_of,
)  # fmt: skip

__all__ = [
    "CLIENT_ID", "CLIENT_SECRET", "TYPES", "FakeCall", "Fault", "Line", "Person", "Posting", "Rate", "Seen", "Slice",
    "Token", "Vendors", "World", "credential", "deliver", "external_id", "guard", "issue", "media_answer", "media_url",
    "modules", "oauth_routes", "page_of", "recording_of", "refused", "reply", "seen_of", "start_fake_vendors",
    "webhook",
]  # fmt: skip
