"""Structured logs: JSON lines, or readable lines on a terminal. Nothing is logged while all is well."""

import logging
import sys
from typing import Any

import structlog

from schemas.settings import Settings

QUIET = ("aiokafka", "faust", "mode", "asyncio", "httpx2", "httpcore2", "openai", "uvicorn.access")
"""Chatty libraries. aiokafka below INFO costs a tenth of the speed."""


def _is_news(record: logging.LogRecord) -> bool:
    """False for what a young broker says while it makes its own topics: aiokafka asks again by itself."""
    return "GroupCoordinatorNotAvailableError" not in record.getMessage()


def set_up_logging(settings: Settings, role: str) -> None:
    """Configure structlog and the standard library alike; every line carries the role."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log_pretty or sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
