"""This machine: bandwidth, caches, arithmetic and decode rates, predicted before they are measured.

`report.measure_machine` is what `k2repro measure` runs. The room may use torch; importing it does not.
"""
