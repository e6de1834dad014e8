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
# K2-Think is a reasoning system of 32B weights that reports frontier scores in mathematics. This
# kit takes it apart, rebuilds each part as code that you can run and bend, and checks every
# published claim with a program. Where the real weights would be needed it measures the same
# effect on **mini-K2**, a family of tiny models trained from scratch on a laptop, and it never
# presents a mini number as K2-Think's own.
#
# In this notebook you follow one number all the way: from print, through your own recomputation,
# to a verdict. No GPU, no network and no model is needed.

# %% tags=["parameters"]
profile = "laptop"

# %%
import plotly.graph_objects as go

from k2repro.notebook import checked_parameters, show, show_table, tell
from k2repro.notebook.palette import BLUE, GREY, VERMILLION
from k2repro.paper import VERDICTS, count_verdicts, evaluate_claims, find_claim, load_facts, table
from k2repro.paper.recompute import problem_counts
from k2repro.results import fingerprint, load_profile, open_rows
from k2repro.results.rowbook import input_rows

globals().update(checked_parameters("00_start_here", globals()))
book = load_facts()
rows = open_rows("00_start_here", profile=profile, parameters={})

# %% [markdown]
# ## The map
#
# The system has six pillars around one model. Each gets a notebook, and notebook 08 puts
# the results beside the paper's tables. Expect five columns, read from left to right: the model,
# how it is trained, how it thinks at test time, what makes it fast, and what became of the claims.
# A filled square is a notebook of this version; a hollow one is a pillar that is still to come.

# %%
stages = ["the model", "training", "test time", "speed", "verdicts"]
# number, name, column, height, the question that it answers
plan = [
    ("01", "architecture", 0, 0, "Where do the weights and the memory go?"),
    ("02", "fine-tuning", 1, 1, "What do long chains of thought teach?"),
    ("03", "RL, verifiable", 1, -1, "What does a checked answer teach?"),
    ("04", "planning", 2, 1, "Does a plan before thinking help?"),
    ("05", "best-of-N", 2, -1, "What do more samples buy?"),
    ("06", "speculation", 3, 1, "Is a drafted answer the same answer?"),
    ("07", "the wafer", 3, -1, "How fast can weights be read?"),
    ("08", "paper tables", 4, 0, "Which published claims hold?"),
]
present = {name[:2] for name in load_profile(profile).notebooks}


# %%
def add_notebooks(fig, chosen, symbol, color, ink, name):
    """Numbered squares, named below, with their question on hover."""
    fig.add_scatter(
        x=[p[2] for p in chosen], y=[p[3] for p in chosen], name=name,
        mode="markers+text", text=[p[0] for p in chosen],
        hovertext=[p[4] for p in chosen], hoverinfo="text",
        textposition="middle center", textfont={"color": ink, "size": 16},
        marker={"symbol": symbol, "size": 52, "color": color, "opacity": 1},
    )
    for _, word, column, height, _ in chosen:
        fig.add_annotation(
            x=column, y=height, yshift=-40, text=word, showarrow=False,
        )


# %%
fig = go.Figure()
for column, stage in enumerate(stages):
    title = f"<b>{stage}</b>"
    fig.add_annotation(x=column, y=2, text=title, showarrow=False)
for column in range(4):
    fig.add_annotation(
        x=column + 0.66, ax=column + 0.34, y=0, ay=0, xref="x", axref="x",
        yref="y", ayref="y", arrowhead=2, arrowwidth=2, arrowcolor=GREY,
    )
here = [p for p in plan if p[0] in present]
later = [p for p in plan if p[0] not in present]
add_notebooks(fig, here, "square", BLUE, "white", "in this version")
if later:
    add_notebooks(fig, later, "square-open", GREY, GREY, "to come")

# %% tags=["nbval-ignore-output"]
fig.update_xaxes(visible=False, range=[-0.5, 4.5])
fig.update_yaxes(visible=False, range=[-1.9, 2.3])
fig.update_layout(height=400, legend={
    "orientation": "h", "y": 0, "itemsizing": "constant"})
show(fig, alt="Five columns from the model to the verdicts, joined by "
     "arrows; each pillar is a numbered square.", table=[
         {"notebook": p[0], "pillar": p[1], "question": p[4],
          "in this version": p[0] in present} for p in plan])

# %% [markdown]
# ## The words
#
# Eight words carry the whole kit.
#
# - A **fact** is a published number with its source and a word for how sure we are of it.
# - A **claim** is one checkable statement of the article, the paper or the model card.
# - A **row** is one number that this repository measured or recomputed, with its provenance.
# - A **verdict** is what code, declared before the run, makes of a claim from facts and rows.
# - A **profile** is a named set of parameters, such as `smoke` or `laptop`. Sizes change, code
#   paths do not.
# - An **artifact** is a checkpoint or a pool of generations, addressed by the hash of everything
#   that made it.
# - A **tier** is a difficulty level of a mini problem family.
# - A **pool** holds all generations of one model on one benchmark.
#
# The rest of this notebook uses the first four.

# %% [markdown]
# ## A published table
#
# The paper's Table 2 takes the system apart at test time: the trained checkpoint, then plan, then
# best-of-3, then both. Expect four rows. A small ᵈ marks a cell that was derived from other cells
# and is not printed itself.

# %%
ablation = table(2)
show_table(ablation.records("system"), caption=ablation.caption)

# %% [markdown]
# ## Your own recomputation
#
# The paper sums its four maths benchmarks up in one figure, the *micro-average*: every problem
# counts once. So each score is multiplied by its number of problems, and the sum is divided by all
# problems together. Expect the largest benchmark to decide nearly everything.

# %%
system = "+ Plan + Bo3 (K2-Think)"
problems = problem_counts(book)
scores = {name: ablation.cell(system, name).value for name in problems}
total = sum(problems.values())
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
tell(rows, """
The micro-average comes out at **{start.k2-think.micro-average:.2f}**.
One benchmark, Omni-MATH-HARD, carries
{start.omni-math-hard.weight:pct} of the weight.
""")

# %% [markdown]
# ## A verdict that agrees, and one that does not
#
# A claim is evaluated by a *predicate*, a function that was declared before the run.
# Two claims follow. The first is the average that you have recomputed. The second is the article's
# sentence that planning brings gains across benchmarks. Expect one to hold and one to fail, on the
# paper's own cells.

# %%
chosen = ["paper.micro-average.k2-think",
          "article.planning-gains-across-benchmarks"]
verdicts = evaluate_claims(claims=[find_claim(name) for name in chosen])
show_table(
    [{"claim": v.claim.paraphrase, "verdict": v.verdict,
      "because": v.reason} for v in verdicts],
    caption="Two claims and what became of them",
)

# %% [markdown]
# Why does the second one fail? Look at what a plan alone changes, benchmark by benchmark. Expect
# three bars to the right and one to the left.

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
fig = go.Figure(go.Bar(
    y=list(changes), x=list(changes.values()), orientation="h",
    marker_color=[VERMILLION if k in fallen else BLUE for k in changes],
    marker_pattern_shape=["/" if k in fallen else "" for k in changes],
    texttemplate="%{x:+.2f}", textposition="outside", cliponaxis=False,
))
fig.update_layout(title="What a plan alone changes", height=320)
fig.update_xaxes(title="points against the checkpoint", range=[-2.5, 6.5],
                 zeroline=True)
fig.update_yaxes(autorange="reversed")
show(fig, alt=f"Horizontal bars of the change by a plan alone: "
     f"{', '.join(fallen)} falls, the other benchmarks rise.",
     table=[{"benchmark": k, "change in points": f"{v:+.2f}"}
            for k, v in changes.items()])

# %%
tell(rows, """
A plan alone changes AIME 2024 by {start.plan-only.change.aime-2024:+.2f}
points and HMMT25 by {start.plan-only.change.hmmt25:+.2f}. The claim speaks
of gains *across* benchmarks, so one loss is enough to contradict it.
Whether the loss is more than chance is another question: AIME has few
problems, and notebook 08 asks how much of such a difference is noise.
""")

# %% [markdown]
# ## All claims
#
# The same machinery runs over the whole ledger, with every row that the other notebooks have
# written. Expect many unresolved claims: they wait for measurements, and each names the rows that
# it waits for. Notebook 08 opens the ledger claim by claim.

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
against = ["contradicted"]
fig = go.Figure(go.Bar(
    y=list(counts), x=list(counts.values()), orientation="h",
    text=[str(count) for count in counts.values()], textposition="outside",
    marker_color=[VERMILLION if k in against else BLUE for k in counts],
    marker_pattern_shape=["/" if k in against else "" for k in counts],
    cliponaxis=False,
))
fig.update_layout(title="Claims by verdict", height=360)
fig.update_xaxes(title="claims")
fig.update_yaxes(autorange="reversed")
most = max(counts, key=counts.get)
show(fig, alt=f"Horizontal bars of the number of claims by verdict; the "
     f"longest bar is '{most}'.", table=[
         {"verdict": k, "claims": v} for k, v in counts.items()])

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
# **In JupyterLab.** `make lab` opens the notebooks. Run them in order or start with the pillar
# that you need: each imports its functions from `k2repro` and reads nothing from the others, apart
# from this one and notebook 08. Change a parameter and run on; your rows go to
# `results/interactive/`, never over the committed ones.
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
- One benchmark carries {start.omni-math-hard.weight:pct} of it, so a change
  elsewhere hardly shows.
- Of {start.claims.total} claims, {start.claims.recomputed} were recomputed
  and hold, {start.claims.contradicted} are contradicted, and
  {start.claims.unresolved} wait for evidence.
""")

# %% [markdown]
# ### Try it
#
# 1. Give every benchmark the same weight, whatever its size. Which of the four systems gains most,
#    and why?
# 2. Pick a contradicted claim from `[v for v in ledger if v.verdict == "contradicted"]` and read
#    its `reason`. Which single fact would have to change for it to hold?
# 3. Call `rows.add("start.k2-think.micro-average", 70, unit="percent")`. What does the kit say,
#    and what would a spreadsheet have said?
#
# ### Where to go next
#
# - [01 · Architecture](01_architecture.ipynb) counts every weight, byte and operation, and runs
#   the decoder.
# - [08 · Paper tables](08_paper_tables.ipynb) sets every published cell beside ours and opens the
#   whole ledger.
