"""Print what the app of each role is set to, as JSON. A process of its own: Faust keeps its state per process."""

import json
import logging
import sys

from schemas.settings import load_settings
from streams.app import ROLES, build_app, claims_table
from streams.logs import set_up_logging
from streams.recovery import SafeRecovery

NAMES = (
    "id", "store", "datadir", "topic_allow_declare", "topic_disable_leader", "topic_partitions",
    "table_standby_replicas", "agent_supervisor", "broker_max_poll_interval", "broker_session_timeout",
    "broker_heartbeat_interval", "broker_commit_interval", "stream_wait_empty", "stream_buffer_maxsize",
    "producer_linger", "producer_request_timeout", "producer_acks", "producer_max_request_size",
    "consumer_max_fetch_size", "consumer_auto_offset_reset", "web_enabled", "processing_guarantee",
)  # fmt: skip


def main() -> None:
    """Print them."""
    settings = load_settings()
    set_up_logging(settings, "test")
    found = {}
    for role in ROLES:
        app = build_app(role, settings)
        found[role] = {name: str(getattr(app.conf, name)) for name in NAMES}
        found[role]["recovery"] = type(app.tables.recovery).__mro__[0].__name__
        assert isinstance(app.tables.recovery, SafeRecovery)
        if role == "dedup":
            table = claims_table(app, settings)
            found[role]["table"] = {name: str(value) for name, value in table.options.items()}
    found["loggers"] = {name: logging.getLogger(name).getEffectiveLevel() for name in ("aiokafka", "faust")}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
