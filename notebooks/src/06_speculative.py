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
# # 06 · Speculative decoding: the same text, sooner
#
# **Shows:** that a draft model changes no token, proved in fractions and
# seen on whole responses; how many tokens one pass of the large model then
# gives; where the gain ends; and how much the speed varies with the prompt.
#
# Writing one token costs a pass over the whole model. Checking eight tokens
# that somebody else guessed costs one pass as well, and on most hardware not
# a much longer one. So a small *draft* guesses, the large *target* checks,
# and what it agrees with is kept. The article says that accuracy is
# unchanged and that speed varies by about a fifth either way.
#
# Everything is measured on **mini-K2**. Numbers here are counts: tokens,
# passes, bytes. Times belong to one machine; `k2repro bench speculative`
# measures them on yours, and `k2repro speculate --advise` says whether a
# draft pays there.

# %% tags=["parameters"]
profile = "laptop"

# %%
from k2repro.lab.scale import Scale
from k2repro.lab.speculative import carry_out_speculation, read_counts
from k2repro.lab import speculative_rows as effects
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.notebook import checked_parameters, expected, show
from k2repro.notebook import show_table, tell
from k2repro.paper import load_facts
from k2repro.pictures import speculative as pictures
from k2repro.results import open_rows
from k2repro.results.store import open_store

globals().update(checked_parameters("06_speculative", globals()))
scale = Scale.of_profile(profile)
rows = open_rows("06_speculative", profile=profile, parameters={
    "steps": scale.steps, "problems": scale.problems, "deep": scale.deep})
book = load_facts()

# %%
folders = carry_out_speculation(scale, open_store(profile))
target, draft = (load_checkpoint(folders[role])
                 for role in ("target", "draft"))
counts = read_counts(folders["counts"])
sizes = {name: sum(p.numel() for p in model.parameters())
         for name, model in (("target", target), ("draft", draft))}
show_table([sizes], caption="Parameters of target and draft")

# %% [markdown]
# ## One response, cycle by cycle
#
# The draft is a part of the fine-tuned model: three of its four layers, half
# of each layer's feed-forward units, then taught by the target what it had
# lost. In each cycle it guesses up to four tokens. Move the slider: guesses
# that the target accepts come several at a time; a guess that is refused is
# replaced by the target's own token; after four accepted guesses the pass
# has one token more to give.

# %%
from k2repro.lab.speculative import prompts_of, stop_tokens
from k2repro.mini import tokenizer
from k2repro.speculative import Draft, speculative_sample

prompts = prompts_of("validation", 4)
found = speculative_sample(
    target, Draft.of(draft), prompts, gamma=4, max_new_tokens=160,
    seeds=range(4), stop=stop_tokens())
first = found.responses[0][0]
texts = [tokenizer.decode([token]) for token in first.tokens]

# %% tags=["nbval-ignore-output"]
figure, records = pictures.cycles_picture(texts, first.origin)
show(figure, alt="Nearly all tokens of the response are accepted drafts; "
     "one in five is the target's extra token; few are corrections.",
     table=records)

# %% [markdown]
# ## The same text, with a draft and without
#
# Two programs write the same four responses from the same seeds: the
# sampler of the other notebooks, token by token, and the loop with a draft.
# The texts should be equal, the passes fewer than the tokens.

# %%
from k2repro.engine import sample

alone = sample(target, prompts, max_new_tokens=160, seeds=range(4),
               stop=stop_tokens())
same = [a[0].tokens == b[0].tokens
        for a, b in zip(alone, found.responses, strict=True)]
show_table([
    {"problem": at + 1, "tokens": one.tokens, "passes": one.passes,
     "same text": "yes" if equal else "no"}
    for at, (one, equal) in enumerate(
        zip(found.of_prompts, same, strict=True))
], caption="Four responses, written twice")
expected("Equal texts, and fewer passes than tokens.", holds=all(same)
         and all(one.passes < one.tokens for one in found.of_prompts))

# %% [markdown]
# That is stronger than "the same distribution". Draft and target draw with
# the **same random number**, and guesses stay while both draw the same
# token: what is written is always what the target would have drawn. The next
# table counts over test problems, for five drafts, one to fifteen guesses,
# one or eight rows at a time, and greedy decoding too. Expect every response
# to be the sampler's. Then accuracy is not "about the same": it is the same
# responses.

# %%
effects.add_identity(rows, counts)
show_table([
    {"draft": name.rsplit(" ", 1)[0], "temperature": name.rsplit(" ", 1)[1],
     "the same text": pair[0], "of": pair[1]}
    for name, pair in counts["identity"].items()
], caption="Responses that are the sampler's, token for token")
assert (rows["speculative.identity.same"].value
        == rows["speculative.identity.compared"].value)

# %%
tell(rows, "Equal: {speculative.identity.same} of "
     "{speculative.identity.compared} responses.")

# %% [markdown]
# ## The published rule, on one page
#
# The rule of the literature compares probabilities. A guess $x$ stays with
# probability $\min(1, p(x) / q(x))$, where $p$ is the target's distribution
# and $q$ the draft's. A refused guess is replaced from what $p$ has and $q$
# lacks. The page `k2repro/speculative/plain.py` is the whole method;
# here one cycle runs live.

# %%
import torch

from k2repro.speculative.plain import reader, speculate_plainly

text = torch.tensor(prompts[0])
generator = torch.Generator().manual_seed(0)
longer = speculate_plainly(
    reader(target), reader(draft), text, 4, generator)
new = longer[len(text):].tolist()
print(len(new), "tokens of one pass:", repr(tokenizer.decode(new)))

# %% [markdown]
# ### Right, or nearly right?
#
# A wrong rule writes fluent text, and no reader notices. So the next cell
# writes down **every** branch of a cycle on a vocabulary of three words:
# each guess, each decision, each replacement, as fractions. Look for an error
# of exactly 0 for the coupled rule, the token rule above, and *block
# verification*, which judges all guesses together and keeps a few more.

# %%
from k2repro.speculative.exact import RULES, drawn_law, largest_error
from k2repro.speculative.exact import words_per_cycle

p, q = drawn_law("p", 3), drawn_law("q", 3)
errors = {rule: [largest_error(cycle, p, q, gamma) for gamma in (1, 2, 3)]
          for rule, cycle in RULES.items()}
show_table([
    {"rule": rule, **{f"error, gamma {at + 1}": str(error)
                      for at, error in enumerate(found)},
     "words a cycle, gamma 3": str(words_per_cycle(RULES[rule], p, q, 3))}
    for rule, found in errors.items()
], caption="Joint law of the next gamma + 1 words, against the target's")

# %%
rows.add("speculative.lossless.max_abs_difference",
         float(max(max(found) for found in errors.values())),
         unit="probability")
assert rows["speculative.lossless.max_abs_difference"].value == 0

# %% [markdown]
# ### What the proof catches
#
# Each line is a defect that public code has had, or that is one step away
# from it. Expect errors that are not 0: a test that cannot fail would prove
# nothing. Cycles have three guesses here, since one defect shows in no
# shorter one.

# %%
from k2repro.speculative.mutants import MUTANTS

wrong = [(mutant, largest_error(mutant.cycle, p, q, 3))
         for mutant in MUTANTS]
show_table([
    {"defect": mutant.defect, "seen": mutant.seen,
     "largest error": f"{float(error):.4f}"}
    for mutant, error in wrong
], caption="Wrong rules, and the probability that each of them bends")
expected("Every wrong rule has an error.",
         holds=all(error > 0 for _, error in wrong))

# %% [markdown]
# ## How many tokens a pass
#
# A good draft's line rises nearly with the number of guesses; a poor one's
# stays flat. *Look-up* has no model at all: it
# repeats what followed the same words earlier in the text. *Early exit* is
# the target without its last layer. The *bigram* table knows what follows
# each token, and nothing else.

# %% tags=["nbval-ignore-output"]
effects.add_effects(rows, counts, sizes["draft"] / sizes["target"])
figure, records = pictures.tokens_picture(counts["gammas"])
show(figure, alt="Tokens a pass over the number of guesses: the trained "
     "draft, early exit and the base rise nearly in line with it, look-up "
     "levels off near two, the bigram table stays near one.",
     table=records)

# %%
tell(rows, "With seven guesses the trained draft gives "
     "{speculative.tokens_per_pass:ci .2f} tokens a pass.")
show_table(pictures.length_records(counts["gammas"]),
           caption="Passes that kept so many of seven guesses")

# %% [markdown]
# ### Which tokens are hard
#
# Look-up can guess what the text has said before: operators, digits and
# letters. It knows nothing of the words between them. A draft that is a model
# can guess every kind.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.kinds_picture(counts["kinds"])
show(figure, alt="Acceptance by kind of token: drafts that are models are "
     "accepted for all kinds; look-up fails at words and markup, the "
     "bigram table at everything.", table=records)

# %% [markdown]
# ### Temperature, and three rules
#
# At low temperature the distributions are peaked and all rules agree. Above
# 1 two models seldom draw the same token with the same number, so the
# coupled rule is refused there; block verification is made for that case.

# %%
show_table(pictures.rule_records(counts["rules"]),
           caption="Trained draft, four guesses a cycle")

# %% [markdown]
# ## What it is worth
#
# A draft is not for nothing. Where memory decides, a cycle reads the target
# once and the draft once a guess. For a target of a million parameters the
# draft is half as large, and more guesses soon cost what they bring. The
# other lines are larger targets, grown from it so that they give the very
# same logits. **They compute a small function in a large
# model**: a small draft agrees with them far more often than it would with a
# model that uses its size.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.sizes_picture(
    counts["gammas"]["trained"], sizes["draft"],
    {"mini-K2, 1M": sizes["target"], "grown, 27M": 27_000_000,
     "grown, 92M": 92_000_000})
show(figure, alt="Modelled speed over the number of guesses: up to about "
     "one and a half for the small target, rising steeply for the grown "
     "ones.", table=records)

# %%
tell(rows, "Counted in bytes, mini-K2 itself would write "
     "{speculative.speedup:ci .2f} times as fast, with "
     "{speculative.target_passes_per_token:ci .3f} passes a token.")

# %% [markdown]
# **Bytes are not time.** A million parameters lie in the processor's caches,
# where arithmetic decides: a pass over eight tokens then costs several times
# a pass over one, and on the machine that built this notebook the draft made
# mini-K2 itself *slower*. The bytes rule where weights come from memory, as
# those of a 32B model do. `k2repro bench speculative` times all three sizes.

# %% [markdown]
# ### Leviathan's formula
#
# Two published tables follow from one formula,
# $(1 - \alpha^{\gamma + 1}) / ((1 - \alpha)(\gamma c + 1))$. The six
# entries of Table 1 should come out to the printed digit. The formula takes a
# pass over eight tokens to cost what a pass over one does; the bench shows
# what it costs on your machine, and the prediction with that cost.

# %%
from k2repro.speculative.prediction import expected_operations
from k2repro.speculative.prediction import expected_speedup

TABLE_1 = ((0.6, 2, 1.53, 1.96), (0.7, 3, 1.58, 2.53),
           (0.8, 2, 1.23, 2.44), (0.8, 5, 1.63, 3.69),
           (0.9, 2, 1.11, 2.71), (0.9, 10, 1.60, 6.86))
show_table([
    {"acceptance": alpha, "gamma": gamma, "operations": operations,
     "recomputed": round(expected_operations(alpha, gamma, 0), 2),
     "speed": speed,
     "recomputed speed": round(expected_speedup(alpha, gamma), 2)}
    for alpha, gamma, operations, speed in TABLE_1
], caption="Leviathan et al., Table 1 (arXiv 2211.17192), and recomputed")

# %% [markdown]
# ## How much it varies
#
# The article says that output speed varies by about a fifth either way.
# Nobody published the spread for K2-Think. Here it is the standard deviation
# over test problems of tokens a pass, over its mean; the number of guesses
# was chosen for speed, not for this number.

# %% tags=["nbval-ignore-output"]
stated = book.number(
    "article/speculative decoding/spread of the output speed")
figure, records = pictures.spread_picture(counts["gammas"], stated / 100)
show(figure, alt="Spread over prompts against the number of guesses: it "
     "grows with it and stays below what the article states for the "
     "trained draft.", table=records)

# %%
tell(rows, "With seven guesses: {speculative.rate_spread:ci .3f} of the "
     "mean, over prompts.")
saved = rows.save()
