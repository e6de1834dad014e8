"""When a response is over: stop tokens by a table look-up, stop strings by the decoded text.

A stop string may begin and end inside tokens, so text decides, not ids. Decoding at every step would
cost more than the model does; a table says which tokens can hold a string's last character, and only
after one of these is a row decoded.
"""

from collections.abc import Sequence

import numpy as np

from k2repro.engine.text import TextCodec
from k2repro.errors import K2ReproError


class StopRule:
    """stop: token ids and strings; strings need `codec`. Raises K2ReproError for what cannot occur."""

    def __init__(self, stop: Sequence[int | str], codec: TextCodec | None, vocab_size: int) -> None:
        if isinstance(stop, str):
            raise K2ReproError(f"stop = {stop!r} is a string: pass a list, as in stop=[{stop!r}]")
        self.is_stop = np.zeros(vocab_size, dtype=bool)
        self.may_end = np.zeros(vocab_size, dtype=bool)
        self._strings = tuple(item for item in stop if isinstance(item, str))
        self._codec = codec
        for item in stop:
            if not isinstance(item, str):
                self.is_stop[_stop_id(item, vocab_size)] = True
        if self._strings:
            self.may_end[:] = self._table(vocab_size)

    def completes(self, tokens: Sequence[int]) -> bool:
        """Whether the text of `tokens` holds a stop string."""
        if not self._strings or self._codec is None:
            return False
        text = self._codec.decode(tokens)
        return any(string in text for string in self._strings)

    def _table(self, vocab_size: int) -> np.ndarray:
        """bool [vocabulary]: tokens after which a stop string may be complete."""
        if self._codec is None:
            raise K2ReproError(f"stop string {self._strings[0]!r} needs `tokenizer`; token ids do not")
        if "" in self._strings:
            raise K2ReproError("a stop string is empty: every text holds it, so nothing would be generated")
        ends = {string[-1] for string in self._strings}
        table = np.zeros(vocab_size, dtype=bool)
        for token in range(self._codec.size):
            piece = self._codec.decode([token])
            # Alone, a part of a character decodes to U+FFFD and a word may lose its space: it may end one.
            unsure = not piece or "\ufffd" in piece or any(end.isspace() for end in ends)
            table[token] = unsure or not ends.isdisjoint(piece)
        return table


def _stop_id(item: object, vocab_size: int) -> int:
    if isinstance(item, bool) or not isinstance(item, (int, np.integer)):
        raise K2ReproError(f"stop holds {item!r} ({type(item).__name__}): must be token ids or strings")
    if not 0 <= item < vocab_size:
        raise K2ReproError(
            f"stop token {item} is outside the vocabulary of {vocab_size} tokens: it could never come"
        )
    return int(item)
