"""Five9: recordings as files on the customer's SFTP server, with what their names, the files beside them and a report
say. Vendor pages: https://documentation.five9.com, checked November 2025.

Five9 puts recordings there by itself and tells nobody, so they are looked for. Payload: `file` (name, folder, size,
time), the `pattern` and `zone` its name is read with, `sidecar` (the file beside it, word for word) and `report` (its
row). There are no transcripts. A recording's id is the one in its name, else session id and name, else its path.
"""

import json
import mimetypes
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors import five9_reports as reports
from connectors.contract import (
    Account,
    Api,
    Auth,
    Connector,
    Field,
    Found,
    Item,
    Page,
    Pull,
    Recording,
    Window,
)  # fmt: skip
from connectors.filenames import read, sound_of
from connectors.five9_calls import ZONE, external_id_of, facts_of, to_call
from connectors.five9_files import (
    PATTERN,
    ROOT,
    Setup,
    address_of,
    days_around,
    days_of,
    is_whole,
    items_in,
    setup_of,
    shown,
    sidecar_of,
    written_of,
)  # fmt: skip
from connectors.listing import is_in
from connectors.sftp import Sftp, below, chunks, look_at, sftp_of, walk
from connectors.ssh import FIELDS, server_of
from schemas.faults import ConfigFault, CursorFault, MissingFault, TransientFault

PAGE = 100
FOLDERS = 100
"""How many folders a page looks into at most."""
LOOKED_AT = 20
OVERLAP = timedelta(days=7)
"""How late a delivery may come and still be found by a sync (memory)."""


async def validate(api: Api) -> Account:
    """Open the folder, see whether the pattern fits what lies there, and run the report."""
    setup, (host, port, user) = setup_of(api), server_of(api.credential)
    with_report = reports.wanted(api.credential)
    names = await _some_names(await sftp_of(api, "Five9"), setup)
    if names and not any(read(setup.pattern, name, setup.zone) for name in names):
        seen = f"The pattern fits none of the recordings that were looked at, for example “{names[-1][:200]}”."
        raise ConfigFault("pattern_does_not_fit", f"{seen} Correct it and connect again.")
    label = f"{user}@{host}{'' if port == 22 else f':{port}'}{setup.root}"
    if not with_report:
        return Account(label, account_id=label)
    await reports.check(api)
    return Account(label, account_id=api.credential["report_user"].strip())


async def _some_names(sftp: Sftp, setup: Setup) -> list[str]:
    """The paths of a few recordings; none from a folder that is still empty."""
    names: list[str] = []
    looked = 0
    async with aclosing(walk(sftp, setup.root)) as folders:
        async for folder, files in folders:
            here = [shown("/".join((*folder, file.name))) for file in files if sound_of(file.name)]
            names, looked = names + here[-LOOKED_AT:], looked + 1
            if len(names) >= LOOKED_AT or looked >= FOLDERS:
                break
    return names


async def list_page(api: Api, window: Window, cursor: str | None) -> Page:
    """The next recordings in the order of their paths. A recording belongs where its name says that it began; without
    such a name, where the file was last written."""
    setup, sftp, looked, items = setup_of(api), await sftp_of(api, "Five9"), 0, list[Item]()
    first, after = _place(cursor)
    campaign = window.filters.get("campaign", "").strip().casefold()
    async with aclosing(walk(sftp, setup.root, first, days_of(setup, window))) as folders:
        async for folder, files in folders:
            last = after if folder == first else ""
            if looked >= FOLDERS:
                return Page(items, json.dumps([folder, last]))
            looked += 1
            for item, fields in items_in(setup, folder, files, api.now, last):
                if len(items) >= PAGE:
                    return Page(items, json.dumps([folder, last]))
                if is_in(window, item.started_at) and campaign in ("", fields.get("campaign", "").casefold()):
                    items.append(item)
                last = item.data["name"]
    return Page(items, None)


def _place(cursor: str | None) -> tuple[tuple[str, ...], str]:
    """The folder and the name after which a page begins."""
    try:
        folder, after = json.loads(cursor) if cursor else ((), "")
        return tuple(map(str, folder)), str(after)
    except (ValueError, TypeError):
        sentence = "The place in Five9's list of recordings is not known any more. It is begun again."
        raise CursorFault("cursor_unreadable", sentence) from None


async def find(api: Api, external_id: str) -> Item:
    """The recording with this id, wherever it lies by now."""
    setup, sftp = setup_of(api), await sftp_of(api, "Five9")
    async with aclosing(walk(sftp, setup.root, enter=days_around(setup, external_id))) as folders:
        async for folder, files in folders:
            for item, _ in items_in(setup, folder, files, api.now):
                if item.external_id == external_id:
                    return item
    raise MissingFault("not_at_source", "This recording is not on Five9's SFTP server, or not any more.")


async def fetch(api: Api, item: Item) -> Found:
    """The file as it is now, the one beside it, and its row in the report."""
    setup, sftp, data = setup_of(api), await sftp_of(api, "Five9"), item.data
    path = "/".join(part for part in (data["folder"], data["name"]) if part)
    file, name = await look_at(sftp, below(setup.root, path)), shown(data["name"])
    about = {"name": name, "folder": shown(data["folder"]), "size_bytes": file.size, "modified_at": written_of(file)}
    payload: dict[str, Any] = {"file": about, "pattern": setup.text, "zone": setup.zone.key, "sidecar": None}
    recording = Recording(address_of(api, path), name, mimetypes.guess_type(name.lower())[0], authorised=True)
    if not is_whole(api.now, file, data):
        return Found(payload, False, recording, waits_for="Five9 is still writing this recording.")
    payload |= {"sidecar": await sidecar_of(sftp, setup, data), "report": None}
    if reports.wanted(api.credential):
        facts, began = facts_of(payload), item.started_at or api.now
        payload["report"] = await reports.row_of(api, facts.ids, facts.numbers, facts.start or began, setup.zone)
        if payload["report"] is None and api.now - began < reports.LAG:
            return Found(payload, False, recording, waits_for="Five9's report does not hold this call yet.")
    return Found(payload, False, recording)


async def download(api: Api, recording: Recording) -> AsyncIterator[bytes]:
    """The content of a recording. Raises `TransientFault` if it changed meanwhile."""
    setup, sftp = setup_of(api), await sftp_of(api, "Five9")
    path = below(setup.root, unquote(urlsplit(recording.url).path, errors="surrogateescape"))
    before, size = await look_at(sftp, path), 0
    async with aclosing(chunks(sftp, path, before.size + 1)) as parts:
        async for chunk in parts:
            size += len(chunk)
            yield chunk
    if size != before.size or await look_at(sftp, path) != before:
        sentence = "The recording was still being written while it was read. It is tried again by itself."
        raise TransientFault("recording_unfinished", sentence)


FIVE9 = Connector(
    source_app="five9",
    display_name="Five9",
    to_call=to_call,
    external_id_of=external_id_of,
    auths=(
        Auth(
            "password",
            reports.headers,
            (
                *FIELDS,
                Field("folder", "Folder of the recordings", secret=False, required=False, default=ROOT,
                      help="As the user sees it on the server; folders inside it are looked into."),
                Field("pattern", "Pattern of the file names", secret=False, required=False, default=PATTERN,
                      help="As your domain names its recordings. Put / between folders."),
                Field("zone", "Time zone of names and report", secret=False, required=False, default=ZONE,
                      help="Of your domain at Five9, like America/New_York."),
                *reports.FIELDS,
            ),
            instructions="Have Five9 deliver recordings by SFTP. Give the server, a user who may read the folder, and "
            "the pattern by which your domain names the files. A report adds what the names do not say.",
        ),
    ),
    validate=validate,
    pull=Pull(
        list_page=list_page, fetch=fetch, find=find, overlap=OVERLAP, spends=reports.SPENDS, download=download,
        filters=(Field("campaign", "Campaign", secret=False, required=False, help="As in the file names."),),
        gives_up="It was still being written, or missing in the report, after two days of trying.",
    ),
    limits=reports.LIMITS,
    complaint=reports.complaint,
    docs_url="https://documentation.five9.com",
)  # fmt: skip
