"""Speculative decoding of several rows as one compiled call: draft, check in one pass, accept, go on.

A cycle of a row: the draft proposes up to gamma tokens; the target reads the last token and those in one
pass; a rule (`judging.py`) says how many stay, and gives one token more. What was not accepted is forgotten
by a length. With gamma 0 this is ordinary decoding. `speculative/plain.py` is the page it is tested against.

Shapes: R rows, S positions, G the largest gamma, V words, W words filled up to whole panels and a vector.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2repro.fast.kernels.choosing import dart, likeliest, weigh
from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.decode import (
    Angles,
    Array,
    Buffers,
    DecodeBatch,
    FoldedWeights,
    Ints,
    KeyValueCache,
    decode,
)
from k2repro.fast.kernels.judging import BROKEN_DRAFT, COUPLED, DONE, RUNNING, judge, next_number

MODEL, LOOKUP, BIGRAM = range(3)
# Tokens of a match beyond which a longer one is not looked for.
LONGEST = 8


class Reader(NamedTuple):
    """A model and its cache. logits: [R (G + 2), W]. lengths: int64 [R], tokens of a row in the cache."""

    weights: FoldedWeights
    cache: KeyValueCache
    angles: Angles
    epsilon: np.float32
    buffers: Buffers
    logits: Array
    lengths: Ints


class Rules(NamedTuple):
    """rule: COUPLED, TOKEN or BLOCK. kind: of the draft. gamma: most tokens a cycle. confidence: the
    draft goes on while its likeliest token has at least this probability. temperature 0: greedy. words: V.
    """

    rule: int
    kind: int
    gamma: int
    confidence: float
    temperature: np.float32
    top_p: float
    words: int


class SpeculativeRows(NamedTuple):
    """What is known of each row. tokens: int64 [R, S]. counts, prompts, limits: int64 [R], tokens so far, of
    the prompt, and at most. state: int64 [R], RUNNING ... numbers: float64 [R, N], used: int64 [R]; under
    the coupled rule a response's token k takes number k. stops: bool [V]. origin: int8 [R, S], whose each is.
    cycles: int64 [R, G + 1, G + 1], of cycles with so many drafted, how often so many were accepted.
    """

    tokens: Ints
    counts: Ints
    prompts: Ints
    limits: Ints
    state: Ints
    numbers: NDArray[np.float64]
    used: Ints
    stops: NDArray[np.bool_]
    origin: NDArray[np.int8]
    cycles: Ints


class Scratch(NamedTuple):
    """drafts: int64 [R, G]; many: int64 [R]. q: float32 [R G, W], and its sums float64 [R G]. p: [G + 1, W],
    sums [G + 1]. batch: int64 [4, R (G + 2)], for the fields of a Batch. table: float32 [V, W], the logits of
    the bigram draft.
    """

    drafts: Ints
    many: Ints
    q: Array
    q_sums: NDArray[np.float64]
    p: Array
    p_sums: NDArray[np.float64]
    batch: Ints
    table: Array


@compiled
def read(reader, batch, count, asked):
    """One pass over the first `count` tokens of `batch` [4, ..]; logits of the first `asked` that ask."""
    given = DecodeBatch(batch[0, :count], batch[1, :count], batch[2, :count], batch[3, :asked])
    decode(given, reader.weights, reader.cache, reader.angles, reader.epsilon, reader.buffers, reader.logits)


@compiled
def number_for(rows, row, ahead, coupled):
    """The row's number for the token `ahead` places on: its own if `coupled`, else the next unused."""
    if coupled:
        return rows.numbers[row, rows.counts[row] - rows.prompts[row] + ahead]
    return next_number(rows, row)


@compiled
def wanted(rows, row, gamma):
    """How many tokens to draft: one less than the row may still have, at most gamma."""
    if rows.state[row] != RUNNING:
        return 0
    return min(gamma, rows.limits[row] - rows.counts[row] - 1)


@compiled
def take(rows, scratch, rules, row, at, logits, source):
    """Draft one token from a row of logits; False if the draft is not sure enough to go on."""
    place = row * rules.gamma + at
    if rules.temperature == 0:
        total, _ = weigh(logits, source, np.float32(1.0), 1.0, scratch.q, place, rules.words)
    else:
        total, _ = weigh(logits, source, rules.temperature, rules.top_p, scratch.q, place, rules.words)
    scratch.q_sums[place] = total
    if not np.isfinite(total):
        # A rule that divides by it would write anything.
        rows.state[row] = BROKEN_DRAFT
        return False
    # Whether to go on depends on the distribution, never on the token that is drawn from it.
    if rules.confidence > 0:
        highest = np.float32(0.0)
        for v in range(rules.words):
            highest = max(highest, scratch.q[place, v])
        if highest < rules.confidence * total:
            return False
    if rules.temperature == 0:
        token = likeliest(logits, source, rules.words)
    else:
        number = number_for(rows, row, at, rules.rule == COUPLED)
        token, _ = dart(scratch.q, place, rules.words, total, number)
    scratch.drafts[row, at] = token
    scratch.many[row] = at + 1
    return True


@compiled
def draft_model(draft, rows, scratch, rules):
    """Proposals of a model, for all rows together: its first pass catches up, the others add a token each."""
    batch = scratch.batch
    going = np.zeros(rows.counts.shape[0], np.bool_)
    for at in range(rules.gamma):
        count, asked = 0, 0
        for row in range(rows.counts.shape[0]):
            going[row] = at < wanted(rows, row, rules.gamma) and (at == 0 or going[row])
            if not going[row]:
                continue
            known = rows.counts[row] + at
            for position in range(draft.lengths[row], known):
                new = position - rows.counts[row]
                batch[0, count] = rows.tokens[row, position] if new < 0 else scratch.drafts[row, new]
                batch[1, count], batch[2, count] = row, position
                count += 1
            draft.lengths[row] = known
            batch[3, asked] = count - 1
            asked += 1
        if asked == 0:
            return
        read(draft, batch, count, asked)
        source = 0
        for row in range(rows.counts.shape[0]):
            if going[row]:
                going[row] = take(rows, scratch, rules, row, at, draft.logits, source)
                # Nothing follows a stop token.
                if going[row]:
                    going[row] = not rows.stops[scratch.drafts[row, at]]
                source += 1


@compiled
def draft_bigram(rows, scratch, rules):
    """Proposals from a table of what follows each token."""
    for row in range(rows.counts.shape[0]):
        token = rows.tokens[row, rows.counts[row] - 1]
        for at in range(wanted(rows, row, rules.gamma)):
            if not take(rows, scratch, rules, row, at, scratch.table, token):
                break
            token = scratch.drafts[row, at]
            if rows.stops[token]:
                break


@compiled
def draft_lookup(rows, scratch, rules):
    """What followed the longest earlier stretch that ends as the row does, of equal ones the latest."""
    for row in range(rows.counts.shape[0]):
        known, tokens, best, longest = rows.counts[row], rows.tokens[row], 0, 0
        most = wanted(rows, row, rules.gamma)
        for end in range(known - 1, 0, -1):
            length = 0
            while length < min(end, LONGEST) and tokens[end - 1 - length] == tokens[known - 1 - length]:
                length += 1
            if length > longest:
                best, longest = end, length
                if length == LONGEST:
                    break
        if longest == 0:
            continue
        for at in range(min(most, known - best)):
            place = row * rules.gamma + at
            scratch.q[place, : rules.words] = 0.0
            scratch.q[place, tokens[best + at]] = 1.0
            scratch.q_sums[place] = 1.0
            scratch.drafts[row, at] = tokens[best + at]
            scratch.many[row] = at + 1
            if rows.stops[tokens[best + at]]:
                break


@compiled
def check(target, rows, scratch):
    """The target reads each row's last token and its drafts, in one pass; every one of them is asked."""
    batch, count = scratch.batch, 0
    for row in range(rows.counts.shape[0]):
        if rows.state[row] != RUNNING:
            continue
        known = rows.counts[row]
        for position in range(target.lengths[row], known + scratch.many[row]):
            new = position - known
            batch[0, count] = rows.tokens[row, position] if new < 0 else scratch.drafts[row, new]
            batch[1, count], batch[2, count], batch[3, count] = row, position, count
            count += 1
    if count > 0:
        read(target, batch, count, count)
    return count


@compiled
def speculate(target, draft, rows, scratch, rules, most):
    """At most `most` cycles of every row that is RUNNING; ends when none is, or one ASKS or is broken.

    target, draft: Reader (draft may be the target's where its kind is no model). Returns cycles done.
    """
    done = 0
    for _ in range(most):
        scratch.many[:] = 0
        if rules.gamma > 0:
            if rules.kind == MODEL:
                draft_model(draft, rows, scratch, rules)
            elif rules.kind == LOOKUP:
                draft_lookup(rows, scratch, rules)
            else:
                draft_bigram(rows, scratch, rules)
            if (rows.state == BROKEN_DRAFT).any():
                return done
        if check(target, rows, scratch) == 0:
            return done
        done += 1
        base, halted = 0, False
        for row in range(rows.counts.shape[0]):
            if rows.state[row] != RUNNING:
                continue
            known, many = rows.counts[row], scratch.many[row]
            # Tokens that the cache had not read yet stand before the drafts; the last of them is asked first.
            first = base + known - 1 - target.lengths[row]
            base = first + many + 1
            judge(target.logits, first, rows, scratch, rules, row)
            rows.cycles[row, many, max(0, min(many, rows.counts[row] - known - 1))] += 1
            target.lengths[row] = min(known + many, rows.counts[row] - 1)
            if rules.kind == MODEL:
                draft.lengths[row] = min(draft.lengths[row], rows.counts[row] - 1)
            halted = halted or rows.state[row] > DONE
        if halted:
            return done
    return done


@compiled
def rehearse(target, draft, rows, scratch, rules, cycles):
    """The next cycle of every row, `cycles` times over, for timing: what each writes is taken back.

    The draft is left a token behind, as after a cycle that kept all of its guesses.
    """
    counts, used, many = rows.counts.copy(), rows.used.copy(), rows.counts.shape[0]
    for _ in range(cycles):
        draft.lengths[:many] = counts - 2
        target.lengths[:many] = counts - 1
        speculate(target, draft, rows, scratch, rules, 1)
        rows.counts[:], rows.used[:], rows.state[:] = counts, used, RUNNING
