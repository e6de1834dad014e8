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
# gives, and how to know before the run; where the gain ends; and how much
# the speed varies with the prompt.
#
# **In short:** a draft costs no accuracy: token for token the text is the one
# that would have been written without it. Wrong rules write as fluently.
# Tests on samples miss some of them; a proof on three words missed none of
# those tried here. How much a draft gains depends on where the weights lie.
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
from collections import Counter

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
# lost. In each cycle it guesses up to four tokens. Guesses that the target
# accepts come several at a time; a guess that is refused is replaced by the
# target's own token; after four accepted guesses the pass has one token more
# to give.

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
came = Counter(each["how it came"] for each in records)
show(figure, alt="A bar for each token of a response, at one of three "
     "heights: an accepted draft, the target's own token in place of a "
     "refused one, the target's extra token.", table=records,
     takeaway=f"Of {len(records)} tokens {came['accepted']} are accepted "
     f"drafts, {came['corrected']} corrections and {came['added']} the one "
     "more that a pass gives after four accepted guesses.")

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
     "{speculative.identity.compared} responses. So a draft changes "
     "accuracy on them by {speculative.accuracy.most_change:.0f}.")

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
#
# The last column is what people do instead: let the program write, and test
# whether the texts look like the target's. Two hundred such tests are run for
# each rule, with a thousand texts each. The right rule, in the first line, is
# accused as often as chance has it, about once in twenty. Some wrong rules
# are accused hardly more often: sampling alone does not find them.

# %%
from itertools import product

import numpy as np

from k2repro.lessons.draws import chances, noticed
from k2repro.speculative.exact import alone, next_words
from k2repro.speculative.mutants import MUTANTS


def tested(cycle):
    """Share of 200 tests that notice the rule, 1,000 texts each."""
    texts = list(product(range(3), repeat=4))
    law = chances(next_words(cycle, p, q, 3, 4), texts)
    return noticed(law, chances(alone(p, 4), texts), 1000, 200,
                   np.random.default_rng(0))


# %%
right = [("none: the token rule", "", RULES["token"])]
wrong = [(one.defect, one.seen, one.cycle) for one in MUTANTS]
judged = [(defect, seen, largest_error(cycle, p, q, 3), tested(cycle))
          for defect, seen, cycle in right + wrong]
show_table([
    {"defect": defect, "seen": seen, "largest error": f"{float(error):.4f}",
     "tests that notice": f"{share:.0%}"}
    for defect, seen, error, share in judged
], caption="Wrong rules: how far a probability is bent, and who notices")
expected("Every wrong rule has an error; some random tests miss it.",
         holds=all(error > 0 for _, _, error, _ in judged[1:])
         and any(share < 0.5 for *_, share in judged[1:]))

# %% [markdown]
# ### What no text shows
#
# The target checks every guess, so a loop may treat its draft badly and the
# text stays right. It is only slow, and no test of texts finds out. Here the
# target is its own draft. Look at the acceptance: it should be 1, since both
# are the same model, and lower where the draft has read something else than
# what was written.

# %%
from k2repro.speculative.loop_defects import LOOP_DEFECTS
from k2repro.speculative.loop_defects import as_its_own_draft

whole = as_its_own_draft(target, prompts[0], 40, 4, 0)
spoilt = {(one.defect, one.seen): as_its_own_draft(
    target, prompts[0], 40, 4, 0, one.spoil) for one in LOOP_DEFECTS}
show_table([
    {"defect": defect, "seen": seen, "acceptance": f"{accepted:.3f}",
     "same text": "yes" if tokens == whole[0] else "no"}
    for (defect, seen), (tokens, accepted)
    in {("none", ""): whole, **spoilt}.items()
], caption="Careless loops: right, and slow")
expected("The same text each time, and an acceptance below 1.", holds=all(
    tokens == whole[0] and accepted < whole[1] == 1
    for tokens, accepted in spoilt.values()))

# %% [markdown]
# One more defect is in the arithmetic. Where a pass over several tokens
# rounds otherwise than one token after the other, the likeliest token can
# change. The compiled pass sums in one order whatever it reads. Expect a
# difference of 0.

# %%
from k2repro.fast import CompiledDecoder, fold

one_by_one, at_once = (
    CompiledDecoder(target, fold(target), 1, 200) for _ in range(2))
for decoder in (one_by_one, at_once):
    decoder.put(0, decoder.prefill([prompts[0]])[0])
read = found.responses[0][0].tokens[:8]
seen = torch.cat([one_by_one.extend(0, [token]) for token in read])
difference = float((at_once.extend(0, read) - seen).abs().max())
rows.add("speculative.pass_of_8.max_abs_difference", difference,
         unit="logits", scale="mini", n=len(read), seeds=(0,))
assert difference == 0
print("Logits of eight tokens, at once and one by one:", difference)

# %% [markdown]
# ## How many tokens a pass
#
# Five drafts, from one guess a cycle to fifteen. *Trained* is the draft
# above; *base* is the model before fine-tuning. *Early exit* is the target
# without its last layer. *Look-up* has no model at all: it repeats what
# followed the same words earlier in the text. The *bigram* table knows what
# follows each token, and nothing else.

# %% tags=["nbval-ignore-output"]
effects.add_effects(rows, counts, sizes["draft"] / sizes["target"])
figure, records = pictures.tokens_picture(counts["gammas"])
show(figure, alt="Tokens a pass over the number of guesses: the trained "
     "draft, early exit and the base rise nearly in line with it, look-up "
     "levels off near two, the bigram table stays near one.",
     table=records, takeaway="With a good draft every further guess is "
     "nearly a further token; with a poor one it is nothing.")

# %%
tell(rows, "With seven guesses the trained draft gives "
     "{speculative.tokens_per_pass:ci .2f} tokens a pass.")
show_table(pictures.length_records(counts["gammas"]),
           caption="Passes that kept so many of seven guesses")

# %% [markdown]
# ### Which tokens are hard
#
# Look-up can guess what the text has said before: operators, digits and
# letters. Of the words between them it knows little. A draft that is a model
# can guess every kind.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.kinds_picture(counts["kinds"])
show(figure, alt="Groups of bars, the share of guesses accepted by kind of "
     "token: the trained draft, early exit and the base near one in every "
     "group, look-up high for digits, letters and operators, the bigram "
     "table low throughout.", table=records,
     takeaway="A model guesses every kind of token; look-up only what the "
     "text has said before.")

# %% [markdown]
# ### Temperature, and three rules
#
# Up to a temperature of 1 the rules differ little here. The hotter, the less
# often two models draw the same token with the same number, so above 1 the
# coupled rule is refused; block verification is made for that case.
# *Accepted* is the share of guesses that stay.

# %%
show_table(pictures.rule_records(counts["rules"]),
           caption="Trained draft, four guesses a cycle")

# %% [markdown]
# What would the coupled rule cost there? At one place of a text the answer
# needs no run. Of the numbers from 0 to 1, some give both models the same
# token: so often a guess stays. The token rule keeps all that the two
# distributions share, and no rule keeps more. Compare the columns: they
# should part above 1.

# %%
from k2repro.speculative.prediction import shared_mass, shared_numbers


@torch.inference_mode()
def distributions(model, temperature):
    """After each token of the first response above."""
    whole = torch.tensor([[*prompts[0], *first.tokens]])
    logits = model(whole)[0, len(prompts[0]) - 1:-1].double()
    return torch.softmax(logits / temperature, -1).numpy()

# %%
kept = []
for temperature in (0.5, 1.0, 1.5, 2.0, 4.0):
    both = [distributions(each, temperature) for each in (target, draft)]
    kept.append({"temperature": temperature,
                 "coupled": float(shared_numbers(*both).mean()),
                 "token": float(shared_mass(*both).mean())})
show_table([{key: round(value, 3) for key, value in line.items()}
            for line in kept],
           caption="Guesses of the trained draft that would stay, a share")
expected("The hotter, the more the coupled rule loses.", holds=(
    kept[-1]["token"] - kept[-1]["coupled"]
    > kept[1]["token"] - kept[1]["coupled"]))

# %% [markdown]
# ## What it is worth
#
# A draft is not for nothing. Where memory decides, a cycle reads the target
# once and the draft once a guess. For a target of a million parameters the
# draft is more than half as large, and more guesses soon cost what they
# bring. The other lines are larger targets, grown from it so that they give
# the very same logits. **They compute a small function in a large model**: a
# small draft agrees with them far more often than it would with a model that
# uses its size. `k2repro bench smollm2` tries drafts on one that does.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.sizes_picture(
    counts["gammas"]["trained"], sizes["draft"],
    {"mini-K2, 1M": sizes["target"], "grown, 27M": 27_000_000,
     "grown, 92M": 92_000_000})
show(figure, alt="Modelled speed over the number of guesses: up to about "
     "one and a half for the small target, rising steeply for the grown "
     "ones.", table=records, takeaway="Where bytes decide, the larger the "
     "target beside its draft, the more a guess is worth.")

# %%
tell(rows, "Counted in bytes, mini-K2 itself would write "
     "{speculative.speedup:ci .2f} times as fast, with "
     "{speculative.target_passes_per_token:ci .3f} passes a token.")

# %% [markdown]
# **Bytes are not time.** A million parameters lie in the processor's caches,
# where arithmetic decides: a pass over eight tokens then costs clearly more
# than a pass over one, and little of the gain in bytes is left. On some
# machines the draft makes mini-K2 itself *slower*, above all with several
# rows at a time. The bytes rule where weights come from memory, as those of a
# 32B model do. `k2repro bench speculative` times these three sizes and one of
# 10M.

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
# ### What one run tells about the others
#
# A better prediction takes what is true on the machine. It needs tokens a
# pass, and the cost of a pass and of a guess, timed inside the loop that
# writes (`k2repro/speculative/timing.py`).
#
# Tokens a pass come from one run with fifteen guesses. What it accepted says
# what fewer guesses would give: the rest is left out. Leviathan's
# formula takes every guess to be accepted alike. Expect it to fail for
# look-up, which is right for a stretch and then has nothing to say.

# %%
from k2repro.speculative.prediction import expected_tokens, shortened
from k2repro.speculative.prediction import tokens_a_cycle


def told_by_one_run(found, gamma):
    """Tokens a pass with `gamma` guesses, from a run with fifteen."""
    cycles = np.zeros((16, 16))
    cycles[15] = found["15"]["lengths"]
    return tokens_a_cycle(shortened(cycles, gamma))

told = [
    {"draft": name, "guesses": gamma,
     "seen": effects.tokens_a_pass(found[str(gamma)]),
     "from one run": told_by_one_run(found, gamma),
     "accepted alike": expected_tokens(found["4"]["acceptance"], gamma)}
    for name, found in counts["gammas"].items() for gamma in (3, 7)]

# %%
show_table([{key: round(value, 2) if isinstance(value, float) else value
             for key, value in line.items()} for line in told],
           caption="Tokens a pass: seen, and predicted in two ways")
worst = {way: max(abs(line[way] / line["seen"] - 1) for line in told)
         for way in ("from one run", "accepted alike")}
for way, name in (("from one run", "one_run"), ("accepted alike", "alike")):
    rows.add(f"speculative.tokens_predicted.{name}.worst_error", worst[way],
             unit="fraction", scale="mini", n=len(told), seeds=(0,))
expected("One run tells it better.",
         holds=worst["from one run"] < worst["accepted alike"])

# %%
tell(rows, "Largest error: "
     "{speculative.tokens_predicted.one_run.worst_error:.3f} from one run, "
     "{speculative.tokens_predicted.alike.worst_error:.3f} where guesses "
     "are taken to be accepted alike.")

# %% [markdown]
# ## On the machine of the article
#
# The emulator of the next notebook knows what a pass costs on a wafer. A core
# there reads a weight once per multiplication, so a pass over eight tokens is
# no pass over one. Here it is given **mini-K2's** acceptance, as measured,
# with a draft that costs nothing. Nobody published K2-Think's. The gain is to be
# compared with the tokens a pass.

# %%
from k2repro.wafer import Speculation, find_device, find_shape, predict

k2, wse = find_shape("k2-think"), find_device("WSE-3")


def on_wafers(gamma):
    """K2-Think on three wafers, 16,000 tokens of context."""
    draft = None
    if gamma:
        lengths = counts["gammas"]["trained"][str(gamma)]["lengths"]
        draft = Speculation.from_accepted(
            np.repeat(np.arange(len(lengths)), lengths).tolist(), gamma)
    return predict(k2, wse, devices=3, context_length=16000,
                   speculation=draft)

emulated = {gamma: on_wafers(gamma) for gamma in (0, 1, 3, 7, 15)}

# %%
plain, drafted = emulated[0], emulated[7]
show_table([
    {"guesses": gamma, "tokens a pass": round(found.tokens_per_step, 2),
     "step (ms)": round(1e3 * found.step_seconds, 2),
     "tokens/s": round(found.tokens_per_second),
     "over no draft": round(
         found.tokens_per_second / plain.tokens_per_second, 2)}
    for gamma, found in emulated.items()
], caption="K2-Think on three wafers, emulated, with mini-K2's acceptance")
gain = drafted.tokens_per_second / plain.tokens_per_second
rows.add("speculative.emulated.3_wafers.gain", gain, unit="ratio",
         scale="mini", seeds=(0,),
         n=sum(counts["gammas"]["trained"]["7"]["tokens"]))
expected("The gain stays below the tokens a pass.",
         holds=gain < drafted.tokens_per_step)

# %%
tell(rows, "Seven guesses make the emulated wafers "
     "{speculative.emulated.3_wafers.gain:.2f} times as fast.")

# %% [markdown]
# ## How much it varies
#
# The article says that output speed varies by about a fifth either way.
# Nobody published the spread for K2-Think. Here it is the standard deviation
# over test problems of tokens a pass, over its mean, with an interval; the
# table also has the slowest and the fastest prompt. The number of guesses
# was chosen for speed, not for this number.

# %% tags=["nbval-ignore-output"]
stated = book.number(
    "article/speculative decoding/spread of the output speed")
figure, records = pictures.spread_picture(counts["gammas"], stated / 100)
max_spread = max(each["spread"] for each in records)
show(figure, alt="Spread over prompts against the number of guesses, a "
     "line for each draft: most rise, the bigram table's is flat; a dotted "
     "line stands at what the article states.", table=records,
     takeaway=f"The largest spread here is {max_spread:.0%}, the article "
     f"says {stated:.0f} %.")

# %%
tell(rows, "With seven guesses: {speculative.rate_spread:ci .3f} of the "
     "mean, over prompts.")
saved = rows.save()

# %% [markdown]
# ## Try it
#
# 1. Give `speculative_sample` the target as its own draft. How many tokens a
#    pass are there, and what does the warning say?
# 2. Above temperature 1 take `rule="block"` and `rule="token"`. At which
#    temperature does the draft stop helping?
# 3. Write a wrong rule in `k2repro/speculative/mutants.py`. How many random
#    tests notice it?

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it. A check
# looks at what your code gives, says what is likely wrong, and stops nothing.

# %%
from itertools import accumulate
from operator import mul

from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · May it stay?
#
# *Easy · about 5 minutes.* The draft guessed a word that it gave probability
# `q`. The target gives it `p`. Write the probability with which the guess is
# kept.
#
# <details><summary>Hint</summary>
#
# What the target likes better than the draft did always stays. What should
# happen to a word that the draft guesses twice as often as it should?
#
# </details>

# %% tags=["exercise"]
def stays(p, q):
    """A probability; p and q are numbers, q is above 0."""
    ### BEGIN SOLUTION
    return min(1.0, p / q)
    ### END SOLUTION

# %% tags=["check"]
checks.chance_to_stay(stays)

# %% [markdown]
# ### Exercise 2 · What takes its place
#
# *Medium · about 10 minutes.* A guess was refused. Write the distribution
# that its replacement is drawn from, so that guesses and replacements
# together come with `p`.
#
# <details><summary>Hint</summary>
#
# A kept guess comes with min(p, q). What is missing to p, word by word? And
# what do the missing parts add up to?
#
# </details>

# %% tags=["exercise"]
def instead(p, q):
    """A list as long as `p` and `q`, the distributions over all words."""
    ### BEGIN SOLUTION
    missing = [max(0.0, a - b) for a, b in zip(p, q, strict=True)]
    return [part / sum(missing) for part in missing]
    ### END SOLUTION

# %% tags=["check"]
checks.replacement(instead)

# %% [markdown]
# ### Exercise 3 · Will it pay?
#
# *Hard · about 15 minutes.* `stays` lists how often the first, the second, ...
# guess of a cycle is accepted, of those whose forerunners were. A pass that
# checks them all costs `pass_cost` passes over one token, and each guess
# costs `guess_cost`. Write the speed over decoding without a draft.
#
# <details><summary>Hint</summary>
#
# First the tokens: the third guess counts if the first, the second and the
# third stay, and the pass adds a token of its own. Then what the cycle costs.
#
# </details>

# %% tags=["exercise"]
def speed(stays, pass_cost, guess_cost):
    """A ratio; above 1 the draft makes it faster."""
    ### BEGIN SOLUTION
    tokens = 1 + sum(accumulate(stays, mul))
    return tokens / (pass_cost + len(stays) * guess_cost)
    ### END SOLUTION

# %% tags=["check"]
checks.speed_with_draft(speed)
