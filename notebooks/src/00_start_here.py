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
# # 00 · Start here
#
# **Shows:** the map of the kit, its words, and one number followed from print through
# recomputation to a verdict.
#
# **In short:** K2-Think's published average can be recomputed from its parts to the last printed
# digit. A sentence about the same table cannot be decided at all: what it calls a gain is smaller
# than chance on thirty problems. Both follow from code, and this notebook shows how.
#
# K2-Think is a reasoning system of 32B weights that reports frontier scores in mathematics
# ([paper](https://arxiv.org/abs/2509.07604), [weights](https://huggingface.co/LLM360/K2-Think)).
# This kit takes it apart, rebuilds each part as code that you can run and bend, and checks every
# published claim with a program. *The paper* here is by those who made it; *the article* is
# [K2Think.in](https://k2think.in/), a web page by others.
#
# Where the real weights would be needed, the same effect is measured on **mini-K2**, tiny models
# trained from scratch on a laptop. A mini number is never presented as K2-Think's own.

# %% tags=["parameters"]
profile = "laptop"

# %%
from k2repro.notebook import (
    checked_parameters, expected, show, show_table, tell)
from k2repro.paper import (
    VERDICTS, count_verdicts, evaluate_claims, find_claim, load_facts,
    table)
from k2repro.paper.ledger import claims_by_source
from k2repro.paper.noise import noise_of
from k2repro.paper.recompute import problem_counts
from k2repro.pictures import paper_tables as paper_pictures
from k2repro.pictures import start as pictures
from k2repro.results import (
    fingerprint, input_rows, load_profile, open_rows)

globals().update(checked_parameters("00_start_here", globals()))
book = load_facts()
rows = open_rows("00_start_here", profile=profile, parameters={})

# %% [markdown]
# ## The map
#
# The system has six pillars around one model. Each gets a notebook, and notebook 08 puts
# the results beside the paper's tables.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.map_picture(load_profile(profile).notebooks)
show(figure, alt="Five columns from the model to the verdicts, joined by "
     "arrows; each pillar is a numbered square.", table=records,
     takeaway="Read from left to right: the model, how it is trained, how "
     "it thinks at test time, what makes it fast, what became of the "
     "claims.")

# %% [markdown]
# - [01 · Architecture](01_architecture.ipynb): where do the weights and the memory go?
# - [02 · Fine-tuning](02_sft.ipynb): what do long chains of thought teach?
# - [03 · Reinforcement learning](03_rlvr.ipynb): what does a checked answer teach?
# - [04 · Planning](04_planning.ipynb): does it help to think about the way first?
# - [05 · Best-of-N](05_best_of_n.ipynb): who finds the right one among several answers?
# - [06 · Speculative decoding](06_speculative.ipynb): is a drafted answer the same answer?
# - [07 · The wafer](07_wafer.ipynb): how fast can weights be read?
# - [08 · Paper tables](08_paper_tables.ipynb): which published claims hold?

# %% [markdown]
# ## The words
#
# The field's words first: *pass@1* is the chance that one sample is right, *pass@k* that at least
# one of k is; *best-of-N* lets a judge choose among N samples; *SFT* is supervised fine-tuning and
# *RL* reinforcement learning. Then the kit's own:
#
# - A **fact** is a published number with its source and a word for how sure we are of it.
# - A **claim** is one checkable statement of the article, the paper or the model card.
# - A **row** is one number that this repository measured or recomputed, with its provenance.
# - A **verdict** is what a *predicate*, a rule written down beside the claim, makes of facts and
#   rows. Rules that were changed after their outcome was known are listed in notebook 08.
# - A **profile** is a named set of parameters, such as `smoke` or `laptop`. Sizes change, code
#   paths do not.
# - An **artifact** is a checkpoint or a pool of generations, addressed by the hash of what made it;
#   a **pool** holds all generations of one model on one benchmark.
# - A **tier** is a difficulty level of a mini problem family; four stand beside the paper's four
#   maths benchmarks.
# - A **pillar** is one part of the system, an **arm** one kind of training run, a **probe** a small
#   set of validation problems asked along a run, a **prediction** what was written down before a run, a
#   **fingerprint** the versions and the processor inside which two runs agree to the byte.
#
# The rest of this notebook uses the first four of them.

# %% [markdown]
# ## A published table
#
# The paper's Table 2 takes the system apart at test time: the trained checkpoint, then plan, then
# best-of-3, then both. A small ᵈ marks a cell that was derived from other cells and is not printed
# itself; ˢ marks one that was seen second-hand, in a text that quotes the source.

# %%
ablation = table(2)
show_table(ablation.records("system"), caption=ablation.caption)

# %% [markdown]
# ## Your own recomputation
#
# The paper sums its four maths benchmarks up in one figure, the *micro-average*: every problem
# counts once:
#
# $$\text{micro} = \frac{\sum_b n_b\, s_b}{\sum_b n_b}$$
#
# with $n_b$ problems and a score of $s_b$ per cent on benchmark $b$.

# %% tags=["show-code"]
system = "+ Plan + Bo3 (K2-Think)"
problems = problem_counts(book)
scores = {name: ablation.cell(system, name).value for name in problems}
total = sum(problems.values())
plan = {name: ablation.cell("+ Plan only", name).value
        - ablation.cell("SFT+RL Checkpoint", name).value
        for name in problems}
added = {name: problems[name] * plan[name] for name in problems}
share_outside = 1 - added["Omni-MATH-HARD"] / sum(added.values())
micro = sum(problems[name] * scores[name] for name in problems) / total

show_table(
    [{"benchmark": name, "problems": int(problems[name]),
      "score": f"{scores[name]:.2f}",
      "weight": f"{problems[name] / total:.1%}"} for name in problems],
    caption="What enters the micro-average of K2-Think",
)

# %% [markdown]
# ## A row
#
# A number exists in this kit only as a row. `rows.add` records the value with its unit, how many
# items stand behind it, and where the published counterpart is. Hashes of the code, the data and
# the parameters are added for you, so that nobody can forget them.

# %%
rows.add(
    "start.k2-think.micro-average", micro, unit="percent", n=int(total),
    paper_ref="paper: Table 1, maths micro-average of K2-Think",
)
rows.add(
    "start.omni-math-hard.weight", 100 * problems["Omni-MATH-HARD"] / total,
    unit="percent", n=int(total),
)
rows.add("start.plan-only.share-outside-omni", share_outside,
         unit="fraction")
tell(rows, """
The micro-average comes out at **{start.k2-think.micro-average:.2f}**.
One benchmark, Omni-MATH-HARD, carries
{start.omni-math-hard.weight:pct} of the weight. It does not decide alone:
of what a plan adds to the average,
{start.plan-only.share-outside-omni:pct} comes from the other three.
""")

# %% [markdown]
# Where does the published counterpart come from? A fact says it: here the one that the average is
# compared with, and how sure we are of it.

# %%
printed = book.fact("table1_main_results/K2-Think (32B, Plan+Bo3)/"
                    "Math micro-average")
show_table([{"printed": printed.printed, "confidence": printed.confidence,
             "means": printed.trust.meaning, "source": printed.source}],
           caption="The fact behind the published average")

# %% [markdown]
# ## A verdict that is decided, and one that is not
#
# Two claims follow. The first is the average that you have recomputed. The second is the article's
# sentence that planning brings gains across benchmarks.

# %%
chosen = ["paper.micro-average.k2-think",
          "article.planning-gains-across-benchmarks"]
verdicts = evaluate_claims(claims=[find_claim(name) for name in chosen])
show_table(
    [{"claim": v.claim.paraphrase, "verdict": v.verdict,
      "because": v.reason} for v in verdicts],
    caption="Two claims and what became of them",
)

# %%
by_id = {v.claim.id: v.verdict for v in verdicts}
expected("The average recomputes; the sentence is left open.",
         holds=by_id[chosen[0]] == "recomputed"
         and by_id[chosen[1]] == "unresolved")

# %% [markdown]
# Why is the second one open? Look at what a plan alone changes, benchmark by benchmark, and at the
# whiskers: two standard errors of the difference, each score taken over the problems of its set.
# The same bound decides "near" and "far" everywhere in the kit.

# %%
changes = {
    name: ablation.cell("+ Plan only", name).value
    - ablation.cell("SFT+RL Checkpoint", name).value
    for name in problems
}
for name, change in changes.items():
    slug = name.lower().replace(" ", "-")
    rows.add(f"start.plan-only.change.{slug}", round(change, 2),
             unit="points", n=int(problems[name]))
fallen = [name for name, change in changes.items() if change < 0]

# %% tags=["nbval-ignore-output"]
TABLE = "table2_test_time_ablation"
noise = {name: noise_of(book, f"{TABLE}/+ Plan only/{name}",
                        f"{TABLE}/SFT+RL Checkpoint/{name}")
         for name in changes}
beyond = [name for name in changes if abs(changes[name]) > noise[name]]
figure, records = pictures.changes_picture(changes, noise)
show(figure, alt=f"Dots with whiskers for the change by a plan alone: "
     f"{', '.join(fallen)} lies below zero, the others above; "
     f"{len(beyond)} of {len(changes)} whiskers stay clear of zero.",
     table=records,
     takeaway=f"Down on {len(fallen)} of {len(changes)} benchmarks, up on "
     f"the others, and {len(changes) - len(beyond)} of {len(changes)} "
     "changes are no larger than chance.")

# %%
tell(rows, """
A plan alone changes AIME 2024 by {start.plan-only.change.aime-2024:+.2f}
points and HMMT25 by {start.plan-only.change.hmmt25:+.2f}. On thirty
problems neither is more than chance could do, so the printed table
contradicts nobody and confirms nobody.
""")

# %% [markdown]
# ## All claims
#
# The same machinery runs over the whole ledger, with every row that the other notebooks have
# written. A claim that is unresolved waits for a measurement and names the row that it waits for, or
# lies within chance. Notebook 08 opens the ledger claim by claim.

# %%
ledger = evaluate_claims(input_rows(profile))
counts = count_verdicts(ledger)
rows.add("start.claims.total", len(ledger), unit="claims")
for verdict, count in counts.items():
    slug = verdict.replace(" ", "-")
    rows.add(f"start.claims.{slug}", count, unit="claims")
show_table(
    [{"verdict": verdict, "claims": count, "meaning": VERDICTS[verdict]}
     for verdict, count in counts.items()],
    caption="Claims by verdict, from published facts and our rows",
)

# %% tags=["nbval-ignore-output"]
figure, records = paper_pictures.verdicts_picture(claims_by_source(ledger))
show(figure, alt="Stacked bars of claims by verdict, one for each source: "
     "the article's is the longest, then the paper's.", table=records,
     takeaway="Most claims, and most of the contradicted ones, are the "
     "article's, not the paper's.")

# %%
matrix = claims_by_source(ledger)
expected("Most contradicted claims are the article's.",
         holds=matrix["article"]["contradicted"]
         > counts["contradicted"] / 2)

# %% [markdown]
# ## This machine
#
# Two runs can be expected to agree to the last byte only inside one *fingerprint*. Yours is below;
# every row carries the one that made it. This table differs from machine to machine; the others
# here do not.

# %% tags=["nbval-ignore-output"]
machine = fingerprint(load_profile(profile).threads)
show_table([machine.as_dict()], caption="Fingerprint of this run")

# %% [markdown]
# ## Three ways to use the kit
#
# **In JupyterLab.** `make lab` opens copies of the notebooks. Run them in order or start with the
# pillar that you need: each imports its functions from `k2repro` and reads nothing from the others,
# apart from this one and notebook 08. Change a value in the parameters cell and run on;
# `make lab-reset NB=00` brings the shipped notebook back. The folder `student/` has exercises.
#
# **In CI.** `make reproduce` rebuilds every notebook and every row from nothing and compares row
# by row with what is committed. `make check` finds stale notebooks, typed numbers and broken
# rules.
#
# **In a workshop.** Run `make setup` once while there is a network. After that nothing needs one:
# no GPU, no model hub, no account. Each notebook says what to expect, shows what came out, and
# ends with questions to try.

# %% [markdown]
# ## What to take home

# %%
rows.save()
tell(rows, """
- A published average can be checked by anybody who has its parts: ours is
  {start.k2-think.micro-average:.2f}.
- One benchmark carries {start.omni-math-hard.weight:pct} of it, and still
  {start.plan-only.share-outside-omni:pct} of what a plan adds comes from
  elsewhere.
- Of {start.claims.total} claims, {start.claims.recomputed} were recomputed,
  {start.claims.contradicted} are contradicted, and
  {start.claims.unresolved} are open.
""")

# %% [markdown]
# ### Try it
#
# 1. *(5 minutes)* How far would K2-Think's score on AIME 2024 have to fall for the average to lose
#    one point? And on Omni-MATH-HARD? Guess first, then change `scores` and run on.
# 2. *(5 minutes)* Pick a contradicted claim from
#    `[v for v in ledger if v.verdict == "contradicted"]` and read its `reason`. Which single fact
#    would have to change for it to hold?
# 3. *(2 minutes)* Call `rows.add("start.k2-think.micro-average", 70, unit="percent")`. What does
#    the kit say, and what would a spreadsheet have said?
