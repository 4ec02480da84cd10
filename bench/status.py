"""Lists and job status with a large library: the API alone, one request after the other."""

import time
from uuid import UUID

from bench.chains import Chain, api_key, callstream, connected
from bench.ground import open_ground
from bench.http import Client
from bench.rounds import Loss, Numbers
from bench.stored import fill_recordings, known
from bench.values import Show, latencies
from ops.processes import HOST
from streams.io import clock

JOBS = 200
LARGE = 10_000
SMALL = 50
WARM_UP = 5
ADD_JOB = """
    INSERT INTO import_jobs (job_id, workspace_id, job_type, source_app, created_by, total_calls, created_at)
    VALUES ($1, $2, 'historical', 'generic', $3, $4, now() - $5 * interval '1 minute')
"""
ADD_CALLS = """
    INSERT INTO job_calls (workspace_id, job_id, source_app, external_id, status, event_id)
    SELECT $1, $2, 'generic', 'known-' || lpad(n::text, 7, '0'),
        (ARRAY['imported', 'imported', 'imported', 'skipped', 'pending'])[1 + n % 5], uuidv7()
    FROM generate_series($3::bigint, $4::bigint) AS n
"""


async def run(calls: int, requests: int, show: Show) -> Numbers:
    """Percentiles of each kind of request, after a few that do not count."""
    async with open_ground() as ground:
        chain = await callstream(ground, api=True)
        await fill_recordings(chain, calls)
        job = await fill_jobs(chain, min(LARGE, calls))
        await chain.start("api")
        client = Client(HOST, chain.settings.port)
        headers = {"authorization": f"Bearer {await api_key(chain)}"}
        found: Numbers = {}
        try:
            for name, path in paths(job, calls).items():
                taken = []
                for number in range(requests + WARM_UP):
                    began = time.monotonic()
                    status, answer = await client.request("GET", path, headers)
                    if status != 200 or (b'"items":[]' in answer):
                        raise Loss(f"GET {path} was answered {status}: {answer[:200]!r}")
                    if number >= WARM_UP:
                        taken.append(time.monotonic() - began)
                found[name] = latencies(taken)
                show(f"{name:<24} p50 {found[name]['p50_ms']} ms, p99 {found[name]['p99_ms']} ms")
        finally:
            client.close()
            await chain.stop("api")
        return {"calls": calls, "requests": found}


def paths(job: UUID, calls: int) -> dict[str, str]:
    """What is asked for, under a short name."""
    return {
        "imports": "/api/imports",
        "one import": f"/api/imports/{job}",
        "its calls": f"/api/imports/{job}/calls",
        "its pending calls": f"/api/imports/{job}/calls?status=pending",
        "calls": "/api/calls",
        "calls, rare word": f"/api/calls?q={calls // 2}",
        "calls, frequent word": "/api/calls?q=pricing",
        "calls, by source": "/api/calls?source_app=generic",
        "calls, by date": "/api/calls?from=2020-01-01",
    }


async def fill_jobs(chain: Chain, large: int) -> UUID:
    """Jobs with their calls; gives back the large one."""
    ground = chain.ground
    jobs = [clock.new_id() for _ in range(JOBS)]
    async with connected(chain.database_url) as connection:
        if not await connection.fetchval("SELECT 1 FROM recordings WHERE external_id = $1", known(large - 1)):
            raise Loss("The library was not filled in.")
        for number, job in enumerate(jobs):
            count = SMALL if number else large
            await connection.execute(ADD_JOB, job, ground.workspace_id, ground.user_id, count, number)
            await connection.execute(ADD_CALLS, ground.workspace_id, job, 0, count - 1)
        await connection.execute("VACUUM ANALYZE import_jobs, job_calls")
    return jobs[0]
