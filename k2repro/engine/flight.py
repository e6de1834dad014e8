"""Bookkeeping of the rows in flight: whose they are, what they have drawn, how long they may go on."""

import numpy as np
from numpy.typing import NDArray

from k2repro.engine.streams import uniforms


class Flight:
    """Rows 0 .. count - 1 are in flight; arrays are allocated once.

    rows: most rows at a time. max_new_tokens: most tokens a row may draw.
    """

    def __init__(self, rows: int, max_new_tokens: int) -> None:
        self.rows, self.count = rows, 0
        # (prompt, sample) of each row.
        self.names: list[tuple[int, int]] = [(-1, -1)] * rows
        self._last = np.zeros(rows, np.int64)
        self._drawn = np.zeros(rows, np.int64)
        self._budget = np.zeros(rows, np.int64)
        self._uniforms = np.zeros((rows, max_new_tokens))
        self._tokens = np.zeros((rows, max_new_tokens), np.int64)
        self._logprobs = np.zeros((rows, max_new_tokens), np.float32)
        self._arange = np.arange(rows)

    def append(self, prompt: int, sample: int, seed: int, budget: int) -> int:
        """Begin a sample in the next row; returns the row."""
        row, self.count = self.count, self.count + 1
        self.names[row] = (prompt, sample)
        self._drawn[row], self._budget[row] = 0, budget
        self._uniforms[row, :budget] = uniforms(seed, sample, budget)
        return row

    def drop(self, row: int) -> int | None:
        """End a row; the last row takes its place. Returns the row that moved, if one did."""
        self.count -= 1
        last = self.count
        if row == last:
            return None
        self.names[row] = self.names[last]
        for array in (self._last, self._drawn, self._budget, self._uniforms, self._tokens, self._logprobs):
            array[row] = array[last]
        return last

    def next_uniforms(self) -> NDArray[np.float64]:
        """One number a row, float64 [count]: that of the token about to be drawn."""
        return self._uniforms[self._arange[: self.count], self._drawn[: self.count]]

    def record(self, tokens: NDArray[np.int64], logprobs: NDArray[np.float32] | None) -> None:
        """Append a token, int64 [count], to every row."""
        rows, drawn = self._arange[: self.count], self._drawn[: self.count]
        self._last[: self.count] = self._tokens[rows, drawn] = tokens
        if logprobs is not None:
            self._logprobs[rows, drawn] = logprobs
        drawn += 1

    def last_tokens(self) -> NDArray[np.int64]:
        """The newest token of every row, int64 [count], a view."""
        return self._last[: self.count]

    def spent(self) -> NDArray[np.bool_]:
        """bool [count]: rows that have used up their budget."""
        return self._drawn[: self.count] >= self._budget[: self.count]

    def tokens_of(self, row: int) -> list[int]:
        """All tokens of a row."""
        return self._tokens[row, : self._drawn[row]].tolist()

    def logprobs_of(self, row: int) -> NDArray[np.float32]:
        """Log-probabilities of a row's tokens, a copy."""
        return self._logprobs[row, : self._drawn[row]].copy()
