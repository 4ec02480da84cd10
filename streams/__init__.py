"""The pipeline: stages, agents, the one runner, audit and watchdog."""
