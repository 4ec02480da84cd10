"""Every metric name, each with a comment saying what it counts. Nobody else creates metrics."""

from prometheus_client import Counter, Gauge, Histogram

# Calls that reached an outcome. status: imported, updated, skipped, failed
CALLS_PROCESSED = Counter("import_calls_processed_total", "Calls that reached an outcome", ["platform", "status"])
# Accepted events the audit had to publish again. An alert watches it; it is expected to stay 0
CALLS_RECOVERED = Counter("import_calls_recovered_total", "Accepted events published again by the audit")
# Accepted events that have no outcome yet
QUEUE_DEPTH = Gauge("import_queue_depth", "Accepted events without an outcome yet", multiprocess_mode="livemax")
# Events a stage took in. result: next, done, dead
STAGE_EVENTS = Counter("import_stage_events_total", "Events a stage finished", ["stage", "result"])
# Seconds from taking an event to acknowledging it
STAGE_SECONDS = Histogram("import_stage_seconds", "Seconds an event spent in a stage", ["stage"])
# In-place tries after a transient fault. reason: the fault's own word
STAGE_RETRIES = Counter("import_stage_retries_total", "In-place tries after a transient fault", ["stage", "reason"])
# Dead letters. kind: config, transient, rejected, bug
DEAD_LETTERS = Counter("import_dead_letters_total", "Events sent to the dead letters", ["stage", "kind", "reason"])
# Requests at the doors. result: accepted, refused, repeated, unavailable
DOOR_REQUESTS = Counter("import_door_requests_total", "Requests at the ways in", ["door", "result"])
# Requests to vendors, speech to text included
API_REQUESTS = Counter("platform_api_requests_total", "Requests to vendors", ["platform", "endpoint", "status"])
API_LATENCY = Histogram("platform_api_latency_seconds", "Seconds a vendor took", ["platform", "endpoint"])
# Audio sent to the speech-to-text vendor, in seconds
AUDIO_SECONDS = Counter("import_audio_seconds_total", "Seconds of audio transcribed")
# What the vendor probably bills for it, in US dollars; audio whose price is not known is not in it
SPEECH_COST = Counter("import_speech_cost_dollars_total", "Estimated cost of speech to text in US dollars")
# Roles the watchdog ended because they stood still
STALLED_RESTARTS = Counter("import_stalled_restarts_total", "Workers restarted for standing still", ["role"])
# Imports that pulled from a source and ended. status: completed (all is listed and accepted), failed, cancelled
JOBS = Counter("import_jobs_total", "Imports from sources that ended", ["platform", "status"])
# Seconds from the first page of such an import to its last
JOB_SECONDS = Histogram(
    "import_job_duration_seconds", "Seconds an import from a source took", ["platform"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600),
)  # fmt: skip
# Calls that a sync found although the source's webhook should have brought them
FOUND_BY_POLL = Counter("import_calls_found_by_poll_total", "Calls that only a sync has found", ["platform"])
# Outgoing webhooks that were sent. status: delivered, retried (comes again), failed (given up), unkeepable
DELIVERIES = Counter("webhook_deliveries_total", "Outgoing webhooks", ["status"])
