"""The stream measured: callstream beside a naive Faust chain and a bare aiokafka chain. `python -m bench --help`."""
