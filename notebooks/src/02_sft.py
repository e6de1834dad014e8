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
# # 02 · Fine-tuning: what long chains of thought teach
#
# **Shows:** a tiny model that learns to reason, pass@1 along its training,
# pass@k before and after, the same model without reasoning, where its
# remaining errors begin, and where seeds part from one another.
#
# **In short:** what fine-tuning on long chains of thought brings is the chain
# itself. The same model, on the same problems, trained to answer at once,
# learns next to nothing. And seeds differ by far more than the intervals of
# any one of them; the last part looks for the reason.
#
# K2-Think's first pillar is *supervised fine-tuning* (SFT) on long chains of
# thought. The paper reports that it lifts pass@1 fast and early, that the
# curve then flattens, and that the fine-tuned model beats its base at every
# number of samples.
#
# Here the same three effects are measured on **mini-K2**: four Qwen2 layers
# of 128 values, trained from nothing on this machine. Its problems can be
# checked by a program, so every answer is judged without opinion. The numbers
# are mini-K2's own. They say how the effects look at this size, and nothing
# about how large they are in the real system.

# %% tags=["parameters"]
profile = "laptop"

# %%
from k2repro.lab import choices, predictions, sft_rows
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import BASE, SFT
from k2repro.lessons import published, specimens
from k2repro.lessons.wording import words
from k2repro.mini.benchmarks import BENCHMARKS, benchmark_problems
from k2repro.notebook import (
    checked_parameters, expected, show, show_code, show_table, tell)
from k2repro.notebook.text import fill
from k2repro.paper import load_facts
from k2repro.paper.figures import PLATEAUS, SATURATION
from k2repro.pictures import sft as pictures
from k2repro.results import open_rows

globals().update(checked_parameters("02_sft", globals()))
scale = Scale.of_profile(profile)
rows = open_rows("02_sft", profile=profile,
                 parameters={**scale.sft_parameters(),
                             **scale.steady_parameters()})
book = load_facts()

# %% [markdown]
# ## The problems
#
# Two families. `variables` asks for values that hang on one another, modulo
# ten, in four tiers of length; the tiers stand beside the paper's four maths
# benchmarks. `programs` shows examples of a small function and asks for its
# code, which hidden tests then judge; it stands beside LiveCodeBench.
#
# Expect one problem of each family, in words. Models read a shorter spelling
# of the same thing.

# %%
from k2repro.mini.rendering import render_problem, response_lines

easy, *_, hardest, code = [
    benchmark_problems(tier, "validation", 1)[0] for tier in BENCHMARKS]
for problem in (easy, code):
    print(f"{problem.tier}: {render_problem(problem)}")
    print(f"  as the model reads it: {problem.question!r}\n")

# %% [markdown]
# Train, validation and test problems never overlap, not even after renaming
# the variables; the data cards in `data_cards/` are computed from the code and
# say how this was checked.

# %% [markdown]
# ## Three ways to answer
#
# What a model learns is decided by what it is shown. The three formats below
# answer the same question.
#
# - **searching** has no plan. It tries a variable, finds that a part of it is
#   unknown, goes there first, and comes back. The last word of a noted
#   definition says where to: the stack of the search is written out.
# - **planned** gets the order of the steps with the question, and goes
#   straight. Planning is a pillar of its own.
# - **direct** writes the answer at once. It is the contrast.
#
# Expect the searching response to be several times as long as the direct one.

# %%
show_table(specimens.formats(easy), caption="One question, three formats")

# %% [markdown]
# The searching response, read aloud. `<think>` and `<answer>` are ordinary
# text between ordinary tokens, as in the real system.

# %%
from k2repro.mini.data import reference_response

for line in response_lines(reference_response(easy, "searching")):
    print(line)

# %% [markdown]
# ## The recipe, published and here
#
# The 32B recipe is a Qwen2.5-32B base, fine-tuned on the distilled traces of
# AM-Thinking-v1. Expect a table of every published setting beside what mini-K2
# does instead. A number in the last column names the source, and the
# confidence says how well the value is attested.

# %%
show_table(published.recipe_records(book),
           caption="Fine-tuning: the 32B recipe and mini-K2's")

# %%
show_table(published.source_records(book), caption="The sources")

# %% [markdown]
# What the published data consists of. Maths is far from half of the instances;
# its traces are long, so its share of the response tokens is larger, about that
# of general chat.

# %%
show_table(published.data_records(book),
           caption="The published data by domain")

# %% [markdown]
# Mini-K2 has no public base to start from, so one is trained first. Expect
# skills from small to large: copying a list, looking values up, single steps
# of arithmetic, short problems, long ones. A last stage then spoils it on
# purpose: `weak` consists mostly of direct answers and sloppy traces. Such a
# base knows more than it shows, as a real base has met solved problems before.

# %%
show_table(specimens.mixture_records((*BASE, *SFT)),
           caption="Mixtures of the base's stages and of fine-tuning")

# %% [markdown]
# ## Packing
#
# Texts differ in length. Rows that are padded to the longest waste most of
# their positions, so several texts share one row, as in the 32B recipe.
# Expect coloured blocks with little space between them: hatched parts are
# prompts, which are read and not learned.

# %%
batches = specimens.packed_batches(SFT[0], seed=0)
packed, padded = specimens.fill_of(batches)
rows.add("sft.packing.fill.packed", packed, unit="fraction", scale="mini",
         n=len(batches))
rows.add("sft.packing.fill.padded", padded, unit="fraction", scale="mini",
         n=len(batches))

# %% tags=["nbval-ignore-output"]
figure, records = pictures.packing_picture(batches[0])
show(figure, alt="Rows of coloured blocks: hatched prompts, plain "
     "responses behind them, and empty ends.", table=records,
     takeaway=fill(rows, "Several texts share a row: "
     "{sft.packing.fill.packed:pct} of all places hold text, against "
     "{sft.packing.fill.padded:pct} with one text a row."))

# %% [markdown]
# Packing is only right if a text does not see its neighbours. The next cell
# compares the logits of packed texts with those of the same texts alone, with
# a fresh model. Its twin leaves the borders out. Look for no difference beyond
# rounding for the first, and a large one for the twin.

# %%
from k2repro.lab.sft_recipe import MODEL
from k2repro.mini.checkpoint import new_model

fresh = new_model(MODEL, 0, MODEL.num_hidden_layers).eval()
for name, apart in (("apart", True), ("together", False)):
    rows.add(f"sft.packing.difference.{name}",
             specimens.packing_difference(fresh, batches[0], apart),
             unit="ratio", scale="mini", n=batches[0].used)
ROUNDING = 1e-4
assert rows["sft.packing.difference.apart"].value < ROUNDING
tell(rows, """
Packed rows hold text in {sft.packing.fill.packed:pct} of all positions,
padded ones in {sft.packing.fill.padded:pct}. Kept apart, texts are
untouched by their neighbours within rounding. Without borders the logits
change by up to {sft.packing.difference.together:pct} of the largest.
""")

# %% [markdown]
# ## The whole method on one page
#
# Supervised fine-tuning is three short functions. They stand in
# `k2repro/training/plain_sft.py`, and the fast path that trains below is held
# equal to them by tests. First the texts of a row, with what is to be learned:
# for a text of prompt $x$ and response $y$ the loss is
#
# $$-\frac{1}{|y|} \sum_t \log p(y_t \mid x, y_{<t})$$
#
# averaged over the response tokens of all texts, with texts of one row kept
# apart.

# %%
from k2repro.training.plain_sft import (
    fine_tune, pack_plainly, sft_loss, sft_step)

show_code(pack_plainly)

# %%
show_code(sft_loss, sft_step)

# %% [markdown]
# Now a few steps for real: an untrained model, and the searching responses of
# some validation problems of the easiest tier.

# %% tags=["show-code", "nbval-ignore-output"]
from k2repro.mini import tokenizer
from k2repro.mini.data import reference_response

lessons = [
    (tokenizer.encode(tokenizer.prompt_text(each.question)),
     tokenizer.encode(reference_response(each, "searching")))
    for each in benchmark_problems("tier-1", "validation", 16)]
page = pack_plainly(lessons, length=512)
pupil = new_model(MODEL, 0, MODEL.num_hidden_layers)
losses = fine_tune(pupil, [page] * 10, steps=10)
print(f"{len(page.tokens)} rows of {page.tokens.shape[1]} tokens; loss "
      f"from {losses[0]:.2f} to {losses[-1]:.2f} nats a token in ten steps")

# %%
expected("Ten steps on the same page lower its loss.",
         holds=losses[-1] < losses[0])

# %% [markdown]
# ## Training
#
# The next cell makes whatever is missing: bases, fine-tuned models and direct
# models for every seed, then everything that they answer. Finished parts are
# kept, and a stopped run goes on where it was. With the results that ship, it
# takes seconds. From nothing, expect about twenty minutes on two cores, with
# a line of progress.
#
# The first stages end when the loss says that their skill is there. A small
# model learns in sudden steps, and the moment of each hangs on the last bit
# of a sum.

# %% tags=["nbval-ignore-output"]
from k2repro.lab.sft import carry_out_sft
from k2repro.results.store import open_store

results = carry_out_sft(scale, open_store(profile))
rows.rest_on(results.machine)

# %% [markdown]
# Expect the loss to fall in steps, and to jump up where a new stage brings a
# harder mixture.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.loss_picture(
    results.histories["base"], "Loss of the base, stage by stage")
ends = [each["million tokens so far"] for each in records
        if each["stage"] == BASE[-1].name]
show(figure, alt="The loss of the base against tokens on a log scale, one "
     "line for each seed; it jumps up where a stage begins.",
     table=records, takeaway=f"The first stages end when their skill is "
     f"there: the seeds need {min(ends):.1f} to {max(ends):.1f} million "
     "tokens for the same list of stages.")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.loss_picture(
    results.histories["sft"], "Loss of fine-tuning")
ends = [each["loss at its end"] for each in records]
show(figure, alt="The loss of fine-tuning against tokens on a log scale, "
     "one line for each seed.", table=records,
     takeaway=f"One recipe, {len(ends)} seeds: the loss ends between "
     f"{min(ends):.3f} and {max(ends):.3f} nats a token.")

# %% [markdown]
# ## pass@1 along the training
#
# The paper's Figure 2 shows pass@1 during fine-tuning: a fast rise, then a
# plateau. Here a probe of validation problems is asked eleven times along the
# way. The claim was declared before the run: more than half of the whole
# gain lies in the first quarter of training. Expect the easy tiers to rise
# before the hard ones.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.curve_picture(
    results.curves["sft"], results.curves["direct"])
first, last = records[0], records[-1]
halfway = {tier: next(100 * each["share of training"] for each in records
                      if each[tier] >= last[tier] / 2)
           for tier in ("tier-1", "tier-4")}
show(figure, alt="pass@1 on the probe against the share of training: a "
     "line for each tier, for programs, for the mean of the maths tiers "
     "and for direct answers.", table=records,
     takeaway="Half of its final height is reached by tier-1 after "
     f"{halfway['tier-1']:g} % of the training, by tier-4 after "
     f"{halfway['tier-4']:g} %. Direct answers go from "
     f"{first['direct, mean']:.1%} to {last['direct, mean']:.1%}.")

# %%
sft_rows.add_rows(rows, sft_rows.curve_rows(results))
sft_rows.add_rows(rows, sft_rows.point_rows(results))
tell(rows, words(rows, """
On the maths probe, pass@1 goes from {sft.curve.start:pct} to
{sft.curve.end:pct}. The first quarter of the steps brings
{sft.gain_share_at_quarter:pct} of the gain, the first half
{sft.gain_share_at_half:pct}, and the last quarter
{sft.gain_share_of_last_quarter:pct}.
""", otherwise="""
On the maths probe, pass@1 goes from {sft.curve.start:pct} to
{sft.curve.end:pct}: too little to be shared out over the training.
"""))

# %% [markdown]
# Figure 2 beside it. Of the paper's figure only two plateaus are known; that
# there are such can be compared, their height cannot. Notebook 08 draws both.

# %%
sft_rows.add_rows(rows, sft_rows.pass_rows(results))
names = {"tier-1": "AIME 2024", "tier-2": "AIME 2025"}
show_table([{
    "K2-Think's benchmark": names[tier],
    "its plateau, published (%)": book.number(key),
    "mini-K2's tier": tier,
    "measured on held-out problems (%)": round(
        100 * rows[f"sft.pass_at_1.final.{tier}"].value, 1),
} for tier, key in PLATEAUS.items()],
    caption="Where fine-tuning ends: Figure 2 and mini-K2")

# %% [markdown]
# ## Base and SFT at every k
#
# pass@k is the chance that at least one of k samples is right. It tells
# whether fine-tuning brought something new, or only made likely what the
# base already had among many samples. The paper's Figure 3 has SFT above
# base at every k. On mini-K2 the base gains much from further samples.

# %%
found = sft_rows.pass_at_k_rows(results)
sft_rows.add_rows(rows, found)
ks = sft_rows.sample_counts(results)

# %% tags=["nbval-ignore-output"]
figure, records = pictures.pass_at_k_picture(found, ks)
few, many = (found[f"sft.pass_at_k.sft.mean.k{k}"].value
             - found[f"sft.pass_at_k.base.mean.k{k}"].value
             for k in (ks[0], ks[-1]))
show(figure, alt="pass@k of base and SFT against k on a log axis, for the "
     "easiest tier and the mean of the maths tiers, with intervals.",
     table=records, takeaway=f"Over the tiers SFT leads its base by "
     f"{100 * few:.0f} points with one sample, and by {100 * many:.0f} "
     f"with {ks[-1]}.")

# %%
tell(rows, "The smallest gain of SFT over base, over all k, is "
     "{sft.pass_at_k.min_gain:.3f}. The last doubling of k adds "
     "{sft.pass_at_k.last_doubling.tier-1:.3f} on the easiest tier, which "
     "ends at {sft.pass_at_k.saturation.tier-1:pct}; the paper reads "
     f"{book.number(SATURATION):g}% for AIME 2024.")

# %% [markdown]
# ## With and without reasoning
#
# The same base, the same problems, but trained to answer at once. If the gain
# came from more training alone, direct answers would show it too. A network of
# four layers cannot follow a chain of steps without writing it down.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.contrast_picture(rows)
show(figure, alt="Bars of pass@1 for base, direct answers and SFT on each "
     "benchmark, with intervals.", table=records,
     takeaway=fill(rows, "The same base, the same problems, over the maths "
     "tiers: {sft.pass_at_1.base.mean:pct} before, "
     "{sft.pass_at_1.direct.mean:pct} after training to answer at once, "
     "{sft.pass_at_1.final.mean:pct} after training with written steps."))

# %%
expected("Direct answers end no higher than the base began.",
         holds=rows["sft.pass_at_1.direct.mean"].value
         <= rows["sft.pass_at_1.base.mean"].value)

# %%
tell(rows, "Reasoning minus direct answers: "
     "{sft.cot_minus_direct.tier-3:pts} on the third tier and "
     "{sft.cot_minus_direct.tier-4:pts} on the hardest; on programs "
     "{sft.cot_minus_direct.code:pts}.")

# %% [markdown]
# It costs tokens. Expect responses that grow with the tier.

# %%
lengths = sft_rows.length_rows(results)
sft_rows.add_rows(rows, lengths)
show_table([{
    "benchmark": tier,
    **{f"{name}, tokens": round(
        lengths[f"sft.tokens.{row}.{tier}"].value, 1)
       for name, row in sft_rows.ROW_NAMES.items()},
    "SFT cut by the budget": f"{lengths[f'sft.cut.{tier}'].value:.1%}",
} for tier in BENCHMARKS], caption="Mean length of a response")

# %% [markdown]
# ## Through one trace
#
# A response of the fine-tuned model, token by token; in JupyterLab a slider
# writes it. Squares mark what the model looks at when it chooses the next
# token, by attention averaged over layers and heads. An average hides what
# single heads do: look for how often the question is read again, not for the
# whole of the reasoning.

# %%
from k2repro.lessons import parity
from k2repro.mini import tokenizer
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.pictures.sft_trace import looked_at, trace_picture

model = load_checkpoint(results.checkpoints["sft"])
[specimen] = specimens.ask(model, [easy])
prompt = tokenizer.prompt_text(easy.question)
looks = parity.attention(
    results.checkpoints["sft"],
    [*tokenizer.encode(prompt), *specimen.tokens])

# %% tags=["nbval-ignore-output"]
figure, records = trace_picture(specimen, looks)
start = len(tokenizer.encode(prompt))
back = [looked_at(looks, start + at)[0][0] < start
        for at in range(len(records))]
show(figure, alt="A response under its question, token by token, with "
     "squares on the tokens that were looked at.", table=records,
     takeaway=f"For {sum(back)} of {len(back)} tokens the place that "
     "weighs most lies in the question, for the others in what the model "
     "has written itself.")

# %% [markdown]
# ## Where the remaining errors begin
#
# A wrong answer says little. A wrong *step* says what is missing, and a
# program can find the first one, since it knows what should stand there.

# %%
mistaken = sft_rows.mistake_rows(results)
sft_rows.add_rows(rows, mistaken)

# %% tags=["nbval-ignore-output"]
figure, records = pictures.mistakes_picture(mistaken)
wrong = {each["benchmark"]: sum(share or 0.0 for name, share in each.items()
                                if name != "benchmark") for each in records}
show(figure, alt="Stacked bars of the kind of first mistake for each "
     "benchmark, as shares of all responses.", table=records,
     takeaway=f"{wrong['tier-1']:.0%} of the responses go wrong on the "
     f"easiest tier, {wrong['tier-4']:.0%} on the hardest, "
     f"{wrong['code']:.0%} on programs; what goes wrong first differs.")

# %%
for tier in ("tier-4", "code"):
    kind = sft_rows.most_common(mistaken, tier)
    share = mistaken[sft_rows.mistake_row(tier, kind)]
    print(f"{tier}: the most common first mistake is {kind!r}, "
          f"in {share.value:.1%} of all responses")

# %% [markdown]
# One such response, read aloud up to its first mistake.

# %%
asked = specimens.ask(model, benchmark_problems("tier-4", "test", 8))
wrong = specimens.first_wrong(asked)
show_table(specimens.read_aloud(wrong),
           caption=f"Greedy on {wrong.problem.id}")

# %% [markdown]
# ## The checkpoint in other hands
#
# A checkpoint that only its maker's code can read is not released. So
# `transformers` loads it here, answers greedily token for token, and its
# `AutoTokenizer` reads every prompt and trace.

# %%
some = [problem for tier in BENCHMARKS
        for problem in benchmark_problems(tier, "test", 3)]
for name, agreed in (
    ("greedy", parity.greedy_agreement(results.checkpoints["sft"], some)),
    ("tokens", parity.token_agreement(results.checkpoints["sft"], some)),
):
    rows.add(f"sft.parity.{name}", agreed.equal / agreed.n,
             unit="fraction", scale="mini", n=agreed.n)
    print(f"{name}: {agreed.equal} of {agreed.n} alike")

# %% [markdown]
# ## Do the seeds agree?
#
# Each seed draws its own weights, batches and samples; the test problems are
# the same. Look how far seeds lie apart: most of the width of the intervals
# of SFT, on the harder tiers and on programs, is theirs.

# %%
show_table(pictures.seed_records(results),
           caption="pass@1 of SFT by seed")

# %% [markdown]
# One recipe, and some seeds end far below the others. A number of three such
# seeds says little about the recipe. Where do they part?
#
# Looked at by kind of text, the loss shows it: what one stage had taught, the
# next undid, and the mean over a mixture hid a skill that was missing. A
# second recipe, the **steady** one, teaches look-ups, plans, returning and
# arithmetic at once, in short and long lists. A stage ends when each skill
# stands below its own bound on fresh texts, or at its last step.
#
# Looked at word by word, on validation problems while that recipe was made,
# nearly all that was left lay on one decision: is this name known already?
# It was taken in the token that also says which name comes next. Here each
# look-up of a search names its variable first, `b?`, and then says what it
# finds. (At first only the asked names were marked. Then the decision was
# learned twice, behind a mark and elsewhere, and of two seeds that fell
# behind each had learned one half of it. All of this was found on other seeds
# than those reported here, and their test problems are others too.)

# %%
from k2repro.lab import steady, steady_rows
from k2repro.mini.traces import searching_trace
from k2repro.mini.variables import system_of
from k2repro.pictures import steady as steady_pictures

print(searching_trace(system_of(easy), marked=True))

# %%
again = steady.carry_out_steady(scale, open_store(profile))
rows.rest_on(again.machine)
show_table(steady_pictures.seed_records(again),
           caption="Stages of the steady base, seed by seed")

# %% [markdown]
# Skills come late, and the seeds get them at other times. Looking up and
# following stay where they are for long and then fall; arithmetic comes down
# little by little. A stage of fixed length ends too early for some seed.

# %% tags=["nbval-ignore-output"]
figure, records = steady_pictures.skills_picture(again, "skills")
late = [each["first within it, at step"] for each in records]
late = [step for step in late if step]
show(figure, alt="The loss of four skills on fresh texts against the "
     "steps of a stage, on a log scale, a line for each seed; dotted lines "
     "are the bounds that end the stage.", table=records,
     takeaway="Bounds are first met after "
     f"{min(late, default=0)} to {max(late, default=0)} steps, by seed and "
     "skill: what is enough for one is too little for another.")

# %% [markdown]
# These seeds are judged on problems of nine to sixteen operations; what they
# trained on ends at four, with a plan at six. The walk is the same at every
# length, and that is what is asked for. Distances that only longer texts have
# were practised all the same: in half of the texts the positions skip, once,
# by up to 300. Each seed was asked three times without a plan and once with
# the program's own, on test problems that nobody had been asked.

# %%
found = steady_rows.sft_levels(again)
agreed = steady_rows.agreement(again) | steady_rows.last_quarter(again)
steady_rows.add_rows(rows, found | agreed)

# %% tags=["nbval-ignore-output"]
from k2repro.mini.benchmarks import LEVELS

figure, records = steady_pictures.levels_picture({
    way: {level: found[f"sft.steady.{row}.{level}"] for level in LEVELS}
    for way, row in (("its own search", "search"),
                     ("with a right plan", "planned"))},
    "Fine-tuned by the steady recipe")
show(figure, alt="pass@1 on four levels, by its own search and with a "
     "right plan, each with an interval and a small circle for every seed.",
     table=records, takeaway=fill(rows, "A right plan changes the mean by "
     "{sft.steady.plan_minus_search.mean:ci pts}; seeds differ by a "
     "standard deviation of ")
     + f"{100 * rows['sft.steady.spread'].value:.1f} points.")

# %% [markdown]
# No seed is left out. A base that reached the last step of a stage without a
# skill goes on all the same, and the table says what it lacked.

# %%
scores = steady_pictures.score_records(again)
show_table(scores, caption="Seed by seed, on the test problems")

# %% [markdown]
# What goes wrong first? A wrong *order* is a value that is used, or said to
# be known, before it was worked out; a wrong *look-up* is a name or a
# definition copied wrongly.

# %%
show_table(steady_pictures.mistake_records(again, steady.SFT),
           caption="First mistakes of searches after fine-tuning")
show_table(steady_pictures.seed_mistake_records(again, steady.SFT),
           caption="The same seed by seed, searches of all levels in %")

# %%
tell(rows, """
Over the levels the seeds solve {sft.steady.search.mean:ci pct} by their own
search and {sft.steady.planned.mean:ci pct} with a right plan. On validation
a plan is worth {sft.steady.gate:pts} to the seed that profits least.
The last quarter of fine-tuning brings
{sft.steady.gain_share_of_last_quarter:pct} of the gain.
""")
ranges = {way: max(each[way] for each in scores) - min(
    each[way] for each in scores) for way in steady_pictures.WAYS}
expected("Seeds still lie far apart, by their own search and along a right "
         "plan.", holds=all(each > 20 for each in ranges.values()))

# %% [markdown]
# Every base had met its bounds on the lengths that it practised. What parts
# the seeds is how well their walk carries on to longer ones. In a search most
# first mistakes of all seeds but one are one kind of word (read by hand on
# validation problems, not in the kit). A note ends by whom its value is for,
# and a search that comes back to a note has to say that word again. In a short
# problem it can be guessed from who uses the name; in a long one several do.
# Practice that makes the guess fail has not been tried. Along a plan there is
# no such word, and seeds lie further apart still: why is not known.
#
# There is a price for each side. Trained to ten operations, seeds came closer
# to one another, and after RL they solved nearly all validation problems:
# nothing was left for a plan or a choice to add.

# %% [markdown]
# The models of the first recipe stay in what follows: most of notebook 03
# and all of 06 were measured with them. Planning and best-of-N (04, 05) rest
# on the steady seeds, and so does whatever says `steady` in its row.

# %% [markdown]
# ## Predicted before the run
#
# What is expected, how large, and from how many seeds and problems, stands in
# `k2repro/lab/predictions.toml`. What concerns the steady recipe was said
# before its test problems were asked. The first recipe's numbers are older
# than that file, and the table says so; with fewer seeds than declared,
# nothing is decided. An interval resamples seeds and problems; Student's t
# over the seeds alone stands beside it.

# %%
show_table(predictions.standings(predictions.of_room("sft"), rows),
           caption="Predicted, and measured so far")

# %% [markdown]
# ## What was chosen, and on what
#
# Settings were changed after a first try. A choice that had test scores in
# sight makes every later number better than it is; it stands first.

# %%
show_table(choices.choice_records("base", "sft"),
           caption="Changes to the recipe up to fine-tuning")

# %% [markdown]
# ## What to take home

# %%
tell(rows, """
- SFT on long traces takes mini-K2 from {sft.pass_at_1.base.mean:pct} to
  {sft.pass_at_1.final.mean:pct} on the maths tiers; on programs it ends at
  {sft.pass_at_1.final.code:pct}.
- It is above its base at every k, by at least {sft.pass_at_k.min_gain:.3f}.
- The same model without reasoning ends at
  {sft.pass_at_1.direct.mean:pct}: the steps have to be written down.
- The hardest tier ends at {sft.pass_at_1.final.tier-4:pct}, on three seeds
  that lie far apart.
- Five seeds of the steady recipe, on longer problems, end at
  {sft.steady.search.mean:ci pct}. They lie further apart than predicted.
""")
saved = rows.save()

# %% [markdown]
# ## Try it
#
# 1. Ask the model one of your own: build a problem with
#    `benchmark_problems("tier-2", "validation", 20)` and hand it to
#    `specimens.ask(model, ...)` with `temperature=1.0` and other seeds.
# 2. Run again with `scale = replace(scale, steps=0.25)` (from `dataclasses`).
#    Is a quarter of the recipe a quarter of the curve? Why not?
# 3. In `k2repro/lab/sft_recipe.py`, take `planned` out of the SFT mixture.
#    Which kind of mistake grows?

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it. A check
# looks at what your code gives, says what is likely wrong, and stops nothing.

# %%
from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · What is to be learned
#
# *Easy · about 10 minutes.* For every token of prompt + response, write what
# it has to predict: the token that follows, where that token belongs to the
# response, and -100 everywhere else.
#
# <details><summary>Hint</summary>
#
# The last token of the prompt already predicts the first of the response.
# What does the last token of all predict?
#
# </details>

# %% tags=["exercise"]
def make_targets(prompt, response):
    """One target for each token of prompt + response."""
    ### BEGIN SOLUTION
    return [-100] * (len(prompt) - 1) + list(response) + [-100]
    ### END SOLUTION

# %% tags=["check"]
checks.targets_of(make_targets)

# %% [markdown]
# ### Exercise 2 · The loss of a response
#
# *Easy · about 5 minutes.* Given the log-probability of every target and the
# targets, write the mean negative log-likelihood over what is learned.
#
# <details><summary>Hint</summary>
#
# Leave the places with -100 out of the sum *and* out of the count.
#
# </details>

# %% tags=["exercise"]
def mean_loss(logprobs, targets):
    """Mean over the learned tokens, in nats."""
    ### BEGIN SOLUTION
    kept = [-value for value, target in zip(logprobs, targets, strict=True)
            if target != -100]
    return sum(kept) / len(kept)
    ### END SOLUTION

# %% tags=["check"]
checks.response_loss(mean_loss)

# %% [markdown]
# ### Exercise 3 · pass@k without bias
#
# *Medium · about 15 minutes.* Of n samples, `correct` are right. Write the
# chance that at least one of k samples, drawn without putting back, is right.
# `math.comb` counts the ways to choose.
#
# <details><summary>Hint</summary>
#
# How many ways are there to draw k samples that are all wrong, out of all
# ways to draw k? When can there be none?
#
# </details>

# %% tags=["exercise"]
from math import comb


def pass_at_k(n, correct, k):
    """Chance that at least one of k out of n samples is right."""
    ### BEGIN SOLUTION
    return 1 - comb(n - correct, k) / comb(n, k)
    ### END SOLUTION

# %% tags=["check"]
checks.pass_at_k(pass_at_k)
