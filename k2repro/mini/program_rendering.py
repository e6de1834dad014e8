"""Traces of the family `programs` as ordinary sentences: one for each candidate that was tried."""

import re

from k2repro.mini.programs import FORMS, LABELS, Form
from k2repro.mini.variables import MODULUS

NAMES = "|".join(form.name for form in FORMS)
BEGIN = re.compile(rf" (?:{NAMES})\d")
HEAD = re.compile(rf"(?: (?P<form>{NAMES}))?(?P<a>\d) {LABELS[0]}(?P<digits>\d+) b=(?P<b>\d)")
CHECK = re.compile(rf" ([{LABELS[1:]}])(\d+) (ok|no)")


def program_steps(trace: str) -> tuple[str, list[str]]:
    """What cannot be read of a trace, and a sentence for each candidate that can."""
    sentences: list[str] = []
    form: Form | None = None
    at = 0
    while head := HEAD.match(trace, at):
        form = next((known for known in FORMS if known.name == head["form"]), form)
        if form is None or len(head["digits"]) != 2 + form.power:
            break
        parts = [
            f"Try {form.expression(head['a'], 'b')}: {_example(form, head['a'], LABELS[0], head['digits'])}, "
            f"so b is {head['b']}"
        ]
        at = head.end()
        while (check := CHECK.match(trace, at)) and len(check[2]) == 4 + form.power:
            found, b = check[2][-2], check[2][-1]
            example = _example(form, head["a"], check[1], check[2][:-2])
            parts.append(f"{example}, so b is {found}, against {b}: {check[3]}")
            at = check.end()
        sentences.append(f"{'; '.join(parts)} (mod {MODULUS}).")
    return trace[at:], sentences


def _example(form: Form, a: str, label: str, digits: str) -> str:
    """An example and the work on it, as it was written, right or wrong."""
    x, wanted, work = digits[0], digits[1], digits[2:]
    if form.power == 1:
        return f"{label} has {x} and {wanted}, {a} times {x} is {work[0]}"
    squares = [f"times {x} is {digit}" for digit in work[:-1]]
    return f"{label} has {x} and {wanted}, {x} {', '.join(squares)}, times {a} is {work[-1]}"
