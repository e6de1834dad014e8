# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Reinforcement learning: what a verifier teaches
#
# **Shows:** GRPO with rewards of 0 and 1 on maths and on code, from the
# fine-tuned model and from the base, with a response budget that is cut and
# restored, and with a broken reward; every gain with its interval, and once
# more over five seeds.
#
# **In short:** a program that checks answers is enough to teach; what it pays
# for is what is learnt, meant or not. On the fine-tuned model a lower
# temperature does much of what training does. And the loss curve shows none of
# this.
#
# K2-Think's second pillar is *reinforcement learning with verifiable
# rewards* (RLVR). The model answers, a program judges, and what was right
# becomes more likely. The paper's Figure 4 makes four statements: the
# fine-tuned model gains a little, the base gains much, the base still ends
# below, and a run whose responses were cut short struggles to recover the
# original performance when the full budget returns (its AIME curve touches
# that level once, and ends below it).
#
# Here the four are measured on **mini-K2**, each run three times, on
# problems that training has never seen. Two controls ask whether the
# verifier is what teaches. What holds at this size need not hold at
# K2-Think's, nor the other way round; a table near the end says which of the
# four came out so far.

# %% tags=["parameters"]
profile = "laptop"

# %%
from statistics import fmean

from k2repro.lab import choices, predictions, rlvr_curves, rlvr_rows
from k2repro.lab.scale import Scale
from k2repro.lessons import lax, published, sandbox
from k2repro.mini.benchmarks import MATHS, benchmark_problems
from k2repro.notebook import (
    checked_parameters, expected, show, show_code, show_table, tell)
from k2repro.notebook.text import fill
from k2repro.paper import load_facts
from k2repro.pictures import rlvr as pictures
from k2repro.pictures import rlvr_effects as effects
from k2repro.results import open_rows

globals().update(checked_parameters("03_rlvr", globals()))
scale = Scale.of_profile(profile)
rows = open_rows("03_rlvr", profile=profile,
                 parameters={**scale.rl_parameters(),
                             **scale.steady_parameters()})
book = load_facts()

# %% [markdown]
# ## From a reward to a gradient
#
# GRPO asks one prompt several times and compares the responses with each
# other. What was better than the group's mean gets a positive *advantage*,
# what was worse a negative one. A group that is all right or all wrong says
# nothing.
#
# Expect two groups of four: in the first, one response of four is right,
# and its advantage is large. In the second all are right, and all
# advantages are 0.

# %%
from k2repro.rlvr import group_advantages

rewards = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
advantages = group_advantages(rewards, 4)
show_table([
    {"group": at // 4 + 1, "reward": reward, "advantage": round(value, 2)}
    for at, (reward, value) in enumerate(
        zip(rewards, advantages.tolist(), strict=True))
], caption="Rewards and advantages of two groups")

# %% [markdown]
# ### Why the loss starts at zero
#
# The loss of a response is minus its advantage times the ratio of its
# probability now to that at sampling. In the first step after sampling that
# ratio is one, and advantages of a group add up to nothing: for responses of
# one length **the loss is zero whatever the model has learnt**, and averaged
# over tokens it only shows how length goes with reward. Its gradient is not
# zero.
#
# Expect a loss of zero, and a gradient that raises the right response of
# the first group, lowers the other three, and leaves the second group
# alone.

# %%
import torch

from k2repro.rlvr import grpo_loss

logprobs = torch.full((8, 1), -2.0, requires_grad=True)
loss, _ = grpo_loss(logprobs, logprobs.detach(), advantages,
                    torch.ones(8, 1, dtype=torch.bool))
loss.backward()
rows.add("rlvr.first_step.loss", abs(loss.item()), unit="nats",
         scale="mini", n=8)
show_table([
    {"response": at + 1, "advantage": round(advantages[at].item(), 2),
     "its log-probability goes": "up" if slope < 0 else
     "down" if slope > 0 else "nowhere"}
    for at, slope in enumerate(logprobs.grad.flatten().tolist())
], caption="Loss zero, gradient not")
assert rows["rlvr.first_step.loss"].value < 1e-6

# %% [markdown]
# ## The whole method on one page
#
# GRPO ([DeepSeekMath](https://arxiv.org/abs/2402.03300), section 4.1) needs no
# learned reward and no value network. For a group of $G$ answers with rewards
# $r_i$:
#
# $$A_i = \frac{r_i - \bar r}{s_r + 10^{-4}}, \qquad
#   L = -\frac{1}{\sum_i T_i} \sum_{i,t} \min\big(\rho_{it} A_i,\;
#   \mathrm{clip}(\rho_{it}, 1 - c, 1 + c)\, A_i\big)$$
#
# where $\rho_{it}$ says how much likelier token $t$ of answer $i$ became since
# it was sampled. The page is `k2repro/rlvr/grpo.py`; the fast path that trains
# below is held equal to it by tests.

# %%
from k2repro.rlvr.grpo import (
    advantages_in_group, answer_logprobs, grpo_step, policy_loss)

show_code(advantages_in_group, answer_logprobs)

# %%
show_code(policy_loss)

# %%
show_code(grpo_step)

# %% [markdown]
# Now some steps for real, on a model of random weights that never saw a text.
# Its judge pays for an answer whose first token has an even number: a rule
# that only a reward can teach.

# %% tags=["show-code", "nbval-ignore-output"]
from k2repro.architecture import ModelConfig
from k2repro.architecture.parity import random_decoder

tiny = ModelConfig(
    vocab_size=32, hidden_size=32, intermediate_size=64,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
policy = random_decoder(tiny, torch.Generator().manual_seed(0))
optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
chance = torch.Generator().manual_seed(1)
paid = []
for _ in range(12):
    numbers = torch.rand(4, 8, 3, dtype=torch.float64, generator=chance)
    step = grpo_step(
        policy, optimizer, [[1], [2], [3], [4]],
        lambda question, answer: float(answer[0] % 2 == 0),
        numbers, stop=[0])
    paid.append(step.rewards.mean().item())
print("mean reward, step by step:", " ".join(f"{r:.2f}" for r in paid))

# %%
expected("Reward alone teaches the rule: the last four steps are paid more "
         "than the first four.", holds=sum(paid[-4:]) > sum(paid[:4]))

# %% [markdown]
# ## The settings, published and here
#
# K2-Think's own script for this stage was not published. The table shows the
# public example of the same group, and what mini-K2 does instead. Learning
# rates are larger and batches smaller here: a model of a million parameters
# needs both.

# %%
show_table(published.grpo_records(book),
           caption="GRPO: a published 32B example and mini-K2's")

# %% [markdown]
# ## A verifier that can be hacked
#
# What is rewarded is learnt, not what was meant. Here are three verifiers:
# one that wants the right answer in the answer place and nothing beside it,
# and two lax ones of a kind that is in use. Four kinds of responses try to
# be paid without solving anything; the first solves the problem.
#
# Expect the strict one to pay for solving, and by luck for a guess now and
# then. Expect the lax ones to pay in full for a list of all digits.

# %%
some = [problem for tier in MATHS
        for problem in benchmark_problems(tier, "validation", 25)]
paid = lax.lax_records(some)
show_table(paid, caption=f"Mean reward over {len(some)} problems")
for line in paid:
    for verifier in ("strict", "anywhere"):
        what = line["response"].replace(" ", "-")
        rows.add(f"rlvr.hack.{verifier}.{what}", line[verifier],
                 unit="fraction", scale="mini", n=len(some))

# %% [markdown]
# In a group that holds one response of each kind, this is what GRPO would
# push up (+) and down (−). Expect the strict verifier to single out the
# honest response, and the lax ones to make no difference between honesty
# and a list.

# %%
show_table(lax.lax_advantages(some[0]),
           caption="Advantages in one group, by verifier")

# %% [markdown]
# ## A reward that runs code
#
# For programs the reward is the outcome of hidden tests. The program comes
# from a model, so it is treated as hostile: it runs in a sandbox with
# limits on time and memory, without files and network, and what it prints
# counts for nothing. The expected values never enter the sandbox.
#
# Expect one program of eight to be paid. Which sandbox is used depends on
# the system; a program that the fastest one cannot run is given to the
# next.

# %% tags=["nbval-ignore-output"]
judged = sandbox.sandbox_records()
show_table(judged, caption="Programs that are asked for f(2, 3) = 5")

# %%
assert [line["reward"] for line in judged] == [1.0] + [0.0] * 7

# %% [markdown]
# ## The runs
#
# Seven kinds of runs, with three seeds where a prediction depends on it:
#
# - **from-sft** and **from-base** are the paper's two runs;
# - **short-budget** cuts the responses for half of the run, then restores
#   the full length;
# - **broken-reward** pays for any answer, and **uncentred** leaves the
#   group's mean in: two controls;
# - **code** and **code-from-sft** train on programs alone.
#
# Runs from SFT draw half of their problems from the hardest tier: of the
# easy ones that model solves nearly all, and a group that is all right
# teaches nothing. The completions of a prompt begin alike, and an update
# reads what they share once, as a prefix tree.
#
# The next cell makes what is missing. With the results that ship it takes
# seconds; from nothing, about 20 minutes on two cores, a quarter of them for
# scoring, the starts of notebook 02 not counted. A stopped run goes on where
# it was.

# %% tags=["nbval-ignore-output"]
from k2repro.lab.rlvr import carry_out_rl
from k2repro.results.store import open_store

results = carry_out_rl(scale, open_store(profile))
rows.rest_on(results.machine)

# %% [markdown]
# ### The loss says nothing
#
# The loss stays small beside what the reward does. In the first steps from base
# it lies below zero, since right answers are longer there: it shows how length
# goes with reward, not how much was learnt.

# %% tags=["nbval-ignore-output"]
logs = results.logs
figure, records = pictures.loss_picture(
    [logs["from-sft"][0], logs["from-base"][0]])
paid_for = {run: [each["reward"] for each in records if each["run"] == run]
            for run in dict.fromkeys(each["run"] for each in records)}
climbs = [f"{run}: {fmean(paid[:8]):.2f} to {fmean(paid[-8:]):.2f}"
          for run, paid in paid_for.items()]
show(figure, alt="Above, the loss of two runs step by step around zero; "
     "below, their rewards.", table=records,
     takeaway="Mean reward of the first eight steps and of the last: "
     f"{'; '.join(climbs)}. The loss tells none of it.")

# %% [markdown]
# ### Why the reward goes up and down
#
# Each step asks other problems, some hard, some easy. The grey line shows
# what a model that never changes would earn on batches of the same kind.
# A single step tells next to nothing: much of the way up and down is the
# problems, not the learning.

# %%
one = logs["from-sft"][0]
run = [each.reward for each in one.records]
still = rlvr_curves.still_rewards(
    results.compared("sft", "from-sft")[0], one.run.tiers,
    prompts=scale.prompts, group=scale.group, steps=1000,
    generator=rlvr_rows.generator_of("rlvr.still"))

# %% tags=["nbval-ignore-output"]
figure, records = pictures.noise_picture(run, still)
inside = sum(each["band low"] <= each["run"] <= each["band high"]
             for each in records)
show(figure, alt="Reward of each step of a run and of a model that does "
     "not change, with a band that holds nearly all batches of the latter.",
     table=records, takeaway=f"{inside} of the run's {len(records)} steps "
     "earn what a batch can earn without any learning: a single step tells "
     "next to nothing.")

# %% [markdown]
# ### Sampling and training must agree
#
# One program samples, another computes the gradient. If their probabilities
# differ, the ratio is not one, and the run learns from a model that it is
# not. Mean and largest difference are logged at every step; a large mean is
# a warning, and a run stops where a single token is far off. Look for a mean
# far below a ten-thousandth, and a few single tokens above it.

# %% tags=["nbval-ignore-output"]
updates = [each for seeds in logs.values() for log in seeds.values()
           for each in log.records if each.gap is not None]
ROUNDING = 1e-4
near = sum(each.gap < ROUNDING for each in updates)
print(f"{len(updates)} updates; mean difference of log-probability at most "
      f"{max(each.gap_mean for each in updates):.0e} nats, "
      f"that of any single token {max(each.gap for each in updates):.0e};"
      f"\nevery token within {ROUNDING:g} in {near} updates")

# %%
assert max(each.gap_mean for each in updates) < ROUNDING / 10

# %% [markdown]
# Are the few a fault, or rounding? The model at the end of a run from SFT
# answers some problems, and its own weights in 64 bit judge. Expect sampler,
# training and the plain module, all in 32 bit, to be about as far from the
# judge as from each other. The means are alike; which token is the worst,
# and how bad it is, is chance.

# %% tags=["nbval-ignore-output"]
from k2repro.lessons import rounding
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS
from k2repro.mini.checkpoint import load_checkpoint

tuned = load_checkpoint(results.tuned)
asked = [tuple(tokenizer.encode(tokenizer.prompt_text(each.question)))
         for each in some[::5]]
logprobs = rounding.logprobs_by_way(tuned, rounding.sampled_rollouts(
    tuned, asked, n=1, max_new_tokens=MAX_NEW_TOKENS,
    stop=[tokenizer.turn_end()]))
apart = rounding.rounding_records(logprobs)
show_table(apart, caption="How far apart sampler, training, plain module "
           "and 64 bit put the log-probabilities of the same tokens")

# %%
largest = {each["between"]: each["largest (nats)"] for each in apart}
assert largest["sampling and 64 bit"] < 10 * largest["module and 64 bit"]
assert largest["training and 64 bit"] < 10 * largest["module and 64 bit"]

# %% [markdown]
# ## pass@1 along the runs, and Figure 4
#
# On the left, a probe of validation problems along the runs, averaged over
# seeds, with intervals; responses count under the budget that the run had
# at the time, as in the paper's figure. On the right, the paper's curves,
# read off a screenshot. Heights cannot be compared, shapes can.
#
# The run with a short budget starts low, since long responses do not fit, and
# jumps where the full budget returns.

# %%
curves = rlvr_curves.curves(results, list(pictures.PUBLISHED))
rlvr_rows.add_rows(rows, rlvr_curves.landmark_rows(curves))

# %% tags=["nbval-ignore-output"]
figure, records = pictures.curves_picture(curves, book)
ways = [f"{pictures.MODELS[run]} {points[0].effect.value:.0%} to "
        f"{points[-1].effect.value:.0%}" for run, points in curves.items()]
show(figure, alt="Left: pass@1 of three runs on mini-K2 against steps, "
     "with intervals. Right: the published scores of the "
     "same three kinds of runs.", table=records,
     takeaway=f"On mini-K2's probe: {'; '.join(ways)}. The two panels "
     "cannot be compared in height, only in shape and in the order of "
     "their runs.")

# %%
ends = [rows[f"rlvr.curve.{run}.last"].value
        for run in ("from-base", "from-sft")]
expected("The run from base climbs by more than the run from SFT, and ends "
         "below it.", holds=bool(
             ends[0] - rows["rlvr.curve.from-base.start"].value
             > ends[1] - rows["rlvr.curve.from-sft.start"].value
             and ends[0] < ends[1]))

# %% [markdown]
# ## What it adds, on problems never seen
#
# The probe is small and is looked at often. The judgement is made once, on
# the test problems of every tier, with the same random numbers before and
# after: the two models differ by their weights and by nothing else.
# Intervals come from resampling seeds and problems.
# Models with fewer seeds stand on other starts, so they have a table of
# their own, in which SFT and its run are repeated on those seeds alone;
# differences below always pair a run with its own start.

# %%
rates = rlvr_rows.pass_rates(results)
rlvr_rows.add_rows(rows, rates)
for caption, records in effects.rate_records(rates).items():
    show_table(records, caption=caption)

# %% [markdown]
# The gains are differences of pass@1, in points: one point is one answer in a
# hundred. The model from SFT is high already and has little room.

# %%
gains = rlvr_rows.gains(results)
levels = rlvr_rows.final_levels(results)
rlvr_rows.add_rows(rows, gains | levels)

# %% tags=["nbval-ignore-output"]
figure, records = effects.effects_picture(
    {effects.gain_words(row): effect for row, effect in gains.items()},
    "What reinforcement learning adds", "points of pass@1")
show(figure, alt="Gains by tier with intervals, from SFT above and from "
     "base below; a dot for each seed.", table=records,
     takeaway=fill(rows, "Over the tiers {rlvr.gain_from_sft.mean:pts} "
     "from SFT and {rlvr.gain_from_base:pts} from base; each small circle "
     "is one seed."))

# %%
tell(rows, """
From SFT: {rlvr.gain_from_sft.mean:ci pts}. From base:
{rlvr.gain_from_base:ci pts}. The run from SFT still ends higher, by
{rlvr.final_from_sft_minus_final_from_base:ci pts}.
""")

# %% [markdown]
# ## How much of it is mere sharpening?
#
# A fine-tuned model often knows the right token and samples another. Whoever
# samples it at a lower temperature gets better answers without any
# training. Reinforcement learning can do the same: the scales of the last
# norm multiply all logits, and reward pushes them up. So the fair question
# is what the gain from SFT looks like beside a temperature of 0.7, and what
# is left of it when both models are sampled there.
#
# If a temperature alone brings what training brings, reinforcement learning
# made likely what the model could do already.

# %%
from k2repro.lab.pools import SHARP

sharper = rlvr_rows.sharpening(results)
rlvr_rows.add_rows(rows, sharper)
ROWS = {
    "rlvr.gain_from_sft.mean": "RL minus SFT, temperature 1",
    "rlvr.sharp_sft_minus_sft": f"SFT at {SHARP} minus SFT at 1: untrained",
    "rlvr.from_sft_minus_sharp_sft": f"RL at 1 minus SFT at {SHARP}",
    "rlvr.sharp_from_sft_minus_sharp_sft": f"RL minus SFT, both at {SHARP}",
}
show_table(effects.effect_records(
    {words: (gains | sharper)[row] for row, words in ROWS.items()}),
    caption="The gain from SFT and a lower temperature, points of pass@1")

# %%
tell(rows, """
A temperature of 0.7 alone brings {rlvr.sharp_sft_minus_sft:ci pts},
training {rlvr.gain_from_sft.mean:ci pts}. With both models at 0.7 the gain
is {rlvr.sharp_from_sft_minus_sharp_sft:ci pts}.
""")

# %% [markdown]
# ## Sharper, or able to do more?
#
# A model that is right once in fifty samples *can* solve a problem; pass@1
# hardly shows it. Yue et al. ([2025](https://arxiv.org/abs/2504.13837)) ask
# whether RL teaches what the model before it could not do, or makes likely
# what it sampled now and then. Their test is pass@k at large k: they find
# RL ahead at k = 1, and behind at large k. Whatever SFT solves with enough
# samples, it could do already.
#
# On the tiers above, sixteen samples of SFT solve nearly everything, so that
# little could be told apart. Here both models get problems longer than
# any in training, of 15 and 16 operations, that nothing else asks.
# Temperatures are chosen on validation problems, for one sample and for many.
#
# Expect what sharpening alone would give: RL ahead with one sample, and not
# ahead with 64. With the results that ship the next cell takes a second; from
# nothing, an estimated eight minutes on two cores.

# %% tags=["nbval-ignore-output"]
from k2repro.lab.large_k import carry_out_large_k

many = carry_out_large_k(scale, open_store(profile))
rows.rest_on(many.machine)

# %%
from k2repro.lab import large_k_rows

show_table(
    large_k_rows.chosen_records(many),
    caption="Tried and chosen on validation problems, mean over seeds")

# %% [markdown]
# Both at temperature 1, where both were trained.

# %%
from k2repro.pictures import large_k as large_k_pictures

ks = large_k_rows.ks_of(many)
curves = large_k_rows.curves(many)
versus = large_k_rows.differences(many)
rlvr_rows.add_rows(rows, curves | versus)
crossing = large_k_rows.crossing(versus, ks)

# %% tags=["nbval-ignore-output"]
figure, records = large_k_pictures.pass_at_k_picture(curves, ks, crossing)
single, most = "rlvr.large_k.same.k1", f"rlvr.large_k.same.k{ks[-1]}"
ahead = ("RL is ahead at every k." if crossing is None else
         f"In the mean RL is no longer ahead from k = {crossing} on.")
show(figure, alt="pass@k of SFT and of RL from SFT over k from 1 on, a "
     "thin line for each seed.", table=records,
     takeaway=fill(rows, f"RL minus SFT: {{{single}:pts}} with one sample, "
                   f"{{{most}:pts}} with {ks[-1]}. {ahead}"))

# %%
expected("With one sample RL is ahead of SFT; with the most samples it is "
         "not shown to be.", holds=bool(
             rows[single].interval[0] > 0 >= rows[most].interval[0]))

# %% [markdown]
# The same at each model's own temperatures, and three controls with one
# sample: SFT at the temperature where it is as unsure as RL, token by token;
# SFT with the scales of RL's last norm, 128 numbers and nothing else of RL;
# and RL with SFT's.

# %%
exchanged = large_k_rows.controls(many)
rlvr_rows.add_rows(rows, exchanged)
ROWS = {
    "same.k1": "RL minus SFT, one sample, both at 1",
    f"same.k{ks[-1]}": f"RL minus SFT, {ks[-1]} samples, both at 1",
    "best.k1": "RL minus SFT, one sample, each at its best",
    f"best.k{ks[-1]}": f"RL minus SFT, {ks[-1]} samples, each at its best",
    "matched.k1": "RL minus SFT at equal entropy, one sample",
    "rl_norm_minus_sft": "SFT with RL's last norm, minus SFT",
    "from_sft_minus_rl_norm": "RL minus SFT with RL's last norm",
    "sft_norm_minus_sft": "RL with SFT's last norm, minus SFT",
}
both = versus | exchanged
show_table(effects.effect_records(
    {words: both[f"rlvr.large_k.{row}"]
     for row, words in ROWS.items()}),
    caption="What reinforcement learning adds, points of pass@k")

# %%
sole = large_k_rows.alone(many)
rlvr_rows.add_rows(rows, sole)
warm = f"rlvr.large_k.best.k{ks[-1]}"
tell(rows, f"""
**At one temperature**, with one sample, RL minus SFT is
{{{single}:ci pts}}; with {ks[-1]} it is {{{most}:ci pts}}. Of the problems,
{{rlvr.large_k.only_rl:ci pct}} are solved by some sample of RL and by none
of SFT; the other way round {{rlvr.large_k.only_sft:ci pct}}.

**At its own temperature**, chosen on validation problems, RL minus SFT with
{ks[-1]} samples is {{{warm}:ci pts}}.

**With one sample** RL's last norm alone moves SFT by
{{rlvr.large_k.rl_norm_minus_sft:ci pts}}, of
{{rlvr.large_k.gain.k1:pts}} in all; the rest of RL is worth
{{rlvr.large_k.from_sft_minus_rl_norm:ci pts}}. At equal entropy RL minus
SFT is {{rlvr.large_k.matched.k1:ci pts}}.
""")
rows.rest_on(results.machine)

# %% [markdown]
# How to read it. A loss at large k that a temperature takes back is a loss
# of variety in sampling, not of ability; a gain that equal entropy takes
# away is sharpening. What is left then is where new ability could be. An
# interval that reaches zero shows neither: three seeds and thirty problems
# see large effects only, and this is one level of one small world.

# %% [markdown]
# ## A budget that is cut and restored
#
# The paper cut the responses of one run to half, and restored the full
# length later; the score fell and did not come back. The first row below is
# mostly truncation: under the short budget long responses are cut off. The
# paper's sentence is about the original performance, which the fourth row
# measures: the restored run against its start. The last row compares it
# with a run that had the full budget for twice as many steps.

# %%
budgets = rlvr_rows.budgets(results)
rlvr_rows.add_rows(rows, budgets)
ROWS = {
    "rlvr.short_budget_minus_sft": "at the switch, short budget, minus SFT",
    "rlvr.short_budget_minus_sft.both_short":
        "at the switch minus SFT, both under the short budget",
    "rlvr.short_budget_minus_sft.full_budget":
        "at the switch minus SFT, both with the full budget",
    "rlvr.two_stage_minus_sft": "at the end minus SFT",
    "rlvr.two_stage_minus_full_budget":
        "at the end minus the full-budget run",
}
show_table(effects.effect_records(
    {words: budgets[row] for row, words in ROWS.items()}),
    caption="A short response budget, and after")

# %%
recovers = rows["rlvr.two_stage_minus_sft"].value > 0
expected("In these three seeds the restored run ends above the fine-tuned "
         "start: the opposite of the paper's sentence. (The ledger decides "
         "by the steady seeds, near the end.)", holds=bool(recovers))
tell(rows, """
Of the SFT model's responses, {rlvr.sft_within_short_budget:pct} are right
within the short budget. Training under it moves them by
{rlvr.short_budget_minus_sft.both_short:pts}. After the full budget is back,
the run ends {rlvr.two_stage_minus_sft:ci pts} against the fine-tuned start,
which is what the paper's caption speaks of ("original performance"), and
{rlvr.two_stage_minus_full_budget:ci pts} against the run that was never
cut, which spent all its steps at the full budget.
""")

# %% [markdown]
# ## Is it the verifier that teaches?
#
# The same runs with something broken. If any training of this kind helped,
# a reward that pays for every answer would help too. Without the group's mean
# as a baseline, what is paid is pushed up and nothing is pushed down: by the
# textbook a noisy way to gain little.

# %%
controls = rlvr_rows.controls(results)
rlvr_rows.add_rows(rows, controls)

# %% tags=["nbval-ignore-output"]
figure, records = effects.effects_picture(
    {effects.AGAINST[row]: effect for row, effect in controls.items()},
    "Runs with something broken", "points of pass@1")
show(figure, alt="Differences of the broken runs to their start and to "
     "the sound run, with intervals; what rests on one seed is hollow.",
     table=records, takeaway=fill(rows, "A reward that pays every answer "
     "moves the fine-tuned model by {rlvr.broken_reward_minus_sft:pts}. "
     "The run whose group mean is left in is shown, and decides nothing: "
     "it has one seed."))

# %%
low, _ = rows["rlvr.broken_reward_minus_sft"].interval
expected("A reward that pays for every answer brings no gain.",
         holds=bool(low <= 0))
tell(rows, """
The broken reward moves the model by {rlvr.broken_reward_minus_sft:ci pts}.
Without a baseline the run ends {rlvr.uncentred_minus_sound_run:ci pts} from
the sound one of the same seed; a single seed cannot tell what the baseline
is worth.
""")

# %% [markdown]
# ## What changes in the responses
#
# First the length. The base begins with short, direct answers, so its
# responses have room to grow.

# %%
MODELS = ("base", "from-base", "sft", "from-sft")
lengths = rlvr_rows.lengths(results, MODELS)
rlvr_rows.add_rows(rows, lengths, unit="tokens")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.lengths_picture({
    model: {tier: lengths[f"rlvr.length.{rlvr_rows.LABELS[model]}.{tier}"]
            for tier in MATHS} for model in MODELS})
longest = {model: lengths[f"rlvr.length.{rlvr_rows.LABELS[model]}.tier-4"]
           for model in MODELS}
show(figure, alt="Mean response length by tier for base and SFT, "
     "before and after reinforcement learning.", table=records,
     takeaway="On the hardest tier, in tokens: " + "; ".join(
         f"{pictures.MODELS[model]} {each.value:.0f}"
         for model, each in longest.items()) + ".")

# %% [markdown]
# Then the first mistake of each wrong response, found by a program. Which
# kinds shrink, and which do not?

# %%
mistakes = rlvr_rows.mistakes(results, MODELS)

# %% tags=["nbval-ignore-output"]
figure, records = pictures.mistakes_picture(mistakes)
order = {model: mistakes[model].get("wrong order", 0.0)
         for model in MODELS}
show(figure, alt="Stacked bars: share of responses by kind of first "
     "mistake for base and SFT, before and after.", table=records,
     takeaway="A wrong order is the first mistake of "
     f"{order['base']:.0%} of the base's responses, and of "
     f"{order['from-base']:.0%} after reinforcement learning; of SFT's it "
     f"goes from {order['sft']:.0%} to {order['from-sft']:.0%}.")

# %% [markdown]
# And how sure the model is. Reinforcement learning is known to lower the
# entropy of sampling: it makes likely what it could do already. The table
# corrects its p-values for the number of comparisons (Holm).

# %%
entropies = rlvr_curves.entropies(results, ["from-sft", "from-base"])
rlvr_rows.add_rows(rows, entropies, unit="nats")
changes = (rlvr_rows.trace_changes(results, "from-sft", "sft")
           | rlvr_rows.trace_changes(results, "from-base", "base"))
for name, effect in changes.items():
    rlvr_rows.add_rows(rows, {name: effect},
         unit="tokens" if name.endswith("length") else "fraction")

# %%
from k2repro.evaluate.effects import holm_adjusted

shares = {name: effect for name, effect in changes.items()
          if not name.endswith("length")}
adjusted = holm_adjusted(shares)
plain = {effects.change_words(name): name for name in shares}
show_table(effects.effect_records(
    {words: shares[name] for words, name in plain.items()},
    {words: adjusted[name] for words, name in plain.items()}),
    caption="Changes in the responses, in points of all responses")
tell(rows, """
Entropy of sampling on the probe, nats a token: from SFT
{rlvr.entropy.from-sft.start:.3f} to {rlvr.entropy.from-sft.last:.3f}; from
base {rlvr.entropy.from-base.start:.3f} to
{rlvr.entropy.from-base.last:.3f}.
""")

# %% [markdown]
# ## One problem along a run
#
# One problem, asked at several steps of the run from base; in JupyterLab a
# slider moves along them. Blue lines are right so far, the cross marks the
# first mistake. The problem was chosen for being wrong at first and right at
# the end, where there is one.

# %%
from k2repro.pictures.rlvr_traces import steps_picture, turned_right

from_base = logs["from-base"][0]
chosen = turned_right(from_base, ("tier-2", "tier-1", "tier-3", "tier-4"))

# %% tags=["nbval-ignore-output"]
figure, records = steps_picture(from_base, chosen)
show(figure, alt="The response to one problem after a number of steps, "
     "line by line, with a mark at the first mistake.", table=records,
     takeaway="The verdict on this problem after each number of steps: "
     + "; ".join(f"{each['after steps']}, {each['verdict']}"
                 for each in records) + ".")

# %% [markdown]
# ## Code, by executed tests alone
#
# The runs on programs know nothing but whether hidden tests passed. Of the run
# from SFT a single seed is shown, so it decides nothing.

# %%
code = rlvr_rows.code(results)
rlvr_rows.add_rows(rows, code)
tell(rows, """
On programs, pass@1 of the base goes from {rlvr.code.before:pct} to
{rlvr.code.after:pct}: a gain of {rlvr.code.gain:ci pts}. The SFT model goes
from {rlvr.code-from-sft.before:pct} to {rlvr.code-from-sft.after:pct}:
{rlvr.code-from-sft.gain:ci pts}.
""")

# %% [markdown]
# One program of the probe before and after a run, and what its hidden tests
# said. Expect one that failed and then passed, where a run has one.

# %%
problem, before, after = sandbox.turned_program(
    [log for run in ("code", "code-from-sft")
     for log in logs[run].values()])
for words, source in (("before", before), ("after", after)):
    print(f"{words}:\n{source or '(no program)'}\n")

# %%
if before and after:
    show_table(sandbox.tested_records(problem, before),
               caption="Hidden tests on the program before")
    show_table(sandbox.tested_records(problem, after),
               caption="Hidden tests on the program after")

# %% [markdown]
# ## Once more, with five seeds and longer problems
#
# Three seeds that differ as these do decide little. Notebook 02 ends with
# another recipe, the steady one. Here RL from SFT and RL from base start from
# its five seeds. A quarter of the prompts has a plan; the run from SFT
# practises on five to eight operations, the one from base on two and three
# as well, and all are asked nine to sixteen, once. Three more runs have three
# seeds: a short budget that is restored, a reward that pays every answer, and
# fine-tuning that goes on for about as many tokens instead. In the table of
# differences a seed *agrees* when its own interval lies on the side of the
# mean.

# %%
from k2repro.lab import steady, steady_rows
from k2repro.mini.benchmarks import LEVELS
from k2repro.pictures import steady as steady_pictures

again = steady.carry_out_steady(scale, open_store(profile), with_rl=True)
rows.rest_on(again.machine)
found = steady_rows.rl_levels(again)
changed = steady_rows.rl_effects(again)
steady_rows.add_rows(rows, found | changed)

# %% [markdown]
# Fine-tuning ended at four operations and RL at eight, so every level is
# longer than anything in training. Look at the lowest circles.

# %% tags=["nbval-ignore-output"]
gains = sorted(value for value, _ in
               changed["rlvr.steady.gain_from_sft"].by_seed.values())
figure, records = steady_pictures.levels_picture({
    "SFT": steady_rows.searches(again, steady.SFT),
    "RL from SFT": {each: found[f"rlvr.steady.search.{each}"]
                    for each in LEVELS}},
    "Before and after reinforcement learning")
show(figure, alt="pass@1 on four levels before and after RL, each with an "
     "interval and a small circle for every seed.", table=records,
     takeaway=fill(rows, "RL adds {rlvr.steady.gain_from_sft:pts} over the "
     f"levels; by seed it is {100 * gains[0]:.1f} "
     f"to {100 * gains[-1]:.1f}."))

# %% tags=["nbval-ignore-output"]
figure, records = effects.effects_picture(
    {steady_pictures.COMPARED[row]: changed[row]
     for row in steady_pictures.COMPARED},
    "What each run changes, over the levels", "points of pass@1")
show(figure, alt="Differences of pass@1 with intervals and a small circle "
     "for every seed, beside a line at zero.", table=records,
     takeaway=fill(rows, "Against fine-tuning that went on for about as "
     "many tokens, RL is worth {rlvr.steady.from_sft_minus_longer:pts}."))

# %%
tell(rows, """
From SFT: {rlvr.steady.gain_from_sft:ci pts}. From base:
{rlvr.steady.gain_from_base:ci pts}; the run from SFT ends
{rlvr.steady.final_from_sft_minus_final_from_base:ci pts} against it. A
restored budget against the full one throughout:
{rlvr.steady.two_stage_minus_full_budget:ci pts}, against SFT
{rlvr.steady.two_stage_minus_sft:ci pts}. Every answer paid, against SFT:
{rlvr.steady.broken_reward_minus_sft:ci pts}. An
oracle that picks the best of three samples would add
{rlvr.steady.oracle_minus_single.mean:pts}: the room for notebook 05.
""")

# %% [markdown]
# ## Predicted before the run
#
# What is expected, how large, and from how many seeds and problems, stands in
# `k2repro/lab/predictions.toml`. What was said about many samples and about
# the steady recipe was said before its run. The other numbers above are older
# than that file, and the table says so. With fewer seeds than declared,
# nothing is decided.

# %%
show_table(predictions.standings(predictions.of_room("rlvr"), rows),
           caption="Predicted, and measured so far")

# %% [markdown]
# ## What was chosen, and on what
#
# The number of steps and the rate of the last norm were chosen with earlier
# test scores in sight. That makes the gains above better than they are.

# %%
show_table(choices.choice_records("rl"),
           caption="Changes to the runs, those on test scores first")

# %% [markdown]
# ## What to take home

# %%
tell(rows, """
- With five seeds of the steady recipe RL adds
  {rlvr.steady.gain_from_sft:ci pts} to the fine-tuned model, to every seed,
  and {rlvr.steady.gain_from_base:ci pts} to the base. All that follows is
  of the first recipe, three seeds.
""")

# %%
tell(rows, f"""
- On a few of the longest problems RL minus SFT is {{{single}:pts}} with one
  sample and {{{most}:pts}} with {ks[-1]}, both at temperature 1; with
  {ks[-1]} and each at its own temperature {{{warm}:pts}}.
""")
tell(rows, """
- A verifier and nothing else adds {rlvr.gain_from_sft.mean:pts} to the
  fine-tuned model and {rlvr.gain_from_base:pts} to the base.
- Without training, a temperature of 0.7 adds
  {rlvr.sharp_sft_minus_sft:pts} to the fine-tuned model. With both there,
  training still adds {rlvr.sharp_from_sft_minus_sharp_sft:pts}.
- The run from SFT ends {rlvr.final_from_sft_minus_final_from_base:pts}
  against the run from base.
- A reward that pays for any answer moves the model by
  {rlvr.broken_reward_minus_sft:pts}.
- On programs, executed tests alone are worth {rlvr.code.gain:pts} to the
  base, and {rlvr.code-from-sft.gain:pts} to the fine-tuned model (one run).
""")
saved = rows.save()

# %% [markdown]
# ## Try it
#
# 1. Write a verifier of your own in `k2repro/lessons/lax.py`, and a response
#    that exploits it. How many kinds of responses does yours pay?
# 2. Run again with `scale = replace(scale, rl_steps=0.25)` (from
#    `dataclasses`). Is a quarter of the run a quarter of the gain?
# 3. In `k2repro/lab/rl_runs.py`, give the run from base the learning rates of
#    the run from SFT. What happens to its entropy?

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it. A check
# looks at what your code gives, says what is likely wrong, and stops nothing.

# %%
from statistics import fmean, stdev

from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · Advantages
#
# *Easy · about 10 minutes.* Write how much better than its group each
# response did, in standard deviations of the group (over n - 1). Add 1e-4 to
# the deviation.
#
# <details><summary>Hint</summary>
#
# `statistics.fmean` and `statistics.stdev` are all it takes. What should a
# group give that is all right?
#
# </details>

# %% tags=["exercise"]
def advantages_of(rewards):
    """A list as long as `rewards`, the rewards of one group."""
    ### BEGIN SOLUTION
    mean, spread = fmean(rewards), stdev(rewards)
    return [(reward - mean) / (spread + 1e-4) for reward in rewards]
    ### END SOLUTION

# %% tags=["check"]
checks.group_advantages(advantages_of)

# %% [markdown]
# ### Exercise 2 · When to stop pushing
#
# *Medium · about 10 minutes.* `ratio` says how much likelier a token became
# since it was sampled. Write its part of the loss: minus the smaller of two
# gains, ratio times advantage, and the same with the ratio held between 1 -
# clip and 1 + clip.
#
# <details><summary>Hint</summary>
#
# A loss is minus a gain. Try ratio 0.5 with a positive advantage by hand:
# should it be clipped?
#
# </details>

# %% tags=["exercise"]
def token_loss(ratio, advantage, clip):
    """What one token adds to the loss."""
    ### BEGIN SOLUTION
    held = min(max(ratio, 1 - clip), 1 + clip)
    return -min(ratio * advantage, held * advantage)
    ### END SOLUTION

# %% tags=["check"]
checks.clipped_loss(token_loss)

# %% [markdown]
# ### Exercise 3 · A verifier that is not fooled
#
# *Hard · about 15 minutes.* Write a reward of 1 for a response with exactly
# one finished answer place, `<answer> 7 </answer>`, that holds the right
# answer and nothing else; 0 otherwise. The check tries six tricks.
#
# <details><summary>Hint</summary>
#
# `re.findall` with a group gives what stands between two marks. How many
# places may there be, and may there be an opening mark too many?
#
# </details>

# %% tags=["exercise"]
import re


def reward(response, answer):
    """1.0 for an honest, right answer, else 0.0; both are texts."""
    ### BEGIN SOLUTION
    places = re.findall(r"<answer>(.*?)</answer>", response)
    alone = len(places) == 1 == response.count("<answer>")
    return float(alone and places[0].strip() == answer)
    ### END SOLUTION

# %% tags=["check"]
checks.strict_reward(reward)
