"""Every address of the page."""

SETTINGS = ("keys", "webhooks-in", "webhooks", "slack", "window", "usage", "people", "audit", "appearance")
EVERYWHERE = (
    "/", "/?upload=1", "/connect", "/connect/fireflies", "/connect/zoom", "/connect/generic", "/jobs", "/failed",
    "/failed?view=calls", "/calls", "/calls?q=planning", "/coverage", "/replay", "/pipeline", "/admin", "/admin?new=1",
    *(f"/settings/{each}" for each in SETTINGS), "/nowhere",
)  # fmt: skip
