"""`make chaos`: break everything that can break while calls flow, then account for every event. See docs/chaos.md."""
