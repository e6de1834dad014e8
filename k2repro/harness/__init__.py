"""Benchmarks over a backend: which problems, the protocol, the run with its journal, rows and export."""
