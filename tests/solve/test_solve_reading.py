"""A judge that reads, the solver's own certainty, a plan of one's own: on the mini-K2 that ships."""

from dataclasses import replace

import pytest
import torch

from k2repro.engine import LocalBackend
from k2repro.engine.backend import Completion, Request
from k2repro.engine.reading import read_plainly
from k2repro.errors import K2ReproError
from k2repro.planning import Plan
from k2repro.results import Places
from k2repro.solve import ChatDialect, Roles, SolveSettings, solve
from k2repro.solve.mini import SETTINGS, MiniDialect, given_plan, shipped_checkpoint, shipped_judge
from k2repro.solve.reading import LocalReader
from k2repro.solve.roles import JUDGE_READS, SOLVER_READS

QUESTION = "q=7 m: - p i i=4 p: + q i ? m p"


def backend_of(folder):
    return LocalBackend.from_checkpoint(folder, compiled=False)


@pytest.fixture(scope="module")
def artifacts():
    return Places.find().shipped_artifacts("laptop")


@pytest.fixture(scope="module")
def mini(artifacts):
    return backend_of(shipped_checkpoint(artifacts))


@pytest.fixture(scope="module")
def judge(artifacts, mini):
    return LocalReader(backend_of(shipped_judge(artifacts)), mini)


class Silent:
    """A solver that must not be asked."""

    name = "silent"

    def complete(self, requests, *, progress=None):
        raise AssertionError("a sample was drawn before everything was checked")


def test_the_judge_reads_every_sample_behind_its_own_prompt(mini, judge, artifacts):
    """Catches a planned sample read behind the bare question, the solver judging itself, and a free judge."""
    settings = replace(SETTINGS, select="judge+own")
    roles = Roles(mini, readers={JUDGE_READS: judge})
    found = solve(QUESTION, roles, MiniDialect(), settings, seed=0)
    model = backend_of(shipped_judge(artifacts)).model
    question, (plan,) = MiniDialect().check(QUESTION), found.plans
    for at, (completion, score) in enumerate(zip(found.completions, found.scores, strict=True)):
        prompt = MiniDialect().prompt(question, plan if found.candidates[at].planned else None)
        by_hand = read_plainly(model, mini.tokens_of(prompt), completion.tokens).logprobs.sum()
        assert score == pytest.approx(float(by_hand + completion.logprobs.sum()), abs=1e-3)
    assert [each.planned for each in found.candidates] == [False, False, True]
    assert found.usage["judge"].calls == 3 and found.usage["judge"].output_tokens == 0
    assert found.usage["judge"].prompt_tokens > sum(each.count for each in found.completions)


def test_self_certainty_is_the_solvers_own(mini):
    """Catches a certainty that is the likelihood again, or another model's."""
    settings = replace(SETTINGS, select="self-certainty")
    roles = Roles(mini, readers={SOLVER_READS: LocalReader(mini, mini)})
    found = solve(QUESTION, roles, MiniDialect(), settings, seed=0)
    question, (plan,) = MiniDialect().check(QUESTION), found.plans
    for at, (completion, score) in enumerate(zip(found.completions, found.scores, strict=True)):
        prompt = MiniDialect().prompt(question, plan if at == 2 else None)
        by_hand = read_plainly(mini.model, mini.tokens_of(prompt), completion.tokens).certainty.mean()
        assert score == pytest.approx(float(by_hand), abs=1e-4)


@pytest.mark.parametrize(
    ("select", "readers", "said"),
    [
        ("judge", {}, "needs a judge: name one, or choose among"),
        ("knock-out", {JUDGE_READS: None}, "only reads. Choose among judge, judge\\+own"),
        ("self-certainty", {}, "servers do not tell"),
    ],
)
def test_whoever_is_missing_is_named_before_a_sample_is_paid_for(select, readers, said):
    """Catches a selection that turns out impossible when all samples are drawn."""
    settings = replace(SETTINGS, select=select)
    with pytest.raises(K2ReproError, match=said):
        solve(QUESTION, Roles(Silent(), readers=readers), MiniDialect(), settings, seed=0)


def test_a_judge_whose_weights_diverged_is_refused_before_a_sample(mini, artifacts):
    """Catches a judge of NaN: its scores would be neither the best nor not the best."""
    broken = backend_of(shipped_judge(artifacts))
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(float("nan"))
    roles = Roles(Silent(), readers={JUDGE_READS: LocalReader(broken, mini)})
    with pytest.raises(
        K2ReproError, match=r"cannot read the question.*NaN.*Usual cause: weights that diverged"
    ):
        solve(QUESTION, roles, MiniDialect(), replace(SETTINGS, select="judge"), seed=0)


def test_a_judge_with_another_vocabulary_is_refused(mini, artifacts):
    """Catches a judge that reads other words than were written, as long as the numbers fit its table."""
    from tokenizers import Tokenizer

    other = Tokenizer.from_str(mini.tokenizer.to_str())
    other.add_tokens(["another word"])
    foreign = LocalBackend(mini.model, other, name="foreign", compiled=False)
    with pytest.raises(K2ReproError, match=r"foreign and .* differ at 'another word'.*another family"):
        LocalReader(foreign, mini)
    with pytest.raises(K2ReproError, match="no tokenizer"):
        LocalReader(LocalBackend(mini.model, compiled=False), mini)


def test_a_plan_of_ones_own_is_followed(mini):
    """Catches a plan that is taken and not read."""
    first = {}
    for words in ("p m", "plan m p"):
        found = solve(
            QUESTION, Roles(mini), MiniDialect(), replace(SETTINGS, n=2), seed=0, plan=given_plan(words)
        )
        assert [each.planned for each in found.candidates] == [False, True]
        assert found.plans[0].source == "given"
        first[words] = found.candidates[1].text.partition("<think>")[2][:3]
    assert first == {"p m": " p?", "plan m p": " m?"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "it is empty"),
        ("plan", "it is empty"),
        ("p z", "names 'z', and what is to be worked out is m p"),
        ("q p m", "names 'q', and what is to be worked out is m p"),
        ("p m p", "names 'p' twice"),
        (" ".join(["p"] * 600), "names 'p' twice"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_with_an_example(words, said):
    """Catches an empty plan, a stranger's name, and a plan longer than the context that reach the solver."""
    with pytest.raises(K2ReproError, match=rf"{said}.*Example: 'p m' for"):
        solve(QUESTION, Roles(Silent()), MiniDialect(), SETTINGS, seed=0, plan=given_plan(words))


def test_a_plan_is_not_taken_where_nobody_would_read_it():
    """Catches a plan that is dropped without a word."""
    settings = replace(SETTINGS, planned=0)
    with pytest.raises(K2ReproError, match="no sample shall read one"):
        solve(QUESTION, Roles(Silent()), MiniDialect(), settings, seed=0, plan=given_plan("p m"))
    with pytest.raises(K2ReproError, match="the plan that is given is empty"):
        solve("q", Roles(Silent()), ChatDialect(), SolveSettings(select="majority"), seed=0, plan=Plan(" "))


def test_a_plan_longer_than_the_context_is_refused_with_its_length(mini):
    """Catches a prompt that is cut in silence."""
    long = MiniDialect().prompt(MiniDialect().check(QUESTION), Plan(" plan" + " p m" * 300))
    with pytest.raises(
        K2ReproError, match=r"prompt 0 has 6\d\d tokens; .* holds 512.*Usual cause: .* a plan"
    ):
        mini.complete([Request(long, 20)])


class Prose:
    """A solver that never states an answer."""

    name = "prose"

    def complete(self, requests, *, progress=None):
        return [[Completion((5, 6), "length", text="I do not know")] * each.n for each in requests]


@pytest.mark.parametrize("select", ["majority", "random"])
def test_when_no_sample_can_be_read_it_is_said_and_there_is_no_answer(select):
    """Catches a vote among nothing that wins, and an end without a word."""
    said = []
    settings = replace(SETTINGS, planned=0, select=select)
    found = solve(QUESTION, Roles(Prose()), MiniDialect(), settings, seed=0, tell=said.append)
    assert found.answer is None and found.tied == 3
    assert any("none of 3 samples states an answer that can be read; usual causes" in line for line in said)


@pytest.mark.parametrize("n", [0, -1])
def test_no_samples_are_no_settings(n):
    """Catches N = 0 that counts as not given."""
    with pytest.raises(K2ReproError, match=f"{n} samples, 0 planned: at least one sample"):
        SolveSettings(n=n, planned=0)
