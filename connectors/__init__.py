"""One flat file per source. They see `schemas` and the small shared modules here, nothing else of ours.

Start at `contract.py` (the types), `registry.py` (the list) and `grain.py` (a plain example). What connectors share:

    reaching a source   http wire answers budget oauth auths kept sftp ssh soap graphql
    listing             listing paging pacing
    reading payloads    payloads fields people utterances spoken timeparse millis hypertext filenames sidecars
    transcript files    transcripts captions
    webhooks            signatures standard_webhooks hmac_signatures jwt_signatures

A file that belongs to a source (`gong_pages`, `five9_files`; `crm` to HubSpot, `meetings` to Google Meet, `videos` to
YouTube) is that source's alone: what would not fit into 230 lines.
"""
