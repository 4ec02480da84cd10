"""Retry and discard of failed imports, as the API, the command line and the scheduler use them."""

from streams.io.failed_imports import discard, due_retries, retry

__all__ = ["discard", "due_retries", "retry"]
