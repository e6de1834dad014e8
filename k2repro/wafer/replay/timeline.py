"""What a replay returns: when every token came, and what follows from it."""

from dataclasses import dataclass

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model.parameters import FloatArray


@dataclass(frozen=True)
class PhaseTiming:
    """One phase of one request on its server. Times in seconds from the start of the replay.

    steps: decode steps of the longest stream (of all streams when they ran in turn).
    tokens: emitted by all streams. relative_low, relative_high: the 80 % interval of the decode
    rate, divided by the rate. prefill_band: low and high of prefill_seconds. step_ends, step_tokens:
    end of each step, tokens it emitted over all live streams. joules: None where the power is not
    known.
    """

    request: str
    name: str
    role: str
    server: str
    start: float
    prefill_seconds: float
    decode_seconds: float
    streams: int
    steps: int
    tokens: int
    relative_low: float
    relative_high: float
    prefill_band: tuple[float, float]
    joules: float | None
    step_ends: FloatArray
    step_tokens: FloatArray

    @property
    def seconds(self) -> float:
        """Prefill and decode together."""
        return self.prefill_seconds + self.decode_seconds

    @property
    def band(self) -> tuple[float, float]:
        """The least and the most seconds of prefill and decode together."""
        return (
            self.prefill_band[0] + self.decode_seconds / self.relative_high,
            self.prefill_band[1] + self.decode_seconds / self.relative_low,
        )

    @property
    def end(self) -> float:
        """When the last token came."""
        return self.start + self.seconds

    @property
    def tokens_per_second(self) -> float:
        """Tokens of all streams per second of decode."""
        return self.tokens / self.decode_seconds


@dataclass(frozen=True)
class Interval:
    """A value with its 80 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Timeline:
    """A replayed trace. Phases are in order and do not overlap; `seconds` is their sum."""

    phases: tuple[PhaseTiming, ...]

    @property
    def seconds(self) -> float:
        """From the first prompt to the last token of all requests."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def tokens(self) -> int:
        """Tokens of all phases."""
        return sum(phase.tokens for phase in self.phases)

    @property
    def joules(self) -> float | None:
        """Energy at full board power while each phase runs; None where a power is not known."""
        parts = [phase.joules for phase in self.phases]
        return None if any(part is None for part in parts) else sum(p for p in parts if p)

    def requests(self) -> list[str]:
        """Request ids, in order."""
        return list(dict.fromkeys(phase.request for phase in self.phases))

    def latency(self) -> Interval:
        """Seconds from the first prompt to the last token.

        The errors of all phases are taken to go the same way: one emulator predicts them all.
        """
        return Interval(
            self.seconds,
            sum(phase.band[0] for phase in self.phases),
            sum(phase.band[1] for phase in self.phases),
        )

    def time_to_first_token(self) -> Interval:
        """Seconds until the solver emits its first token: planning is waiting, to a reader.

        Without a solver phase, until any token.
        """
        index = next((i for i, phase in enumerate(self.phases) if phase.role == "solver"), 0)
        before, first = self.phases[:index], self.phases[index]
        start = self.phases[0].start
        own = float(first.step_ends[0]) - first.start
        # Taken in turn, the first stream does not wait for the others' prompts.
        share = min(1.0, own / first.prefill_seconds) if first.prefill_seconds > 0 else 0.0
        step = own - share * first.prefill_seconds
        return Interval(
            float(first.step_ends[0]) - start,
            sum(p.band[0] for p in before) + share * first.prefill_band[0] + step / first.relative_high,
            sum(p.band[1] for p in before) + share * first.prefill_band[1] + step / first.relative_low,
        )

    def breakdown(self) -> dict[str, float]:
        """Seconds by phase name, prefill apart; they add up to `seconds`."""
        parts: dict[str, float] = {}
        for phase in self.phases:
            for name, seconds in (
                (f"{phase.name}: prefill", phase.prefill_seconds),
                (f"{phase.name}: decode", phase.decode_seconds),
            ):
                parts[name] = parts.get(name, 0.0) + seconds
        return parts

    def tokens_over_time(self, points: int = 200) -> tuple[FloatArray, FloatArray]:
        """(time, tokens per second) in `points` equal bins, both shape (points,).

        The rate is that of all live streams together; it is zero during prefill. Times are bin
        centres.
        """
        if points < 1:
            raise K2ReproError(f"points = {points!r} must be at least 1")
        ends = np.concatenate([phase.step_ends for phase in self.phases])
        emitted = np.concatenate([phase.step_tokens for phase in self.phases])
        start = self.phases[0].start
        edges = start + np.linspace(0.0, self.phases[-1].end - start, points + 1)
        # A token counts where it came; the last edge must hold the last token in spite of rounding.
        edges[-1] = max(edges[-1], float(ends[-1]))
        counts, _ = np.histogram(ends, bins=edges, weights=emitted)
        return (edges[1:] + edges[:-1]) / 2, counts / np.diff(edges)
