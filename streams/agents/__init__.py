"""One thin file per stage: which function, which ports, which window."""
