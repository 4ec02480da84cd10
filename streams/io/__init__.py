"""Ports to the outside: Kafka (bus), PostgreSQL (store), media, speech to text, clock. Imports only `schemas`."""
