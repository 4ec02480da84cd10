"""The picture of the stages: rates and health."""

from typing import Any

import pytest

from api.pipeline import STAGES, Sample, per_second, workers_of
from streams.audit import READS


def sample(at: float, done: int) -> Sample:
    """A sample in which every stage has done as much."""
    return Sample(at, dict.fromkeys(STAGES, done), dict.fromkeys(STAGES, 0), None)


def beat(role: str, *, fresh: bool = True, ready: bool = True, detail: str = "") -> dict[str, Any]:
    """A heartbeat as the database gives it."""
    return {"role": role, "fresh": fresh, "ready": ready, "detail": detail}


def test_a_rate_is_what_was_done_between_the_first_and_the_last_sample() -> None:
    assert per_second([sample(10, 100), sample(12, 130), sample(14, 200)], "dedup") == 25.0


def test_a_rate_is_never_negative_and_one_sample_has_none() -> None:
    assert per_second([sample(10, 100)], "dedup") == 0.0
    assert per_second([sample(10, 100), sample(12, 0)], "dedup") == 0.0


@pytest.mark.parametrize(
    ("beats", "workers", "healthy", "detail"),
    [
        ([], 0, False, "No worker has been heard of for 30 seconds. Start one."),
        ([beat("dedup")], 1, True, ""),
        ([beat("pipeline")], 0, False, "No worker has been heard of for 30 seconds. Start one."),
        ([beat("dedup", fresh=False)], 0, False, "No worker has been heard of for 30 seconds. Start one."),
        ([beat("dedup", ready=False, detail="the broker")], 1, False, "A worker waits: the broker."),
        ([beat("dedup"), beat("dedup", ready=False)], 2, True, "A worker waits: it is starting."),
    ],
)
def test_a_stage_is_healthy_when_one_of_its_workers_is_ready(
    beats: list[dict[str, Any]], workers: int, healthy: bool, detail: str
) -> None:
    assert workers_of("dedup", beats) == {"workers": workers, "healthy": healthy, "detail": detail}


def test_every_stage_reads_what_its_role_reads() -> None:
    for role, topics in STAGES.values():
        assert set(topics) <= set(READS[role])
