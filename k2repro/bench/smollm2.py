"""A target that others trained: SmolLM2-135M-Instruct, with the drafts that need no training.

mini-K2 writes what is easy to guess. Here is a language model on prompts of two kinds: some whose answer says
the prompt again, where look-up should have something to say, and open ones. Early exits that were never
trained to be read are expected to lose. Prompts and settings were chosen before any was run. Needs
`k2repro artifacts smollm2`. Times are CPU time of one thread.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from k2repro.bench.same_bits import compiled_decoder, passes_that_differ
from k2repro.bench.timing import in_turn

NEW_TOKENS, AT_ONCE = 32, 32
TEMPERATURES = (0.0, 1.0)
# Guesses of look-up, which cost nothing, and of an early exit; layers of the early exits, of thirty.
GUESSES, OF_EXIT, EXITS = (3, 7), (2,), (10, 20, 28)
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
REQUESTS = {
    "said again": (
        "Repeat this sentence twice, word for word: The harbour master counted nine grey boats before the fog"
        " came in from the northern cape.",
        "Say this list twice, in the same order: copper, silver, tin, lead, iron, gold, nickel, zinc.",
        "Replace Anna by Maria in this text: Anna takes the early train. Anna reads the paper. At noon Anna "
        "walks home, and in the evening Anna writes a letter to her sister.",
    ),
    "open": (
        "Why is the sky blue?",
        "Write the beginning of a short story about a lighthouse.",
        "Name three things that a small garden needs, and say why.",
    ),
}


def bench_smollm2(*, repeats: int = 2) -> Iterator[dict[str, object]]:
    """What was compared, then a record for each draft, kind of prompt, temperature and number of guesses.

    Record: bench, target, draft, prompts, temperature, gamma, ratio (speed over the same engine without a
    draft, of medians; above 1 is faster), tokens_a_pass, acceptance, same (responses that are the sampler's
    with the same seeds: all). Raises K2ReproError where the model is not there, AssertionError should bits
    differ or a draft change a token.
    """
    import torch
    from tokenizers import Tokenizer

    from k2repro.architecture import load_pretrained
    from k2repro.engine.text import TextCodec
    from k2repro.lab.progress import FINISHED, JobProgress, live
    from k2repro.lab.smollm2 import NAME, checkpoint
    from k2repro.speculative.drafts import Draft, prune

    folder, threads = checkpoint(), torch.get_num_threads()
    target = load_pretrained(folder, dtype=torch.float32)
    codec = TextCodec(Tokenizer.from_file(str(folder / "tokenizer.json")), target.config.vocab_size)
    names = {"look-up": 0, **{f"first {layers} layers": layers for layers in EXITS}}
    torch.set_num_threads(1)
    try:
        with live(list(names)) as listen:
            side = _Side(target, codec)
            yield {"bench": "smollm2", "target": NAME, **side.compared()}
            for name, layers in names.items():
                listen(name, JobProgress(0.0, "decoding with and without it"))
                # One early exit at a time: each has weights of its own.
                early = Draft.of(prune(target, layers, target.config.intermediate_size)) if layers else None
                gammas = OF_EXIT if layers else GUESSES
                for record in side.records(early or Draft.lookup(), gammas, repeats):
                    yield {"bench": "smollm2", "target": NAME, "draft": name, **record}
                listen(name, FINISHED)
    finally:
        torch.set_num_threads(threads)


class _Side:
    """The target, the prompts as tokens, and what the sampler writes."""

    def __init__(self, target: Any, codec: Any) -> None:
        from k2repro.engine import Sampler

        self.target, self.stop = target, codec.encode("<|im_end|>")
        self.prompts = {
            kind: [codec.encode(TURN.format(one)) for one in each] for kind, each in REQUESTS.items()
        }
        # The compiled step, whatever the size: it has the bits of the loop.
        sampler = Sampler(target, compiled=True)
        self.wanted = {
            (kind, warmth): sampler.sample(
                texts, seeds=range(len(texts)), temperature=warmth, max_new_tokens=NEW_TOKENS, stop=self.stop
            )
            for kind, texts in self.prompts.items()
            for warmth in TEMPERATURES
        }

    def compared(self) -> dict[str, object]:
        """Passes over 1 to AT_ONCE tokens against as many steps, bit for bit."""
        text = [token for texts in self.prompts.values() for one in texts for token in one][: 2 * AT_ONCE]
        decoder = compiled_decoder(self.target, len(text) + 1)
        differ, logits = passes_that_differ(decoder, text[:-AT_ONCE], text[-AT_ONCE:])
        words = f"a pass over 1 to {AT_ONCE} tokens, with as many steps"
        assert differ == 0, f"{words}: {differ} of {logits} logits have other bits"
        return {"compared": words, "logits": logits, "differ": differ}

    def records(self, draft: Any, gammas: Sequence[int], repeats: int) -> Iterator[dict[str, object]]:
        """All settings of a draft and decoding without it in turn, then a record for each."""
        from k2repro.speculative import SpeculativeSampler

        room = max(len(one) for texts in self.prompts.values() for one in texts) + NEW_TOKENS
        sampler = SpeculativeSampler(self.target, draft, gamma=max(gammas), stop=self.stop, positions=room)
        made: dict[tuple[str, float, int], Any] = {}

        def write(kind: str, warmth: float, gamma: int) -> None:
            tuned, texts = sampler.retuned(gamma=gamma, temperature=warmth), self.prompts[kind]
            found = tuned.sample(texts, max_new_tokens=NEW_TOKENS, seeds=range(len(texts)))
            made[kind, warmth, gamma] = found

        sides = {
            (*each, gamma): partial(write, *each, gamma) for each in self.wanted for gamma in (0, *gammas)
        }
        seconds = in_turn(sides, repeats, clock=time.thread_time)
        for (kind, warmth, gamma), found in made.items():
            both = zip(found.responses, self.wanted[kind, warmth], strict=True)
            same = sum(ours[0].tokens == theirs[0].tokens for ours, theirs in both)
            assert same == len(found.responses), f"{kind}, {warmth:g}, {gamma}: a draft changed a token"
            if gamma:
                alone, ours = (statistics.median(seconds[kind, warmth, each]) for each in (0, gamma))
                yield {
                    "prompts": kind,
                    "temperature": warmth,
                    "gamma": gamma,
                    "ratio": alone / ours,
                    "tokens_a_pass": found.statistics.tokens_per_pass,
                    "acceptance": found.statistics.acceptance,
                    "same": same,
                    "repeats": repeats,
                }
