"""The three rules that leave the target's distribution as it is: how many drafts stay, and what follows them.

COUPLED   the target draws with the very number that the draft drew with, and drafts stay while both agree:
          the same tokens as without a draft, whatever the draft
TOKEN     each draft stays with probability min(1, p / q); Leviathan et al., arXiv 2211.17192, algorithm 1
BLOCK     all drafts are judged together; Sun et al., arXiv 2403.10444, algorithm 2

Shapes as in `speculating.py`; logits [.., W], those of row `first + i` stand after i drafts.
"""

import numpy as np

from k2repro.fast.kernels.choosing import dart, likeliest, weigh
from k2repro.fast.kernels.compiling import compiled

COUPLED, TOKEN, BLOCK = range(3)
# How a token came: the draft's, accepted; the target's instead of a draft; the target's after all drafts.
ACCEPTED, CORRECTED, ADDED = 1, 2, 3
# A row goes on, has ended, needs `engine.choose` to decide, or the target's or draft's logits are not finite.
RUNNING, DONE, ASKS, BROKEN, BROKEN_DRAFT = range(5)


@compiled
def emit(rows, row, token, origin):
    """Append a token; True if the row is at its end."""
    at = rows.counts[row]
    rows.tokens[row, at], rows.origin[row, at] = token, origin
    rows.counts[row] = at + 1
    if rows.stops[token] or at + 1 >= rows.limits[row]:
        rows.state[row] = DONE
        return True
    return False


@compiled
def judge(logits, first, rows, scratch, rules, row):
    """Append what the rule gives to the row; the state says if it is at its end, or has to ask."""
    if rules.rule == COUPLED or rules.temperature == 0:
        judge_coupled(logits, first, rows, scratch, rules, row)
    elif rules.rule == TOKEN:
        judge_token(logits, first, rows, scratch, rules, row)
    else:
        judge_block(logits, first, rows, scratch, rules, row)


@compiled
def judge_coupled(logits, first, rows, scratch, rules, row):
    """The target's own tokens, up to the first that is not the draft's."""
    many = scratch.many[row]
    for at in range(many + 1):
        sure = True
        if rules.temperature == 0:
            token = likeliest(logits, first + at, rules.words)
            if token < 0:
                rows.state[row] = BROKEN
                return
        else:
            number = rows.numbers[row, rows.counts[row] - rows.prompts[row]]
            given = (rules.temperature, rules.top_p, scratch.p, 0, rules.words)
            total, sure = weigh(logits, first + at, *given)
            if not np.isfinite(total):
                rows.state[row] = BROKEN
                return
            token, near = dart(scratch.p, 0, rules.words, total, number)
            sure = sure and near
        if not sure:
            # The caller decides with `engine.choose`; the logits stay where they are.
            rows.state[row] = ASKS
            rows.used[row] = first + at
            return
        same = at < many and token == scratch.drafts[row, at]
        if emit(rows, row, token, ADDED if at == many else ACCEPTED if same else CORRECTED) or not same:
            return


@compiled
def next_number(rows, row):
    """The row's next unused number."""
    rows.used[row] += 1
    return rows.numbers[row, rows.used[row] - 1]


@compiled
def weigh_target(logits, first, scratch, rules, at):
    """The target's weights after `at` drafts, in p; False if they are not finite."""
    given = (rules.temperature, rules.top_p, scratch.p, at, rules.words)
    scratch.p_sums[at], _ = weigh(logits, first + at, *given)
    return np.isfinite(scratch.p_sums[at])


@compiled
def leftover(scratch, rules, row, at, kept):
    """p[at] = max(kept p - q, 0) after `at` drafts, and its sum: what the drafts have not yet given."""
    place, total = row * rules.gamma + at, 0.0
    share, of_draft = kept / scratch.p_sums[at], 1.0 / scratch.q_sums[place]
    for v in range(rules.words):
        rest = max(0.0, share * scratch.p[at, v] - of_draft * scratch.q[place, v])
        scratch.p[at, v] = rest
        total += scratch.p[at, v]
    return total


@compiled
def judge_token(logits, first, rows, scratch, rules, row):
    """Drafts one by one; the first that is refused is replaced from the leftover."""
    many = scratch.many[row]
    for at in range(many + 1):
        if not weigh_target(logits, first, scratch, rules, at):
            rows.state[row] = BROKEN
            return
        if at == many:
            token, _ = dart(scratch.p, at, rules.words, scratch.p_sums[at], next_number(rows, row))
            emit(rows, row, token, ADDED)
            return
        token, place = scratch.drafts[row, at], row * rules.gamma + at
        p, q = scratch.p[at, token] / scratch.p_sums[at], scratch.q[place, token] / scratch.q_sums[place]
        if next_number(rows, row) * q < p:
            if emit(rows, row, token, ACCEPTED):
                return
            continue
        total = leftover(scratch, rules, row, at, 1.0)
        token, _ = dart(scratch.p, at, rules.words, total, next_number(rows, row))
        emit(rows, row, token, CORRECTED)
        return


@compiled
def judge_block(logits, first, rows, scratch, rules, row):
    """The longest stretch that its own draw lets stay; then the leftover of what follows it."""
    many, stays, kept, kept_there = scratch.many[row], 0, 1.0, 1.0
    for at in range(many + 1):
        if not weigh_target(logits, first, scratch, rules, at):
            rows.state[row] = BROKEN
            return
    for at in range(many):
        token, place = scratch.drafts[row, at], row * rules.gamma + at
        p, q = scratch.p[at, token] / scratch.p_sums[at], scratch.q[place, token] / scratch.q_sums[place]
        kept = min(1.0, kept * p / q)
        chance = kept
        if at + 1 < many:
            rest = 0.0
            for v in range(rules.words):
                later = kept * scratch.p[at + 1, v] / scratch.p_sums[at + 1]
                rest += max(0.0, later - scratch.q[place + 1, v] / scratch.q_sums[place + 1])
            chance = 1.0 if kept == 1.0 else rest / (rest + 1.0 - kept)
        if next_number(rows, row) < chance:
            stays, kept_there = at + 1, kept
    for at in range(stays):
        if emit(rows, row, scratch.drafts[row, at], ACCEPTED):
            return
    total = scratch.p_sums[stays]
    if stays < many:
        total = leftover(scratch, rules, row, stays, kept_there)
    token, _ = dart(scratch.p, stays, rules.words, total, next_number(rows, row))
    emit(rows, row, token, CORRECTED if stays < many else ADDED)
