"""The HTTP side: uploads, webhooks, failed imports, jobs, the library. Nobody imports it but `ops`."""
