"""`sample` and `Sampler`: many prompts, many samples of each, in one call.

What is asked is checked here; `run.py` draws, `fast/` computes the logits (`eager.py` where it does
not suit the model), `shares.py` spreads the prompts over the cores of the processor.
"""

from collections.abc import Sequence
from typing import Any

import torch

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import checks
from k2repro.engine.backend import Completion
from k2repro.engine.eager import EagerDecoder
from k2repro.engine.run import Run, SamplingPrompt, SamplingSettings
from k2repro.engine.shares import Progress, one_thread_each, run_shares, workers_for
from k2repro.engine.stop import StopRule
from k2repro.engine.text import TextCodec
from k2repro.fast import COMPILED_ROWS, CompiledDecoder, fits_compiled, fold

# Sixty-four rows use the matrix units well.
MAX_BATCH = 64


class Sampler:
    """A model made ready for sampling; reusable.

    model: a Qwen2. compiled: True for the compiled step (float32 weights on the CPU; works on a prepared
    copy, so call `refresh` when the weights have changed), False for the module as it is, None for the
    faster of the two: compiled up to 100M parameters. Both give the same tokens.
    """

    def __init__(self, model: Qwen2, *, compiled: bool | None = None) -> None:
        self.model, self.config = model, model.config
        self.compiled = fits_compiled(model) if compiled is None else compiled
        self.refresh()

    def refresh(self) -> None:
        """Read the model's weights again, after a training step."""
        self._weights = fold(self.model) if self.compiled else None

    def sample(
        self,
        prompts: Sequence[Sequence[int] | str],
        *,
        n: int = 1,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        generator: torch.Generator | None = None,
        seeds: Sequence[int] | None = None,
        stop: Sequence[int | str] = (),
        tokenizer: Any = None,
        logprobs: bool = False,
        max_batch: int = MAX_BATCH,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """As the function `sample`, which see, without `model`."""
        vocab_size, context = self.config.vocab_size, self.config.max_position_embeddings
        checks.whole("max_new_tokens", max_new_tokens)
        codec = None if tokenizer is None else TextCodec(tokenizer, vocab_size)
        settings = SamplingSettings(
            n=checks.whole("n", n),
            temperature=checks.check_temperature(temperature),
            top_p=checks.check_top_p(top_p),
            logprobs=bool(logprobs),
            rule=StopRule(stop, codec, vocab_size),
            codec=codec,
        )
        tokens = checks.check_prompts(prompts, codec, vocab_size, context)
        drawn = checks.prompt_seeds(seeds, generator, len(tokens), temperature == 0)
        rows = min(checks.whole("max_batch", max_batch), len(tokens) * n)
        work = [
            SamplingPrompt(prompt, seed, min(max_new_tokens, context - len(prompt)))
            for prompt, seed in zip(tokens, drawn, strict=True)
        ]
        return self._draw(work, rows, settings, progress) if work else []

    def _draw(
        self, prompts: list[SamplingPrompt], rows: int, settings: SamplingSettings, progress: Progress | None
    ) -> list[list[Completion]]:
        positions = max(len(prompt.tokens) + prompt.budget for prompt in prompts)
        if self._weights is None:
            eager = EagerDecoder(self.model, rows, positions)
            return run_shares([Run(eager, rows, prompts, settings)], progress)
        with one_thread_each(workers_for(len(prompts), rows)) as workers:
            runs = []
            for first in range(workers):
                part = min(COMPILED_ROWS, rows // workers + (first < rows % workers))
                decoder = CompiledDecoder(self.model, self._weights, part, positions)
                runs.append(Run(decoder, part, prompts[first::workers], settings))
            return run_shares(runs, progress)


def sample(
    model: Qwen2,
    prompts: Sequence[Sequence[int] | str],
    *,
    n: int = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    seeds: Sequence[int] | None = None,
    stop: Sequence[int | str] = (),
    tokenizer: Any = None,
    logprobs: bool = False,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> list[list[Completion]]:
    """`n` responses to each prompt, as [prompt][sample].

    prompts: token ids, or strings when `tokenizer` is given (encoded as they are, nothing added).
    max_new_tokens: most tokens of a response; the model's context may end it earlier.
    temperature: logits are divided by it; 0 takes the most likely token. top_p: the nucleus to draw from.
    seeds: one a prompt, 0 .. 2^64 - 1; sample j draws from the stream of (seed, j) alone, so neither the
        other prompts nor n nor max_batch change it. generator: where seeds are drawn from otherwise.
    stop: token ids, and strings when `tokenizer` is given; what stops a response is part of it.
    tokenizer: a tokenizers.Tokenizer or one of transformers; completions then carry their text.
    logprobs: report the log-probability of each token at temperature 1.
    max_batch: most rows in flight; bounds memory. The compiled step takes fewer, which is faster.
    progress: called with (samples done, samples in all).
    Raises K2ReproError for input that cannot be served and for logits that are NaN or infinite.
    """
    return Sampler(model).sample(
        prompts,
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        generator=generator,
        seeds=seeds,
        stop=stop,
        tokenizer=tokenizer,
        logprobs=logprobs,
        max_batch=max_batch,
        progress=progress,
    )
