"""The shared language: models, topics, outcomes, faults, metrics, settings. Imports nothing of ours and does no I/O."""
