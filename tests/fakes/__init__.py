"""Stand-ins for the outside world: real servers and real files, made by the test run itself."""
