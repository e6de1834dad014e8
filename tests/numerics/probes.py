"""Short runs through everything that decides the bits of an artifact, one for each numerics word.

A probe is a list of named parts, each a digest of the bits that came out; so a failing test says which stage
moved. `python probes.py WORD ...` prints them as JSON: the tests call it in a process of its own, with one
thread, on this tree or on a copy of it with a planted change. `--plant NAME` changes one operation first;
`--until-moved` reads known digests and ends a probe at the first part that has another one.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import planted
import torch

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.mini import grading, mistakes, mixtures, program_mistakes, programs, tokenizer, variables
from k2repro.mini.problem import Problem, item_seed

Parts = Iterator[tuple[str, str]]


def digest(*values: Any) -> str:
    """Of tensors and arrays by their bytes, of everything else by its canonical text."""
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, torch.Tensor):
            value = value.detach().contiguous().view(torch.uint8).numpy()
        if isinstance(value, np.ndarray):
            found.update(np.ascontiguousarray(value).tobytes())
        else:
            found.update(repr(value).encode())
        found.update(b"|")
    return found.hexdigest()[:16]


def weights(model: Qwen2) -> str:
    return digest(*(tensor for _, tensor in sorted(model.state_dict().items())))


def random_model(seed: int, **shape: Any) -> Qwen2:
    """Every weight random, biases and norms too, so that forgetting one shows."""
    values: dict[str, Any] = {
        "vocab_size": 448,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        **shape,
    }
    generator = torch.Generator().manual_seed(seed)
    model = Qwen2(ModelConfig(**values), generator=generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0.0, 0.08, generator=generator)
    return model


# Shapes that meet every branch of the compiled passes: odd rows, heads of 8 to 64, one to three to a group.
SHAPES: tuple[dict[str, int], ...] = (
    {},
    {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 6, "head_dim": 8},
    {"hidden_size": 96, "intermediate_size": 136, "num_attention_heads": 3, "num_key_value_heads": 3},
    {"hidden_size": 40, "intermediate_size": 72, "num_attention_heads": 2, "head_dim": 24},
)
# Kinds of example that came when `training` had been recorded on other machines. Their texts are in `texts`,
# and one kind of text is trained on like another.
LATER = (
    "planning",
    "mispaired-steps",
    "marked-look-up",
    "marked-follow",
    "marked-copy",
    "return",
    "marked-plan",
    "marked-steps",
    "sloppy-steps",
    "many-marked",
)
# Temperature, top-p, samples of a prompt, rows in flight.
WAYS = ((1.0, 1.0, 3, 64), (0.7, 0.9, 2, 3), (1.0, 0.5, 1, 1), (0.0, 1.0, 1, 5))


def training() -> Parts:
    """Every kind of example, every schedule, growth, accumulation, the optimiser, attention at odd shapes."""
    from k2repro.training import SCHEDULES, build_optimizer
    from k2repro.training.growth import grow_layers
    from k2repro.training.loop import accumulate_gradients, train
    from k2repro.training.muon import orthogonalize

    model, names = random_model(1), [kind for kind in mixtures.KINDS if kind not in LATER]
    for at, kind in enumerate(names):
        stream = mixtures.MixtureStream(
            (mixtures.Ingredient(kind, 1.0, (2, 9)),), f"probe-{kind}", rows=3, length=288
        )
        schedule = list(SCHEDULES.values())[at % len(SCHEDULES)]
        history = train(model, build_optimizer(model), stream, 2, schedule=schedule, accumulate=1 + at % 2)
        yield f"two steps on {kind}", digest(weights(model), history.loss, history.tokens)
    model = grow_layers(model, 3, generator=torch.Generator().manual_seed(5))
    yield "growth", weights(model)
    for at, shape in enumerate(SHAPES):
        odd = random_model(10 + at, **shape)
        batch = mixtures.MixtureStream(
            (mixtures.Ingredient("recall", 1.0),), f"shapes-{at}", rows=1 + at, length=97 + 13 * at
        ).next_batch()
        loss = accumulate_gradients(odd, [batch])
        grads = [parameter.grad for parameter in odd.parameters()]
        yield f"gradients at shape {at}", digest(loss, *grads)
    generator = torch.Generator().manual_seed(3)
    for size in ((3, 16, 16), (1, 20, 48), (2, 130, 33), (1, 128, 384)):
        yield f"orthogonalize {size}", digest(orthogonalize(torch.randn(size, generator=generator)))


def engine() -> Parts:
    """Tokens and log-probabilities at several temperatures and nuclei, one and many rows, both decoders.

    And what reading makes of given responses, of which some are equal and some begin alike.
    """
    from k2repro.engine import Sampler, read
    from k2repro.engine.choose import choose

    # Equal weights straddle the edge of the nucleus: what is kept then is a rule, not chance.
    tied = torch.tensor([[1.0, 2.0, 2.0, 0.0, 2.0, -1.0]]).repeat(40, 1)
    numbers = (np.arange(40) + 0.5) / 40
    for top_p in (0.2, 0.4, 0.6, 0.8, 0.95):
        yield f"ties at top-p {top_p}", digest(choose(tied, numbers, 1.0, top_p))
    for at, shape in enumerate(SHAPES):
        model, rng = random_model(20 + at, **shape).eval(), Random(at)
        prompts = [[rng.randrange(448) for _ in range(length)] for length in (1, 7, 16, 33, 50)]
        for compiled in (True, False):
            sampler = Sampler(model, compiled=compiled)
            for temperature, top_p, n, rows in WAYS:
                found = sampler.sample(
                    prompts,
                    n=n,
                    max_new_tokens=24,
                    temperature=temperature,
                    top_p=top_p,
                    seeds=range(len(prompts)),
                    stop=[5],
                    logprobs=True,
                    max_batch=rows,
                )
                flat = [each for samples in found for each in samples]
                way = "compiled" if compiled else "module"
                name = f"shape {at}, {way}, temperature {temperature}, top-p {top_p}"
                yield (
                    name,
                    digest(*(value for each in flat for value in (each.tokens, each.finish, each.logprobs))),
                )
        answers = [
            [prompt[: 1 + at] * (1 + each) for each in (0, 2, 2, 9)] for at, prompt in enumerate(prompts)
        ]
        flat_read = [each for group in read(model, prompts, answers) for each in group]
        yield (
            f"reading at shape {at}",
            digest(*(value for each in flat_read for value in (each.logprobs, each.certainty))),
        )


def rlvr() -> Parts:
    """Two steps of GRPO with each kind of advantage and average, and the policy's optimiser."""
    from k2repro.engine import LocalBackend
    from k2repro.rlvr import GrpoConfig, Prompt, RolloutSource, train_grpo
    from k2repro.rlvr.optimizer import Rates, policy_optimizer

    prompts = [
        Prompt(problem.id, tuple(tokenizer.encode(tokenizer.prompt_text(problem.question))), problem)
        for problem in variables.problems("tier-1", "train", 8)
    ]

    def paid(_: Sequence[Prompt], completions: Sequence[Any]) -> list[float]:
        return [float(sum(completion.tokens) % 3 == 0) for completion in completions]

    settings: tuple[dict[str, Any], ...] = (
        {},
        {"scale": "none", "loss_type": "dr_grpo"},
        {"scale": "batch", "loss_type": "grpo", "micro_batch_tokens": 256},
        {"scale": "none", "center": False, "uniform_groups": "train"},
        {"updates_per_rollout": 2, "iterations": 2, "importance_sampling_level": "sequence"},
    )
    for at, changes in enumerate(settings):
        model = random_model(30 + at)
        config = GrpoConfig(
            prompts_per_step=4, group_size=6, max_new_tokens=20, gap_warning=1e-2, seed=at, **changes
        )
        optimizer = policy_optimizer(model, Rates(weights=1e-3, norms=1e-2, readout=1e-1))
        source = RolloutSource(
            lambda place: prompts[place % len(prompts)],
            {"paid": paid},
            LocalBackend,
            stop=[tokenizer.turn_end()],
        )
        records = train_grpo(model, optimizer, source, config, steps=2)
        yield (
            f"two steps, {changes or 'defaults'}",
            digest(
                weights(model), [record.reward for record in records], [record.loss for record in records]
            ),
        )


def texts() -> Parts:
    """Problems of every tier and split, every kind of training text, the tokenizer."""
    for tier in (*variables.TIERS, programs.TIER):
        family = programs if tier == programs.TIER else variables
        for split in ("train", "validation", "test"):
            drawn = [*family.problems(tier, split, 6), *family.problems(tier, split, 3, start=9_000)]
            yield f"{tier}, {split}", digest([_fields(problem) for problem in drawn])
    for kind in mixtures.KINDS:
        mixture = (mixtures.Ingredient(kind, 1.0),)
        drawn = [mixtures.draw_example(mixture, "probe", index) for index in range(12)]
        yield f"texts of {kind}", digest([(list(each.prompt), list(each.response)) for each in drawn])
    yield "prompt", digest(tokenizer.encode(tokenizer.prompt_text(" q=7 m: - p i", " plan p m")))
    yield "vocabulary", digest(tokenizer.load().to_str())


def _fields(problem: Problem) -> tuple[Any, ...]:
    return problem.id, problem.tier, problem.question, problem.gold, problem.plan, problem.facts


def grader() -> Parts:
    """Verdicts, and kinds of first mistakes, on right responses and on damaged ones."""
    from k2repro.mini import program_traces, traces

    for tier in ("tier-1", "tier-3"):
        problems = variables.problems(tier, "validation", 12)
        right = [traces.searching_response(variables.system_of(problem)) for problem in problems]
        yield tier, _verdicts(problems, right, mistakes.classify)
    problems = programs.problems(programs.TIER, "validation", 6)
    right = [program_traces.searching_response(programs.task_of(problem)) for problem in problems]
    yield "programs", _verdicts(problems, right, program_mistakes.classify)


def _verdicts(
    problems: Sequence[Problem], right: Sequence[str], classify: Callable[[Problem, str], str]
) -> str:
    asked, responses = [], []
    for at, (problem, response) in enumerate(zip(problems, right, strict=True)):
        for damaged in _damaged(response, Random(at)):
            asked.append(problem)
            responses.append(damaged)
    verdicts = grading.grade(asked, responses)
    kinds = [classify(problem, response) for problem, response in zip(asked, responses, strict=True)]
    return digest(verdicts, kinds)


def _damaged(response: str, rng: Random) -> Iterator[str]:
    """The response, cut off, with a changed digit, two words exchanged, an answer twice."""
    yield response
    yield response + tokenizer.TURN_END
    yield response[: rng.randrange(len(response))]
    digits = [at for at, letter in enumerate(response) if letter.isdigit()]
    at = rng.choice(digits)
    yield response[:at] + str((int(response[at]) + 1) % 10) + response[at + 1 :]
    words = response.split(" ")
    first = rng.randrange(1, len(words) - 1)
    words[first], words[first + 1] = words[first + 1], words[first]
    yield " ".join(words)
    yield response + response
    yield response.replace("<answer> ", "<answer>")


def pools() -> Parts:
    """The seed of a problem in a pool."""
    from k2repro.evaluate.pool import problem_seed

    ids = [problem.id for problem in variables.problems("tier-2", "test", 5)]
    yield "seeds", digest([problem_seed(seed, name) for seed in (0, 1, 7) for name in ids])
    yield "item seeds", digest([item_seed("probe", at) for at in range(5)])


PROBES: dict[str, Callable[[], Parts]] = {
    "training": training,
    "engine": engine,
    "rlvr": rlvr,
    "texts": texts,
    "grader": grader,
    "pools": pools,
}


def until_moved(parts: Parts, known: Mapping[str, str]) -> Parts:
    """The parts up to the first one whose digest is not the known one, that one included."""
    for name, found in parts:
        yield name, found
        if known.get(name) != found:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="+", choices=PROBES)
    parser.add_argument("--plant", choices=planted.PLANTED)
    parser.add_argument("--until-moved", action="store_true", help="known digests on stdin, as printed here")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.plant:
        planted.PLANTED[asked.plant]()
    parts = {word: PROBES[word]() for word in asked.words}
    if asked.until_moved:
        known = json.load(sys.stdin)
        parts = {word: until_moved(each, known[word]) for word, each in parts.items()}
    found = {word: dict(each) for word, each in parts.items()}
    sys.stdout.write(json.dumps(found, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
