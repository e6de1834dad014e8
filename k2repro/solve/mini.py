"""The procedure on mini-K2: the shipped models, their language, and where a plan comes from.

With a planner (`k2repro.lab.planner` trains one; its weights do not ship) the plan is what that model hands
over. Without one it is the order in which the solver's likeliest first pass evaluated the variables. It is
labelled "own": it is no second model's view.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.engine.backend import Completion, Message, Prompt, Request, Sampling
from k2repro.errors import K2ReproError
from k2repro.mini import plans as planning_texts
from k2repro.mini.orders import evaluation_order
from k2repro.mini.question import EXAMPLE, read_question
from k2repro.mini.variables import System, marked, marked_plan_text, question_text
from k2repro.planning import Ask, Plan
from k2repro.results.artifacts import read_manifest
from k2repro.solve.procedure import SolveSettings
from k2repro.verify.extract import extract_answer

# Above every reference trace of the tiers that training covers; the context of 512 holds it.
MAX_NEW_TOKENS = 288
# Two searches, then one pass along a plan: the planner's likeliest one, else the order that the likelier
# search found.
SETTINGS = SolveSettings(
    n=3,
    planned=1,
    select="own-mean",
    solver=Sampling(MAX_NEW_TOKENS, temperature=1.0),
    planner=Sampling(planning_texts.MAX_NEW_TOKENS, temperature=0.0),
)


@dataclass(frozen=True)
class MiniDialect:
    """The language of the family `variables`."""

    def check(self, question: str) -> str:
        """The question as models have seen it. Raises K2ReproError for one outside the language."""
        return question_text(read_question(question))

    def check_plan(self, question: str, plan: Plan) -> None:
        system = read_question(question)
        names = [name.removesuffix("?") for name in plan.text.split()[1:]]
        if not names:
            raise _no_plan("it is empty")
        for name in names:
            if name not in system.definitions:
                known = " ".join(sorted(system.definitions))
                raise _no_plan(f"it names {name!r}, and what is to be worked out is {known}")
        if len(set(names)) < len(names):
            raise _no_plan(f"it names {max(names, key=names.count)!r} twice")

    def prompt(self, question: str, plan: Plan | None) -> Prompt:
        return (Message("user", question + ("" if plan is None else plan.text)),)

    def text(self, completion: Completion) -> str:
        """The response as it was written; servers keep the trace apart, and the space before it away."""
        text = (completion.text or "").removesuffix("<|im_end|>")
        if not completion.reasoning:
            return text
        return f"<think> {completion.reasoning.strip()}</think>{text}"

    def answer(self, completion: Completion) -> str | None:
        return extract_answer(self.text(completion))

    def same(self, first: str, second: str) -> bool:
        return first == second

    def plans(self, question: str, ask: Ask, *, count: int, seed: int, sampling: Sampling) -> Sequence[Plan]:
        """What a planner of mini-K2 hands over; its thinking stays with it, on its bill."""
        request = Request(
            self.prompt(question, None),
            sampling.max_new_tokens,
            n=count,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=sampling.stop,
            seed=seed,
            role="planner",
            label="plan",
        )
        system = read_question(question)
        return [_handed_over(system, reply) for reply in ask([request])[0]]

    def own_plan(self, question: str, searched: Sequence[Completion]) -> Plan | None:
        """The order of evaluation of the likeliest pass; None when it evaluated nothing."""
        likeliest = max(searched, key=_likelihood)
        order = evaluation_order(self.text(likeliest))
        return Plan(marked_plan_text(order), source="own") if order else None


def given_plan(words: str) -> Plan:
    """A plan as a person types it, "p m" or "plan p m", as models have seen plans."""
    names = words.split()
    order = names[1:] if names[:1] == ["plan"] else names
    return Plan(marked_plan_text([name.removesuffix("?") for name in order]), source="given")


def _no_plan(what: str) -> K2ReproError:
    return K2ReproError(
        f"this is no plan for that question: {what}. A plan names variables of the question in the order in "
        f"which they are worked out, each once. Example: 'p m' for {EXAMPLE!r}"
    )


def _handed_over(system: System, reply: Completion) -> Plan:
    """A plan in the planner's own order, right or wrong; none where there is nothing that could be read."""
    if reply.failed:
        return Plan("", fault=reply.error or reply.finish)
    verdict = planning_texts.judge_reply(system, reply.text or "", finished=reply.finish == "stop")
    return Plan(marked(verdict.text), fault="" if verdict.text else verdict.kind)


def _likelihood(completion: Completion) -> float:
    if completion.logprobs is None or not len(completion.logprobs):
        return float("-inf")
    return float(completion.logprobs.mean())


def shipped_checkpoint(artifacts: Path) -> Path:
    """The solver in a folder of artifacts: RL from SFT by the steady recipe, which reads marked plans.

    Raises K2ReproError when there is none.
    """
    found = _shipped(artifacts)
    # The name that `k2repro.lab` gives to the run.
    if "steady-from-sft" in found:
        return found["steady-from-sft"]
    raise K2ReproError(
        f"{artifacts} holds no mini-K2 checkpoint. Usual cause: a clone without its artifacts; "
        "`make reproduce` builds them"
    )


def shipped_judge(artifacts: Path) -> Path:
    """The judge of that solver: the SFT model of another seed, a minute longer on solved problems.

    Raises K2ReproError when there is none.
    """
    found = _shipped(artifacts)
    if "judge" not in found:
        raise K2ReproError(
            f"{artifacts} holds no judge of mini-K2: name the folder of one with --judge FOLDER, or build it "
            "with `make reproduce` (notebook 05 makes it). Usual cause: a clone without its artifacts"
        )
    return found["judge"]


def _shipped(artifacts: Path) -> dict[str, Path]:
    """Folders of weights by the name of the model."""
    found: dict[str, Path] = {}
    for manifest in sorted(artifacts.glob("weights/*/manifest.json")):
        found.setdefault(read_manifest(manifest.parent)["recipe"]["params"]["name"], manifest.parent)
    return found


def servable_copy(checkpoint: Path, target: Path) -> Path:
    """A copy of a mini-K2 checkpoint that servers run as it was trained; returns `target`.

    The shipped checkpoints were written before `save_checkpoint` said all that a server needs
    (`k2repro.mini.checkpoint.serving_defaults`). Raises K2ReproError when `target` is there already.
    """
    from k2repro.mini.checkpoint import serving_defaults  # needs torch

    if target.exists():
        raise K2ReproError(f"{target} is there already: name a folder that is not")
    shutil.copytree(checkpoint, target)
    text = json.dumps(serving_defaults(), indent=2) + "\n"
    (target / "generation_config.json").write_text(text, encoding="utf-8")
    return target
