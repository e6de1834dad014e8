"""Judges that read: how likely a model finds what somebody wrote. Nothing is generated, one pass a candidate.

A generative judge says what it thinks; a small one says little that is worth hearing. What it finds likely
is worth more (notebook 05). The solver read by itself gives self-certainty, which needs the probabilities of
the whole vocabulary: no server tells them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from k2repro.engine.backend import Completion, Prompt
from k2repro.errors import K2ReproError

if TYPE_CHECKING:
    # It brings torch, and who asks a server needs none: `k2repro evaluate` would begin seconds later.
    from k2repro.engine.local import LocalBackend


@dataclass(frozen=True)
class Read:
    """One candidate as a reader finds it.

    logprob: sum over its tokens of the natural log-probability. certainty: mean over its tokens of
    self-certainty, see `k2repro.engine.reading`. tokens: that were read, the prompt's included.
    """

    logprob: float
    certainty: float
    tokens: int
    seconds: float = field(default=0.0, compare=False)


class Reader(Protocol):
    """A model that reads candidates."""

    @property
    def name(self) -> str:
        """The model, for messages."""

    def check(self, prompt: Prompt) -> None:
        """Read the prompt alone. Raises K2ReproError for a model that cannot, before a sample is paid for."""

    def read(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Read]:
        """Each completion behind its prompt."""


class LocalReader:
    """A checkpoint in this process that reads what a solver in this process wrote.

    Raises K2ReproError where its tokenizer is not the solver's: it would read other words than were written.
    """

    def __init__(self, backend: "LocalBackend", solver: "LocalBackend") -> None:
        _check_vocabularies(backend, solver)
        self.name, self._backend = backend.name, backend

    def check(self, prompt: Prompt) -> None:
        from k2repro.engine.reading import read

        tokens = self._backend.tokens_of(prompt)
        try:
            read(self._backend.model, [tokens[:-1]], [[tokens[-1:]]])
        except K2ReproError as error:
            raise K2ReproError(f"{self.name} cannot read the question: {error}") from error

    def read(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[Read]:
        from k2repro.engine.reading import read

        started = time.perf_counter()
        asked = [self._backend.tokens_of(prompt) for prompt in prompts]
        found = read(self._backend.model, asked, [[each.tokens] for each in completions])
        seconds = (time.perf_counter() - started) / max(1, len(asked))
        return [
            Read(
                float(one.logprobs.sum(dtype="float64")),
                float(one.certainty.mean(dtype="float64")),
                len(prompt) + len(each.tokens),
                seconds,
            )
            for prompt, each, (one,) in zip(asked, completions, found, strict=True)
        ]


def _check_vocabularies(judge: "LocalBackend", solver: "LocalBackend") -> None:
    theirs, ours = _vocabulary(judge), _vocabulary(solver)
    if theirs == ours:
        return
    strange = min(word for word in {*theirs, *ours} if theirs.get(word) != ours.get(word))
    raise K2ReproError(
        f"{judge.name} and {solver.name} have tokenizers of {len(theirs)} and {len(ours)} tokens, which "
        f"differ at {strange!r}: a judge that reads has to have the solver's vocabulary. Usual cause: a "
        "checkpoint of another family"
    )


def _vocabulary(backend: "LocalBackend") -> dict[str, int]:
    tokenizer: Any = backend.tokenizer
    if tokenizer is None:
        raise K2ReproError(
            f"{backend.name} has no tokenizer, so nobody knows whether it reads the same words"
        )
    return dict(tokenizer.get_vocab())
