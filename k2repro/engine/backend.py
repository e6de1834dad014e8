"""`Backend`: whoever completes prompts, and `Completion`, what one sample of one prompt came to.

Training, pools, planning, best-of-N and the harness ask a backend and never a model, so the same code runs
on a checkpoint in this process (`k2repro.engine.local`) and on a server (`k2repro.engine.endpoint`).
Nothing here imports torch or another room.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

# stop: a stop token or string, or the model's own end. length: the budget or the context was used up.
# error, timeout: the request failed for good; `Completion.error` says how.
Finish = Literal["stop", "length", "error", "timeout"]
FINISHES: tuple[str, ...] = get_args(Finish)
# Called with (samples done, samples in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Message:
    """One turn of a chat. role: "system", "user" or "assistant"."""

    role: str
    content: str


# A chat, rendered by the model's own template; raw text; or token ids. Servers take chats only.
Prompt = tuple[Message, ...] | str | tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """A prompt, and how many samples of it are wanted under which settings.

    max_new_tokens: most tokens of a response; the context may end it earlier.
    n: samples. Sample j draws from the stream of (seed, j) alone; a server gets a seed for each.
    temperature: 0 is greedy. top_p: the nucleus to draw from.
    stop: strings, and token ids where the backend knows tokens.
    logprobs: report the log-probability of each token at temperature 1.
    role: "solver", "planner" or "judge"; for the bill, it changes nothing else.
    label: what the request is for, kept in the journal; it changes nothing.
    schema: a JSON schema that the text has to follow, where the backend can hold it to one.
    """

    prompt: Prompt
    max_new_tokens: int
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[int | str, ...] = ()
    logprobs: bool = False
    role: str = "solver"
    label: str = ""
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Completion:
    """The response to a prompt, prompt excluded.

    tokens: token ids; the stop token, or the token that completes a stop string, is the last one. Empty
        where the backend is a server, which counts tokens but does not name them.
    finish: one of FINISHES.
    logprobs: float32 [tokens], natural logarithm of the probability of each token at temperature 1 over the
        whole vocabulary, whatever temperature and top-p it was drawn with; None unless asked for and told.
    text: a local backend gives all of `tokens` as text, special tokens included (None without a tokenizer);
        a server the visible content, cut before the stop string.
    reasoning: the thinking that a server kept apart from the content.
    counted: tokens of the response as the server counts them; None to count `tokens`.
    prompt_tokens: of the prompt, None when not told. error: why finish is "error" or "timeout".
    seconds: from sending to the last byte; never part of a comparison or of a row.
    """

    tokens: tuple[int, ...]
    finish: Finish
    logprobs: NDArray[np.float32] | None = None
    text: str | None = None
    reasoning: str = ""
    counted: int | None = None
    prompt_tokens: int | None = None
    error: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def count(self) -> int:
        """Tokens of the response, thinking included."""
        return len(self.tokens) if self.counted is None else self.counted

    @property
    def failed(self) -> bool:
        """Whether there is no response to judge."""
        return self.finish in ("error", "timeout")


@dataclass(frozen=True)
class Sampling:
    """How one role is sampled; see `Request`."""

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[int | str, ...] = ()


def derived_seed(*parts: str | int) -> int:
    """63 bits from the SHA-256 of `parts`; with seed + index, items of neighbouring seeds would coincide."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Backend(Protocol):
    """A model that can be asked."""

    @property
    def name(self) -> str:
        """The model, for tables and rows."""

    def complete(
        self, requests: Sequence[Request], *, progress: Progress | None = None
    ) -> list[list[Completion]]:
        """`n` completions of each request, as [request][sample].

        A sample that failed for good comes back with finish "error" or "timeout"; K2ReproError is for
        requests that cannot be served and for a backend that is not there at all.
        """
