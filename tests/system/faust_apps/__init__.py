"""Small Faust workers that tests run as processes, because Faust keeps its state per process."""
