"""This machine: bandwidth, caches, arithmetic and decode rates, predicted before they are measured.

`measure_machine` is what `k2repro measure` runs. The room may use torch; importing it does not.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2repro.measure.render import render_measurement
    from k2repro.measure.report import MachineReport, measure_machine

__all__ = ["MachineReport", "measure_machine", "render_measurement"]


def __getattr__(name: str) -> object:
    """Load the room when one of its names is first used."""
    if name == "render_measurement":
        from k2repro.measure.render import render_measurement

        return render_measurement
    if name in ("MachineReport", "measure_machine"):
        from k2repro.measure import report

        return {"MachineReport": report.MachineReport, "measure_machine": report.measure_machine}[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
