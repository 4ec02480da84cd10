"""A workspace full of things that nobody outside may see: a row in every table, and in every free text a word that
stands nowhere else. What leaks is found by that word, or by an id."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import obstore

from streams.io import clock
from tests.system.api_harness import Api
from tests.system.test_row_security import insert, rows_of

WORD = "zqforeign"
CHOSEN = {
    "role", "status", "state", "kind", "job_type", "phase", "held_for", "credential_type", "outcome", "model",
    "metadata_quality", "source_app", "platform", "language", "audio_sha256", "origin_topic", "plan", "window_zone",
    "event_type", "stage",
}  # fmt: skip
"""Text columns that hold one of a few words."""
JSON: Mapping[tuple[str, str], Any] = {
    ("recordings", "participants"): [{"name": f"{WORD}person", "email": f"{WORD}@calls.test", "phone": f"{WORD}phone"}],
    ("recordings", "segments"): [{"speaker": f"{WORD}speaker", "text": f"{WORD}said", "start_ms": 0, "end_ms": 9}],
    ("recordings", "source_metadata"): {"external_id": f"{WORD}call", "note": f"{WORD}note"},
    ("recordings", "media"): {"ref": f"{WORD}/file.mp3", "filename": f"{WORD}.mp3", "content_type": "audio/mpeg"},
    ("audit_log", "detail"): {"name": f"{WORD}detail"},
    ("outgoing_deliveries", "body"): {"type": "test", "data": {"title": f"{WORD}body"}},
    ("idempotency_keys", "response"): {"job_id": f"{WORD}response"},
    ("replays", "selection"): {"external_id": f"{WORD}selected"},
    ("import_jobs", "filters"): {"team": f"{WORD}filter"},
}


@dataclass
class Foreign:
    """The other workspace's things by the names that the API's paths give them."""

    workspace_id: UUID
    ids: dict[str, str] = field(default_factory=dict)
    admin_job_id: str = ""
    idempotency_key: str = ""

    def path(self, pattern: str) -> str:
        """A path with the other workspace's ids in it. Raises `KeyError` for a name that stands for nothing yet."""
        return re.sub(r"\{(\w+)\}", lambda found: self._id(pattern, found[1]), pattern)

    def _id(self, pattern: str, name: str) -> str:
        return self.admin_job_id if pattern.startswith("/admin/imports") and name == "job_id" else self.ids[name]

    def leaks(self, answer: bytes, *sent: str) -> list[str]:
        """What of theirs is in an answer and was not in the request."""
        found, asked = answer.decode("utf-8", "replace").lower(), " ".join(sent).lower()
        ids = {*self.ids.values(), self.admin_job_id, str(self.workspace_id)}
        known = {each for each in ids if len(each) == 36}
        words = set(re.findall(rf"{WORD}\w*", found))
        return sorted({each for each in known | words if each in found and each not in asked})


async def plant(api: Api, owner: asyncpg.Connection) -> Foreign:
    """Fill the application's own workspace. `owner`: a connection of the tables' owner."""
    rows = rows_of(api.workspace_id)
    del rows["workspaces"]
    rows["users"] |= {"issuer": "https://issuer.test"}
    rows["bulk_retries"] |= {"finished_at": clock.now()}  # or they would be gone on with
    rows["outgoing_deliveries"] |= {"status": "delivered"}
    for table, row in rows.items():
        await insert(owner, table, row)
    one_off = dict(rows["import_sources"], source_id=clock.new_id(), one_off=True)
    await insert(owner, "import_sources", one_off)
    admin_job = dict(rows["import_jobs"], job_id=clock.new_id(), source_id=one_off["source_id"])
    await insert(owner, "import_jobs", admin_job)
    await insert(owner, "job_calls", dict(rows["job_calls"], job_id=admin_job["job_id"]))
    job_id = rows["import_jobs"]["job_id"]
    await owner.execute("UPDATE failed_imports SET job_id = $1, original_value = $2", job_id, f'"{WORD}"'.encode())
    await _mark(owner, api.workspace_id)
    await obstore.put_async(api.ports.store, f"{WORD}/file.mp3", f"{WORD}sound".encode())
    ids = {
        "source_id": rows["import_sources"]["source_id"], "job_id": job_id, "replay_id": job_id,
        "call_id": rows["recordings"]["recording_id"], "user_id": rows["users"]["user_id"],
        "failed_import_id": rows["failed_imports"]["failed_import_id"], "key_id": rows["api_keys"]["api_key_id"],
        "endpoint_id": rows["webhook_endpoints"]["endpoint_id"], "bank_id": rows["banks"]["bank_id"],
        "subscription_id": rows["webhook_subscriptions"]["subscription_id"],
        "delivery_id": rows["outgoing_deliveries"]["delivery_id"], "vault_id": rows["vaults"]["vault_id"],
        "bulk_retry_id": rows["bulk_retries"]["bulk_retry_id"], "retry_id": rows["bulk_retries"]["bulk_retry_id"],
        "credential_id": rows["import_credentials"]["credential_id"], "platform": "generic",
    }  # fmt: skip
    key = f"{WORD}idempotency_keyskey"
    return Foreign(api.workspace_id, {k: str(v) for k, v in ids.items()}, str(admin_job["job_id"]), key)


async def _mark(owner: asyncpg.Connection, workspace_id: UUID) -> None:
    """The word in every free text of the workspace, whatever tables there are."""
    columns = await owner.fetch(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
        " JOIN pg_tables t ON t.schemaname = c.table_schema AND t.tablename = c.table_name"
        " WHERE c.table_schema = 'public' AND c.is_generated = 'NEVER' AND c.data_type IN ('text', 'json', 'jsonb')"
        " AND (c.table_name = 'users' OR EXISTS (SELECT FROM information_schema.columns w"
        " WHERE w.table_name = c.table_name AND w.column_name = 'workspace_id'))"
    )
    for table, column, kind in columns:
        mine = "workspace_id = $1"
        if table == "users":
            mine = "user_id IN (SELECT user_id FROM memberships WHERE workspace_id = $1)"
        if (value := JSON.get((table, column))) is not None:
            value = json.dumps(value)
        elif kind != "text" or column in CHOSEN:
            continue
        elif column == "external_id":
            value = f"{WORD}call"
        elif column == "url":
            value = f"https://{WORD}.test/hook"
        else:
            value = WORD + table + column
        unique = " || user_id" if (table, column) == ("users", "subject") else ""
        unique = " || source_id" if (table, column) == ("import_sources", "account_email") else unique
        await owner.execute(f"UPDATE {table} SET {column} = $2::{kind}{unique} WHERE {mine}", workspace_id, value)


async def state_of(owner: asyncpg.Connection, workspace_id: UUID) -> dict[str, tuple[int, str]]:
    """How many rows of the workspace each table holds, and a hash of them."""
    tables = await owner.fetch(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND column_name = 'workspace_id' ORDER BY table_name"
    )
    found = {}
    for (table,) in tables:
        found[table] = tuple(await owner.fetchrow(_hashed(table, "workspace_id = $1"), workspace_id))
    people = "user_id IN (SELECT user_id FROM memberships WHERE workspace_id = $1)"
    found["users"] = tuple(await owner.fetchrow(_hashed("users", people), workspace_id))
    return found


def _hashed(table: str, which: str) -> str:
    return f"SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))) FROM {table} t WHERE {which}"
