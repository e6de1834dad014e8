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
# # 04 · Planning: think about the way before you walk it
#
# **Shows:** what one pass along a plan is worth beside one search, by length
# of the problem and by quality of the plan; whether a plan helps among
# several answers, and whose; five solvers, one planner, and a control that
# was taught to plan no longer problems than they practised.
#
# **In short:** what a plan is worth depends on who made it. A right one lifts
# every solver, most on the longest problems; a wrong order is believed, and
# ruins nearly every answer. The order of the solver's own search adds nothing
# that can be told beside two searches: it fails mostly where they fail. A
# second model that was taught to plan fails elsewhere, and a pass along its
# plan in place of a third search adds a lot, also at equal tokens of both
# models. Along the plans of one that was taught to plan short problems a
# single pass is no better than a search, and still adds to two of them.
#
# K2-Think asks a second model for a plan before it thinks. The paper's
# ablation is subtle: on AIME 2024 a plan alone *lowers* the score a little,
# choosing the best of three raises it most, and both together are best, with
# fewer tokens. Critics asked what the plan itself contributes.
#
# Here the question is put to **mini-K2**: five solvers, trained from
# different seeds, on problems with 9 to 16 operations. Fine-tuning ended at
# four and RL at eight, so all of them are beyond both. Plans come from
# several places: the program that made the problem knows the perfect one; a
# second small model was trained to plan, and a third one to plan short
# problems alone; the solver's own search, once it is written, has an order
# too; and two plans are wrong on purpose.

# %% tags=["parameters"]
profile = "laptop"

# %%
from k2repro.lab import planning_rows
from k2repro.lab.best_of_n_rows import means
from k2repro.lab.scale import Scale
from k2repro.lab.test_time import carry_out_test_time
from k2repro.mini.benchmarks import LEVELS, benchmark_problems
from k2repro.notebook import (
    checked_parameters, expected, show, show_table, tell)
from k2repro.notebook.text import fill
from k2repro.paper import load_facts
from k2repro.pictures import planning as pictures
from k2repro.results import open_rows
from k2repro.results.store import open_store

globals().update(checked_parameters("04_planning", globals()))
scale = Scale.of_profile(profile)
rows = open_rows("04_planning", profile=profile,
                 parameters=scale.test_time_parameters())
book = load_facts()

# %% [markdown]
# ## What was published
#
# The four lines of the paper's Table 2. Look at the second: planning alone
# loses on the first benchmark and gains on the others.

# %%
TABLE_2 = "table2_test_time_ablation"
BENCHMARKS = ("AIME 2024", "AIME 2025", "HMMT25", "Omni-MATH-HARD")
LINES = ("SFT+RL Checkpoint", "+ Plan only", "+ Bo3 only",
         "+ Plan + Bo3 (K2-Think)")
show_table([
    {"configuration": line} | {
        name: book.number(f"{TABLE_2}/{line}/{name}")
        for name in BENCHMARKS}
    for line in LINES
], caption="K2-Think's ablation as printed, scores in %")

# %% [markdown]
# ## The procedure, step by step
#
# A planner reads the question and says whether a plan would help, and on
# which topics. From the topics it writes a plan that must not give the
# answer. The solver reads question and plan. The same code runs on any chat
# model (`k2repro solve --help`); what the solver reads is this:

# %%
from k2repro.planning import Plan, leak_rate, states_an_answer, with_plan

print(with_plan("How many primes are below 20?",
                Plan("List the odd numbers, strike out multiples.")))

# %% [markdown]
# A plan that states the answer is no plan. Two of these three are caught by
# their own words, without looking at the right answer.

# %%
for plan in ("First factor n. The answer is 12.", "Try \\boxed{8}.",
             "First factor n, then count the divisors."):
    print(f"{states_an_answer(plan)!s:5}", plan)

# %% [markdown]
# On mini-K2 a plan is a list of names, ` plan q? m? p?`: the variables to
# work out, in an order in which every operand comes first. The marks tell a
# name in a plan from the same name as an operand. A plan holds no number, so
# it cannot hold the answer. The audit agrees:

# %%
problems = [each for level in LEVELS
            for each in benchmark_problems(level, "validation", 20)]
leak = leak_rate([each.plan for each in problems],
                 [each.question for each in problems],
                 [each.gold for each in problems])
rows.add("planning.leak", leak.held, unit="fraction", scale="mini",
         n=leak.plans)
expected("No plan holds its answer.", holds=leak.held == leak.stated == 0)

# %% [markdown]
# ## Who counts as a solver
#
# Several models were trained alike, from seeds of their own. Each was asked
# validation problems of four lengths; a column is a number of operations.

# %%
results = carry_out_test_time(scale, open_store(profile))
rows.rest_on(results.machine)
show_table([
    {"seed": seed} | {level.removeprefix("ops-"): f"{found[level]:.1%}"
                      for level in LEVELS}
    | {"a solver": "yes" if seed in results.gates.passed else "no"}
    for seed, found in results.gates.scores.items()
], caption="Share solved by one search, on validation problems")

# %% [markdown]
# A seed whose model solves less than half of the shortest level would be named
# above and left out below: statements about plans and choices would be about
# that failure. With the first recipe of notebook 02 this happened, and two of
# four solvers could not follow a plan; these come from the steady one.

# %% [markdown]
# ## One problem, with a plan and without
#
# A solver answers twice: searching for the order by itself, and along the
# program's plan. This is a problem that only one of the two got right (the
# first that the plan alone solved, if there is one), in words and as the
# model reads it. `x: - y z` says that x is y minus z, of which only the last
# digit counts; `x=5` is given; `?` asks.

# %%
from k2repro.lessons.planning import differing, pairs_of_answers
from k2repro.mini.rendering import render_problem
from k2repro.mini.variables import marked

problem, search, planned = differing(pairs_of_answers(
    results.solver, problems[60:80]))
print(render_problem(problem, plan=True))
print("\nAs the model reads it:", problem.question, marked(problem.plan))

# %% [markdown]
# And the two answers. In a trace a definition is followed by the values that
# are known, then by its own: `x: + y z y=3 z=5 x=8`. A search adds to each
# definition who needs it, with `?` for the question, and `x?` announces what
# it looks up next. Along a plan `ok x?` says how far it has come. What
# follows the first mistake is marked.

# %% tags=["nbval-ignore-output"]
from IPython.display import HTML, display

display(HTML(pictures.side_by_side_html([
    pictures.marked_html("searching", search.text, search.good,
                         search.right),
    pictures.marked_html("along the plan", planned.text, planned.good,
                         planned.right)])))

# %% [markdown]
# A search notes a definition, looks its operands up, opens the first that
# is unknown, and comes back. The planned pass does none of that, so it is
# shorter. It has another weakness: at each step it must find its place in
# the plan, and it can fall back to a place where it has been.

# %% [markdown]
# ## A planner of its own
#
# The planner is a small model too. It thinks about the order: it walks through
# the question as a search does, without arithmetic, and marks what is worked
# out. A program reads the names off these marks and hands them to the solver,
# in their order and without the rest. A plan *works* when every asked value
# can be worked out along it. Below, the reasons of failure are counted, on
# test problems of the four tiers.

# %%
from k2repro.lab import planner

effects = planning_rows.add_rows(rows, results)
counts = planner.kinds(results.written["test"])
every = [kind for kind in planner.plans.KINDS
         if any(count[kind] for count in counts.values())]
show_table([
    {"tier": tier} | {kind: count[kind] for kind in every}
    for tier, count in counts.items()
], caption="What became of the planner's plans")

# %%
tell(rows, "Plans that work, from the easiest tier to the hardest: "
     "{planning.workable.tier-1:.1%}, {planning.workable.tier-2:.1%}, "
     "{planning.workable.tier-3:.1%}, {planning.workable.tier-4:.1%}. "
     "A reply takes {planning.planner_tokens:.0f} tokens.")

# %% [markdown]
# ### What it did not learn
#
# Behind its thinking the planner was taught to write the plan down in a line,
# as K2-Think's does. That line is rarely right beyond the easiest tier:
# copying its own marks in order was not learned in the time it had.

# %%
tell(rows, "Lines that work, by tier: {planning.line_workable.tier-1:.1%}, "
     "{planning.line_workable.tier-2:.1%}, "
     "{planning.line_workable.tier-3:.1%}, "
     "{planning.line_workable.tier-4:.1%}.")
show_table([{"stands for the paper's plan": results.plan,
             "passed its gate on validation":
             "yes" if results.plan == "planner" else "no"}],
           caption="Whose plan it is in the tables of notebook 08")

# %% [markdown]
# ## What a plan is worth
#
# One pass along a plan against one search, on the same problems. *gold* is
# the program's plan, *own* the order of the likelier of two earlier searches,
# *planner* is what the second model thought, *short-planner* what the third
# did; *shuffled* has the right names in a wrong order, *missing* lacks one
# name. Expect little from shuffled plans: these solvers trust a plan,
# whatever it says.

# %%
kinds = results.plans_tried
seeds = means(effects)
GOLD, SHUFFLED = (f"planning.alone_minus_search.{kind}.mean"
                  for kind in ("gold", "shuffled"))


def lost(row):
    """Mean over the solvers of what one pass is worth, a fraction."""
    return sum(seeds[row].values()) / len(seeds[row])


# %% tags=["nbval-ignore-output"]
values = {kind: {level.removeprefix("ops-"):
                 seeds[f"planning.alone_minus_search.{kind}.{level}"]
                 for level in LEVELS} for kind in kinds}
figure, records = pictures.levels_picture(
    values, "One pass along a plan, minus one search",
    "points of pass@1")
show(figure, alt="Differences to a single search by level and kind of "
     "plan, bars for the mean, dots for the solvers: shuffled and "
     "incomplete plans lose most of the score.", table=records,
     takeaway="A plan in a wrong order is believed, and costs "
     f"{-100 * lost(SHUFFLED):.0f} points on average. Along the right one "
     f"solvers end {100 * min(seeds[GOLD].values()):+.0f} to "
     f"{100 * max(seeds[GOLD].values()):+.0f} points from a search.")

# %%
tell(rows, "One pass along the program's plan changes the score by "
     "{planning.alone_minus_search.gold.mean:ci pts}, "
     "along the solver's own by "
     "{planning.alone_minus_search.own.mean:ci pts}, "
     "along a shuffled one by "
     "{planning.alone_minus_search.shuffled.mean:ci pts}. "
     "The intervals resample solvers and problems.")

# %%
show_table([
    {"plan": kind,
     "score": f"{rows[f'planning.alone.{kind}.mean'].value:.1%}",
     "tokens, of a search's":
         f"{rows[f'planning.token_ratio.{kind}'].value:.0%}",
     "solves, of what no search solved":
         f"{rows[f'planning.rescued.{kind}'].value:.0%}"
         if f"planning.rescued.{kind}" in rows else None}
    for kind in kinds
], caption="One pass along each plan, on the problems asked with it")

# %% [markdown]
# ### Where a plan comes from
#
# Look at the last column. What no search solved, a right plan often solves,
# and so does the planner's: it was taught the order and nothing else, and is
# right elsewhere than the solver. The solver's own order seldom does. It was
# read off a search, and where the search went wrong, so did its order.

# %% [markdown]
# ## Another way to the answer
#
# Two searches of one solver are often wrong together: what confuses one
# confuses the other. Look at how often *both* are wrong, for two searches,
# and for a search and the pass along the likelier search's own order.

# %%
tell(rows, "Two searches are both wrong on "
     "{planning.both_wrong.two_searches:.1%} of the problems, a search and "
     "an own-plan pass on {planning.both_wrong.search_and_plan:.1%}.")
expected("A search and a planned pass are wrong together less often than "
         "two searches, though alone the pass is no better than a search.",
         holds=rows["planning.alone_minus_search.own.mean"].value <= 0
         and rows["planning.both_wrong.search_and_plan"].value
         < rows["planning.both_wrong.two_searches"].value)

# %% [markdown]
# ## Two searches and one planned pass
#
# Now three answers to each problem, of which one is chosen, by the same rule
# in both lines: three searches; or two searches and one pass along the order
# of the likelier of them. The rule was picked on validation problems. No gold
# plan is used, and the planner is not asked.

# %% tags=["nbval-ignore-output"]
lines = {"three searches": "planning.bo3",
         "two searches, one own plan": "planning.own_bo3"}
values = {line: {level.removeprefix("ops-"): seeds[f"{row}.{level}"]
                 for level in LEVELS} for line, row in lines.items()}
figure, records = pictures.levels_picture(
    values, "Best of three, with and without a planned pass",
    "per cent right")
show(figure, alt="Share right by level for three searches and for two "
     "searches with one planned pass, bars for the mean over solvers, dots "
     "for each.", table=records,
     takeaway=fill(rows, "In place of a third search a planned pass "
     "changes {planning.plan_bo3_minus_bo3.ops-9-10:pts} on the shortest "
     "problems and {planning.plan_bo3_minus_bo3.ops-15-16:pts} on the "
     "longest."))

# %%
tell(rows, "The planned pass changes best-of-three by "
     "{planning.plan_bo3_minus_bo3:ci pts}, with "
     "{planning.plan_bo3_token_ratio:ci .2f} times the solver's tokens.")
show_table([
    {"chosen by": planning_rows.best_choice(results),
     "of": f"{len(results.gates.passed)} solvers"}],
    caption="How one of the three was chosen, in both lines")

# %% [markdown]
# ## With a second model that plans
#
# K2-Think's plans are not read off its own answers. A second model writes
# them, before the solver begins. So the same once more: two searches, and one
# pass along the planner's plan, against three searches. Both lines choose by
# the solver's own likelihood. On the first hundred problems of each level
# this was seen before it was declared; the planner's bars are of the others,
# which nobody had been asked along such a plan. Those of the solver's own order
# are of all problems.

# %% tags=["nbval-ignore-output"]
GAIN = "planning.planner_bo3_minus_bo3"
values = {line: {level.removeprefix("ops-"): seeds[f"{row}.{level}"]
                 for level in LEVELS}
          for line, row in (("the planner's plan", GAIN),
                            ("own order",
                             "planning.plan_bo3_minus_bo3"))}
figure, records = pictures.levels_picture(
    values, "A planned pass in place of the third search",
    "points of best-of-three")
show(figure, alt="Differences of best of three by level, for a pass along "
     "the planner's plan and along the solver's own order, bars for the "
     "mean, dots for solvers.", table=records,
     takeaway=fill(rows, "A pass along the planner's plan adds {"
                   + GAIN + ":ci pts}, one along the own order "
                   "{planning.plan_bo3_minus_bo3:ci pts}."))

# %% [markdown]
# The paper does not report what its planner writes. Here both roles are
# counted. The last number is what counts for a reader with a budget: as many
# searches, with the same choice, as the tokens of *both* models pay for.

# %%
tell(rows, """
The solver writes {planning.planner_bo3_token_ratio:ci .2f} times the tokens
of three searches; with the planner's tokens it is
{planning.planner_bo3_token_ratio_of_both_roles:ci .2f} times as many. For
those tokens the solver could search more often. Against that, planning is
worth {planning.planner_bo3_minus_equal_tokens:ci pts}.
""")

# %% [markdown]
# ### Is it the plan, or the lengths?
#
# The planner was taught problems as long as those that are asked, the solvers
# were not. What it brings may be no more than that. So a control was trained
# for as many steps on plans of at most eight operations, as many as the
# solvers practise, with stretched positions as they had. (Both planners come of
# one model, which had *searched* problems of up to twelve.) Fewer of its plans
# work. Look at what they are worth all the same.

# %%
SHORT = "planning.short_planner_bo3_minus_bo3"
works = {name: planner.workable_share(results.written[part])
         for name, part in (("planner", "levels"),
                            ("control", planner.SHORT))}
show_table([
    {"operations": level.removeprefix("ops-")}
    | {f"plans of the {name} that work": f"{share[level]:.0%}"
       for name, share in works.items()}
    | {"control's pass for a third search, points":
       f"{100 * rows[f'{SHORT}.{level}'].value:+.1f}"}
    for level in LEVELS
], caption="A planner that was taught to plan eight operations at most")

# %%
tell(rows, "In place of a third search a pass along the control's plan "
     "changes best-of-three by {" + SHORT + ":ci pts}; at equal tokens of "
     "both models by "
     "{planning.short_planner_bo3_minus_equal_tokens:ci pts}.")

# %%
def points(row, seed):
    return f"{100 * seeds[row][seed]:+.1f}"


show_table([
    {"solver": seed, "gold plan against a search": points(GOLD, seed),
     "planner's plan for a third search": points(GAIN, seed),
     "control's plan for a third search": points(SHORT, seed),
     "own order for a third search":
         points("planning.plan_bo3_minus_bo3", seed)}
    for seed in sorted(seeds[GOLD], key=lambda seed: -seeds[GOLD][seed])
], caption="Each solver in points, on the problems asked with each plan")

# %% [markdown]
# ## Predicted before the run

# %%
from k2repro.lab.predictions import of_room, standings

rows.save()
show_table(standings(of_room("planning"), rows),
           caption="Declared before these rows existed, and what came out")

# %% [markdown]
# ### What was changed on the way

# %%
from k2repro.lab.choices import choice_records

show_table(choice_records("test time"),
           caption="Settings of notebooks 04 and 05 that were changed")

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it.

# %%
from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · Does this plan work?
#
# *Easy · about 10 minutes.* A plan works when every name in it can be worked
# out from given values and from names before it.
#
# <details><summary>Hint</summary>
#
# Keep a set of what is known. When may a name join it?
#
# </details>

# %% tags=["exercise"]
def works(plan, given, operands):
    """plan: names. given: a set. operands[name]: its two operands."""
    ### BEGIN SOLUTION
    known = set(given)
    for name in plan:
        if not set(operands[name]) <= known:
            return False
        known.add(name)
    return True
    ### END SOLUTION

# %% tags=["check"]
checks.plan_works(works)

# %% [markdown]
# ### Exercise 2 · When is a second way worth it?
#
# *Medium · about 10 minutes.* Two ways are right with probability p and q.
# With a judge that always finds a right answer, what is the chance to be
# right, if their mistakes are independent? And if both fail on exactly the
# same problems and p = q?
#
# <details><summary>Hint</summary>
#
# Think of the problems on which *both* fail.
#
# </details>

# %% tags=["exercise"]
def chance_of_two(p, q, independent):
    """Chance that at least one of the two is right."""
    ### BEGIN SOLUTION
    return 1 - (1 - p) * (1 - q) if independent else max(p, q)
    ### END SOLUTION

# %% tags=["check"]
checks.two_ways(chance_of_two)

# %% [markdown]
# ### Exercise 3 · A plan that nobody wrote
#
# *Hard · about 15 minutes.* A trace is a list of moves, `("note", name)`,
# `("recall", name)` or `("evaluate", name)`. Read off the plan: what was
# evaluated, each name once, in the order of its first evaluation.
#
# <details><summary>Hint</summary>
#
# A dictionary keeps the order in which keys came first.
#
# </details>

# %% tags=["exercise"]
def order_of(moves):
    """A list of names."""
    ### BEGIN SOLUTION
    return list(dict.fromkeys(
        name for action, name in moves if action == "evaluate"))
    ### END SOLUTION

# %% tags=["check"]
checks.order_of_trace(order_of)
