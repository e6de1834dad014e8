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
# # 08 · The paper's tables, cell by cell
#
# **Shows:** Tables 1 to 3, the safety table and Figures 1 to 4, every cell beside what was
# recomputed and measured, and the ledger of all claims with their verdicts.
#
# **In short:** what the paper prints adds up. What its tables *show* is often less than what is
# said of them: differences of a few points on thirty problems lie within chance. Most of what does
# not hold is said by the article K2Think.in, not by the paper.
#
# A cell has up to four numbers: what was *published*, what follows from other published facts when
# it is *recomputed*, what *mini-K2* measured, and what *real* weights measured. A cell that nothing
# has measured yet names the row that it waits for. A cell that no source prints stays a dash, and a
# value that is only recalled wears its mark everywhere and never decides a verdict.
#
# Sources: [the paper](https://arxiv.org/abs/2509.07604), [the model
# card](https://huggingface.co/LLM360/K2-Think), [the SRI Lab's
# critique](https://www.sri.inf.ethz.ch/blog/k2think), [the article](https://k2think.in/).

# %% tags=["parameters"]
profile = "laptop"

# %%
from k2repro.notebook import (
    checked_parameters, expected, show, show_table, tell)
from k2repro.paper import (
    count_verdicts, evaluate_claims, legend, load_facts, table)
from k2repro.paper.cells import standings
from k2repro.paper.changes import load_changes
from k2repro.paper.ledger import claims_by_source
from k2repro.paper.recompute import macro_average, micro_average
from k2repro.paper.shape import ablation_shape
from k2repro.pictures import paper_tables as pictures
from k2repro.results import input_rows, open_rows

globals().update(checked_parameters("08_paper_tables", globals()))
book = load_facts()
measured = input_rows(profile)
rows = open_rows("08_paper_tables", profile=profile, parameters={})

# %% [markdown]
# ## How to read a cell
#
# Published numbers come from screenshots, the model card, repositories and critiques; the paper's
# own text was not at hand. A number that was not seen in print wears a mark, which says how it came
# here, not whether it is right.

# %%
show_table(legend(), caption="Marks on published cells")

# %% [markdown]
# ## Table 1: the main results
#
# K2-Think's row is the whole system with planning and best-of-3, while most other rows are single
# samples. Only a part of the table was found in sources that could be read; the rest stays a dash.

# %%
main = table(1)
show_table(main.records("system"), caption=main.caption)

# %% [markdown]
# The micro-average weights each benchmark by its problems. Where a row has all four maths cells, it
# can be recomputed. A row whose printed value is recalled decides nothing.


# %%
def cells_beside(name, keep):
    """Cells of a table as records, those that `keep` accepts."""
    return [s.record() for s in standings(name, measured) if keep(s)]


show_table(
    cells_beside(1, lambda s: s.recomputed is not None),
    caption="Table 1, cells that follow from other cells")

# %%
show_table(
    cells_beside(1, lambda s: s.row.startswith("K2-Think")),
    caption="Table 1, K2-Think's own row, cell by cell", folded=True)

# %% [markdown]
# ## Table 2: what planning and best-of-3 add
#
# The paper's own ablation is its most useful table. Here it is in its printed shape. In each cell:
# the published score with its change against the first row, mini-K2 on the tier that stands beside
# that benchmark, and whether the two changes have one sign: ▲▲ they have, ▲▼ they have not, ▲? an
# interval leaves it open, · nothing was measured. Everything is in per cent, with one decimal for
# ours and for changes. The heights cannot be compared: K2-Think met olympiad problems, mini-K2
# arithmetic puzzles.

# %%
show_table(ablation_shape(measured).records(),
           caption="Table 2 as printed, mini-K2 below each cell")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.ablation_picture(book)
show(figure, alt="Dots with whiskers for the change of three systems "
     "against the checkpoint, on four maths benchmarks and their average.",
     table=records,
     takeaway="On single benchmarks every change lies within chance; the "
     "average shows best-of-3 and both together nearest to its edge.")

# %%
near = [record for record in records
        if record["benchmark"] in ("AIME 2024", "AIME 2025", "HMMT25")]
expected("On the sets of thirty problems no change leaves the whiskers.",
         holds=all(abs(record["change (points)"])
                   <= record["two standard errors"] for record in near))

# %%
ABLATION = "table2_test_time_ablation"
arms = {"checkpoint": "SFT+RL Checkpoint", "plan-only": "+ Plan only",
        "bo3-only": "+ Bo3 only", "plan-bo3": "+ Plan + Bo3 (K2-Think)"}
for arm, row in arms.items():
    for kind, average in (("micro", micro_average),
                          ("macro", macro_average)):
        rows.add(f"paper.table2.{arm}.{kind}-average",
                 average(book, f"{ABLATION}/{row}").value, unit="%",
                 paper_ref=f"{ABLATION}/{row}")

# %%
micro = {arm: rows[f"paper.table2.{arm}.micro-average"].value
         for arm in arms}
for arm in ("plan-only", "bo3-only", "plan-bo3"):
    rows.add(f"paper.table2.{arm}.micro-gain",
             micro[arm] - micro["checkpoint"], unit="points",
             paper_ref=f"{ABLATION}/{arms[arm]}")
tell(rows, "Weighted by problems, the checkpoint scores "
     "{paper.table2.checkpoint.micro-average:.2f} and the whole system "
     "{paper.table2.plan-bo3.micro-average:.2f}. Planning alone is worth "
     "{paper.table2.plan-only.micro-gain:+.2f} points, best-of-3 alone "
     "{paper.table2.bo3-only.micro-gain:+.2f}, both together "
     "{paper.table2.plan-bo3.micro-gain:+.2f}.")

# %% [markdown]
# The long list is folded: every cell, what it follows from, and which row it waits for.

# %%
show_table(cells_beside(2, lambda s: True),
           caption="Table 2, every cell", folded=True)

# %% [markdown]
# ## Table 3: how long the answers are
#
# Only relative changes are printed in a source that could be read. Token counts are recalled, so
# their ratios are shown beside the printed changes and decide nothing.

# %%
lengths = cells_beside(3, lambda s: s.recomputed is not None)
show_table(lengths, caption="Table 3, change in mean response length")
worst = max(abs(s.published.value - s.recomputed)
            for s in standings(3, measured)
            if s.recomputed is not None and s.published.value is not None)
rows.add("paper.table3.largest-disagreement", round(worst, 6),
         unit="points", paper_ref="table3_response_length")
tell(rows, "The largest disagreement between a printed change and its "
     "recalled token counts is "
     "{paper.table3.largest-disagreement:.2f} points.")

# %% [markdown]
# ## The safety table
#
# Four surfaces, their mean, and the parts that are known by name. One number changed between two
# versions of the model card, and with it the mean.

# %%
show_table(cells_beside("safety", lambda s: s.published.value is not None),
           caption="Safety scores that were found, between 0 and 1")

# %%
now, first = (
    next(s.recomputed for s in standings("safety")
         if s.row == "Safety-4 Macro (avg)" and s.column == card)
    for card in ("model card", "first model card"))
rows.add("paper.safety.macro", now, unit="score",
         paper_ref="table4_safety/macro")
rows.add("paper.safety.macro.first-card", first, unit="score",
         paper_ref="table4_safety/macro, first version")
tell(rows, "The mean of the four surfaces recomputes to "
     "{paper.safety.macro:.3f}; with the first card's numbers it was "
     "{paper.safety.macro.first-card:.3f}.")

# %% [markdown]
# ## Figure 1: score against size
#
# Dots were read off the picture: the headline of the paper. The error bars are the reading accuracy
# alone; the dots themselves look placed by hand.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.scatter_picture(book)
show(figure, alt="Scatter of maths composite against parameters on a log "
     "axis: K2-Think is far left and above several larger models.",
     table=records,
     takeaway="The system, with its three samples and a judge, stands "
     "beside single samples of larger models.")

# %% [markdown]
# ## Figures 2 and 3: fine-tuning and pass@k
#
# Of the paper's two figures no curve was found, only the levels at which they settle, and those
# second-hand. Figure 3's question can be asked of mini-K2: what do more samples buy, before and
# after fine-tuning? And Figure 2's: how fast does fine-tuning bring what it brings? In both pictures the
# curves are mini-K2's own and the level is the paper's. The heights cannot be compared.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.figure_2_picture(measured, book)
climbs = [[r["pass@1 (%)"] for r in records if r["curve"] == curve]
          for curve in ("mini-K2, tier-1", "mini-K2, tier-2")]
show(figure, alt="pass@1 of mini-K2 along fine-tuning on two tiers, with a "
     "level line for each of the two published plateaus.", table=records,
     takeaway="Published are two levels and no curve. mini-K2 goes "
     + " and ".join(f"from {each[0]:.0f} to {each[-1]:.0f} %"
                    for each in climbs if each)
     + " on its two easiest tiers." if any(climbs) else
     "Published are two levels and no curve; mini-K2's has no rows yet.")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.figure_3_picture(measured, book)


def rise(model):
    """Points of pass@k from the fewest to the most samples."""
    values = [r["pass@k (%)"] for r in records if r["model"] == model]
    return values[-1] - values[0] if values else 0.0


show(figure, alt="pass@k against k for mini-K2's base and fine-tuned model "
     "on the easiest tier, with a dotted line at the published level.",
     table=records,
     takeaway="What more samples lift, in points of mini-K2: "
     f"base {rise('base'):+.0f}, fine-tuned {rise('sft'):+.0f}.")

# %%
expected("More samples lift the base more than the fine-tuned model.",
         holds=rise("base") > rise("sft"))

# %%
show_table(cells_beside("figure2", lambda s: True)
           + cells_beside("figure3", lambda s: True),
           caption="Figures 2 and 3: levels, and mini-K2 on its own tiers",
           folded=True)

# %% [markdown]
# ## Figure 4: reinforcement learning
#
# Curves were digitised from a screenshot. The run from the fine-tuned checkpoint peaks early; the
# run from the base model climbs far and stays below; the run with a shorter response budget starts
# low, touches the level of the start once on AIME, and ends below it.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.curves_picture("AIME", book)
show(figure, alt="Three digitised curves on AIME: from the fine-tuned "
     "checkpoint high and nearly flat, from base rising from near zero, "
     "short budget in between.", table=records,
     takeaway="From the base reinforcement learning brings most, and still "
     "ends below where the fine-tuned model began.")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.curves_picture("LiveCodeBench", book)
show(figure, alt="The same three runs on LiveCodeBench: the run from the "
     "fine-tuned checkpoint ends below where it began.", table=records,
     takeaway="On code the run from the fine-tuned checkpoint peaks early "
     "and ends below its start.")

# %%
show_table(cells_beside("figure4", lambda s: s.recomputed is not None),
           caption="Figure 4, quoted points beside the digitised curves",
           folded=True)

# %% [markdown]
# ## The claims
#
# Every quantitative statement of the article, and those of the paper, the model card and their
# critics, is a claim with a predicate: a rule over facts and rows.

# %%
verdicts = evaluate_claims(measured)
counts = count_verdicts(verdicts)
for verdict, count in counts.items():
    rows.add(f"paper.claims.{verdict.replace(' ', '-')}", count,
             unit="claims")
rows.add("paper.claims.total", sum(counts.values()), unit="claims")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.verdicts_picture(claims_by_source(verdicts))
show(figure, alt="Stacked bars of claims by verdict, one for each source: "
     "the article's is the longest, then the paper's.", table=records,
     takeaway="Who said it matters: most contradicted claims are the "
     "article's, not the paper's.")

# %%
tell(rows, "Of {paper.claims.total} claims, {paper.claims.recomputed} are "
     "recomputed, {paper.claims.contradicted} contradicted, "
     "{paper.claims.unresolved} unresolved and "
     "{paper.claims.not-testable-here} not testable here.")


# %%
def ledger(wanted):
    """The claims with a verdict, as records."""
    return [{"claim": e.claim.id, "what is said": e.claim.paraphrase,
             "why": e.reason}
            for e in verdicts if e.verdict == wanted]


show_table(ledger("contradicted"), caption="Contradicted claims")

# %% [markdown]
# A contradiction is not an accusation: a rounding, a slip, or a statement about the system that is
# read as one about the weights is listed like everything else. The other verdicts are folded; a
# click opens their claims.

# %%
show_table(ledger("recomputed"), caption="Recomputed claims",
           folded=True)

# %%
show_table(ledger("consistent as printed"),
           caption="Printed numbers that say so, and no more", folded=True)

# %%
show_table(ledger("derived"), folded=True,
           caption="Checked against our own arithmetic")

# %%
show_table(ledger("unresolved"), folded=True,
           caption="Claims that wait, and for what")

# %% [markdown]
# The rest of the ledger is short: effects that were measured on mini-K2, and numbers of other
# people's machines and evaluations that nothing here can measure.

# %%
show_table(ledger("reproduced at mini scale") + ledger("direction only"),
           caption="Claims whose direction came out")

# %%
show_table(ledger("not testable here"), folded=True,
           caption="Claims out of reach here")

# %% [markdown]
# ## Rules that changed
#
# A rule that was chosen after its outcome was known is weaker than one declared before. These were
# declared anew, with the reason.

# %%
show_table([change.record() for change in load_changes()],
           caption="Predicates declared anew", folded=True)

# %% [markdown]
# ## What to take home

# %%
tell(rows, "- The system's micro-average of "
     "{paper.table2.plan-bo3.micro-average:.2f} recomputes, and "
     "{paper.table2.plan-bo3.micro-gain:.2f} points of it come from the "
     "scaffold, not from the weights.\n"
     "- Best-of-3 alone adds "
     "{paper.table2.bo3-only.micro-gain:+.2f} points, a plan alone "
     "{paper.table2.plan-only.micro-gain:+.2f}; on one benchmark the "
     "plan is printed below the checkpoint, within chance.\n"
     "- {paper.claims.contradicted} of {paper.claims.total} claims do not "
     "hold as stated; {paper.claims.unresolved} are open.")
saved = rows.save()

# %% [markdown]
# ## Try it
#
# 1. Compare the micro-averages of Table 2 with the macro-averages, which weigh every benchmark alike.
#    Which system gains most, and why?
# 2. Change one cell with `book.override({...})` and pass the new book to `evaluate_claims`. Which
#    verdicts move?
# 3. Which single missing cell of Table 1 would you look up first, and which verdict could it change?
