"""A planner for mini-K2: the SFT model, taught to think about the order and about nothing else.

weights "sft" -> planner -> plans on some problems -> whether they work, how many tokens they took

It starts from a model that can search, because its thinking is that search without arithmetic
(`k2repro.mini.plans`). K2-Think's planner is a second model too; the paper does not name it. This one is
taught problems of up to 16 operations, the solvers 8; so there is a control, `SHORT`, that is taught 8 as
they are. The share of plans that work decides whether it may be called one: `BARS`, on validation problems.

The order is read off the thinking by a program. That the planner writes it down itself was tried and not
obtained; `Written.line` says what such lines are worth.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine import Sampler
from k2repro.errors import unknown
from k2repro.lab import sft
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making, OnReport, no_report
from k2repro.lab.progress import JobProgress
from k2repro.lab.scale import Scale
from k2repro.lab.stages import Stage
from k2repro.lab.steady_recipe import STRETCH
from k2repro.mini import TEXTS, plans, tokenizer
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.mixtures import Ingredient
from k2repro.mini.problem import Problem, item_seed
from k2repro.mini.variables import system_of
from k2repro.results.atomic import canonical_json, write_text
from k2repro.training import NUMERICS as TRAINING

# At pre-training's rates: to carry a name along and to mark it is a new skill. At fine-tuning's, 0.3 of them,
# the loss fell half as fast.
PLANNER = (
    Stage(
        "planner",
        (
            Ingredient("planning", 0.3, (2, 6)),
            Ingredient("planning", 0.4, (2, 12)),
            Ingredient("planning", 0.3, (2, 16)),
        ),
        steps=400,
        rows=5,
        length=464,
        layers=4,
        schedule="cosine",
    ),
)
# The control is taught plans of up to eight operations, as many as the solvers practise, in texts that are
# stretched as theirs are. From the steady recipe's SFT it was not obtained: after 1,600 steps no plan of a
# level worked on validation. (That model met no more than four operations, and its searches are marked; which
# of the two it was is not known.) So both come of the same model, which searched problems of up to twelve.
LONG, SHORT = "planner", "short-planner"
PLANNERS = {
    LONG: PLANNER,
    SHORT: (
        replace(
            PLANNER[0],
            name=SHORT,
            mixture=(Ingredient("planning", 0.4, (2, 4)), Ingredient("planning", 0.6, (2, 8))),
            rows=8,
            length=290,
            stretch=STRETCH,
        ),
    ),
}
# Share of plans that have to work, by tier, before the planner counts as obtained. Declared before it was.
BARS = {"tier-1": 0.95, "tier-2": 0.90, "tier-3": 0.80, "tier-4": 0.70}
# One plan of a problem is the likeliest one; several of a problem have to be drawn.
GREEDY = 0.0
HISTORY, FILE = "history.json", "plans.jsonl.gz"


# ---- things to be made ----------------------------------------------------------------------------


def planner(seed: int, scale: Scale, name: str = LONG) -> Made:
    """A planner that comes of an SFT model: a checkpoint, and the losses of its training.

    name: one of PLANNERS. Raises K2ReproError for another.
    """
    if name not in PLANNERS:
        raise unknown("planner", name, PLANNERS)
    stages = [stage.shortened(scale.steps) for stage in PLANNERS[name]]
    return Made(
        "planner",
        name,
        seed,
        partial(_train, stages, seed),
        {"stages": [stage.params for stage in stages]},
        (TRAINING, TEXTS),
        {"start": sft.weights("sft", seed, scale)},
    )


def written(
    seed: int,
    scale: Scale,
    *,
    tiers: Sequence[str],
    split: str,
    problems: int,
    first: int = 0,
    samples: int = 1,
    temperature: float = GREEDY,
    name: str = LONG,
) -> Made:
    """What a planner of a seed writes to `problems` of each tier, from item `first` on (see `read_plans`).

    name: which planner, one of PLANNERS.
    Raises K2ReproError for an unknown tier or split, before anything is trained.
    """
    for tier in tiers:
        benchmark_problems(tier, split, 1)
    params = {
        "tiers": list(tiers),
        "split": split,
        "problems": problems,
        "samples": samples,
        "temperature": temperature,
        "read": "thinking",
        # Plans that were written before it could be chosen have none.
        **({"first": first} if first else {}),
    }
    return Made(
        "plans",
        f"{split}-{tiers[0]}" + ("" if name == LONG else f" by {name}"),
        seed,
        partial(_write, tuple(tiers), split, problems, first, samples, temperature, seed),
        params,
        (ENGINE, TEXTS),
        {"planner": planner(seed, scale, name)},
        ships=True,
    )


# ---- making ---------------------------------------------------------------------------------------


def _train(stages: Sequence[Stage], seed: int, making: Making) -> None:
    history = sft.train_further(stages, seed, making)
    write_text(making.folder / HISTORY, canonical_json(history) + "\n")


def _write(
    tiers: Sequence[str],
    split: str,
    problems: int,
    first: int,
    samples: int,
    temperature: float,
    seed: int,
    making: Making,
) -> None:
    model = load_checkpoint(making.needs["planner"])
    asked = [each for tier in tiers for each in benchmark_problems(tier, split, problems, start=first)]
    found = write_plans(
        model, asked, samples=samples, temperature=temperature, seed=seed, report=making.report
    )
    write_lines(making.folder / FILE, found)


@dataclass(frozen=True)
class Written:
    """One reply of the planner.

    id, tier       of the problem; sample: which of several replies to it
    kind           a word of `mini.plans.KINDS`: whether the plan works, or what is wrong first
    line           the same of the line in which the planner wrote the plan down itself; it is not used
    plan           as it stands behind the question for the solver; empty where none can be handed over
    needless       names in it that no asked value depends on
    tokens         of the reply, thinking included; prompt_tokens: of the question
    """

    id: str
    tier: str
    sample: int
    kind: str
    line: str
    plan: str
    needless: int
    tokens: int
    prompt_tokens: int


def write_plans(
    model: Qwen2,
    problems: Sequence[Problem],
    *,
    samples: int = 1,
    temperature: float = GREEDY,
    seed: int = 0,
    report: OnReport = no_report,
) -> list[Written]:
    """Ask a planner for `samples` plans of each problem, in the order of the problems.

    Every reply is in the list, also one that is cut or cannot be read: then with an empty plan.
    """
    prompts = [tokenizer.encode(tokenizer.prompt_text(problem.question)) for problem in problems]
    replies = Sampler(model.eval()).sample(
        prompts,
        n=samples,
        max_new_tokens=plans.MAX_NEW_TOKENS,
        temperature=temperature,
        seeds=[item_seed("plan", seed, *problem.id.split("/")) for problem in problems],
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        progress=lambda done, total: report(JobProgress(done / total, f"{done} of {total} plans")),
    )
    found = []
    for problem, prompt, several in zip(problems, prompts, replies, strict=True):
        for sample, reply in enumerate(several):
            system, text, finished = system_of(problem), reply.text or "", reply.finish == "stop"
            verdict = plans.judge_reply(system, text, finished=finished)
            line = plans.judge_reply(system, text, finished=finished, read=plans.read_line)
            found.append(
                Written(
                    problem.id,
                    problem.tier,
                    sample,
                    verdict.kind,
                    line.kind,
                    verdict.text,
                    verdict.needless,
                    reply.count,
                    len(prompt),
                )
            )
    return found


# ---- reading --------------------------------------------------------------------------------------


def read_plans(folder: Path) -> list[Written]:
    """The replies of `written`, those to one problem next to each other."""
    return read_lines(folder / FILE, Written)


def kinds(found: Iterable[Written]) -> dict[str, Counter[str]]:
    """How many plans of each kind, by tier."""
    return _counted(found, lambda each: each.kind)


def line_kinds(found: Iterable[Written]) -> dict[str, Counter[str]]:
    """The same of the lines in which the planner wrote its plans down itself."""
    return _counted(found, lambda each: each.line)


def _counted(found: Iterable[Written], kind: Callable[[Written], str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for each in found:
        counts.setdefault(each.tier, Counter())[kind(each)] += 1
    return counts


def workable_share(found: Iterable[Written]) -> dict[str, float]:
    """The share of replies whose plan works, by tier."""
    return {tier: count[plans.WORKABLE] / count.total() for tier, count in kinds(found).items()}


def is_obtained(shares: Mapping[str, float]) -> bool:
    """Whether the shares of workable plans reach BARS on every tier; a tier that is missing does not."""
    return all(shares.get(tier, 0.0) >= bar for tier, bar in BARS.items())
