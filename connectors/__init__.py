"""One flat file per source. They see `schemas` and the small shared modules here, nothing else of ours."""
