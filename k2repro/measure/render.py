"""A measurement as text for the terminal."""

from k2repro.measure.caches import CpuCache
from k2repro.measure.machine import MeasuredMachine
from k2repro.measure.report import MachineReport

# Cores used by others above which a measurement should not be trusted.
_BUSY = 0.15


def render_measurement(report: MachineReport) -> str:
    """The machine, then predicted beside measured, then what it means; plain text."""
    return "\n".join([*_describe(report.machine), "", *_table(report), "", *_summary(report)])


def _describe(machine: MeasuredMachine) -> list[str]:
    largest = max(result.megabytes for result in machine.bandwidth)
    from_memory = [r for r in machine.bandwidth if r.megabytes == largest]
    rates = machine.matrix_rates
    bf16 = "multiplied by the hardware" if rates.bf16_is_real else "emulated, so not measured"
    flags = ", ".join(rates.flags) or "no bf16 instructions listed"
    lines = [
        f"{machine.name}, {machine.memory_gb:.0f} GB, measured {machine.measured_at}",
        "",
        f"memory bandwidth (arrays of {largest:.0f} MB), GB/s: best, median",
    ]
    lines += [f"  {r.kernel:<12} {r.best_gbs:7.1f} {r.median_gbs:7.1f}" for r in from_memory]
    lines += ["caches: " + (", ".join(map(_cache, machine.caches)) or "not declared")]
    lines += [
        f"  bandwidth falls from {knee.before_gbs:.0f} to {knee.after_gbs:.0f} GB/s beyond "
        f"{_size(knee.size_bytes)}"
        for knee in machine.knees
    ]
    lines += [
        f"matrix products: fp32 {rates.fp32_gflops:.0f} GFLOP/s, bf16 "
        f"{rates.bf16_gflops:.0f} ({bf16}; {flags})"
    ]
    return lines


def _cache(cache: CpuCache) -> str:
    shared = f", shared by {cache.shared_by}" if cache.shared_by > 1 else ""
    return f"L{cache.level} {_size(cache.size_bytes)}{shared}"


def _size(size: float) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def _table(report: MachineReport) -> list[str]:
    head = (
        f"{'model':<18} {'format':<6} {'GB/token':>8} {'predicted':>10} {'80 % interval':>17} "
        f"{'measured':>9} {'error':>7} {'of read':>8}"
    )
    lines = [head, "-" * len(head)]
    for row in report.rows:
        interval = f"{float(row['predicted_low']):.4g} .. {float(row['predicted_high']):.4g}"
        lines.append(
            f"{row['model']:<18} {row['precision']:<6} {float(row['weight_read_gb']):>8.3f} "
            f"{float(row['predicted_tok_s']):>10.4g} {interval:>17} "
            f"{float(row['tok_s_per_user']):>9.4g} {float(row['error_percent']):>+6.1f}% "
            f"{float(row['share_of_read_percent']):>7.1f}%"
        )
    return lines


def _summary(report: MachineReport) -> list[str]:
    lines = [f"not measured: {reason}" for reason in report.skipped]
    median = report.median_error_percent
    if median is None:
        return [*lines, "no model was measured"]
    lines.append(
        f"median absolute error of predictions made beforehand: {median:.1f} % ({len(report.rows)} rows)"
    )
    others = max((float(row["others_cores"] or 0.0) for row in report.rows), default=0.0)
    if others > _BUSY:
        lines.append(
            f"other processes used up to {others:.1f} cores meanwhile: these rates and "
            "errors say little; measure again on a quiet machine"
        )
    for precision in report.machine.precisions():
        row = report.largest(precision)
        if row is not None:
            lines.append(
                f"{row['model']} in {precision} decodes at {row['share_of_read_percent']}"
                " % of the read bandwidth measured beside it, "
                f"{100 * float(row['roofline_fraction']):.1f} % of the fastest read of all"
            )
    lines.append(f"rates in the columns of decode_rates.csv: {report.folder / 'rates.csv'}")
    return lines
