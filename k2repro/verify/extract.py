"""Where an answer may stand: in the one answer block after the thinking, and nowhere else."""

import re

_TAGS = re.compile(r"</?(?:think|answer)>")
_LIKE_TAGS = re.compile(r"<\W*(?:think|answer)\W*>", re.IGNORECASE)
_END = re.compile(r"\s*(?:(?:<\|im_end\|>|<\|endoftext\|>|</s>)\s*)*")
_WITH_THINKING = (["<think>", "</think>", "<answer>", "</answer>"], ["</think>", "<answer>", "</answer>"])


def extract_answer(response: str) -> str | None:
    r"""The text of the one `<answer>...</answer>` that follows `</think>`; None for anything else.

    None when a tag is missing, repeated, unclosed or out of order: an answer inside the thinking, two
    answer blocks, thinking that goes on after the answer. None also when something that could be a second
    answer stands beside the block: any text after it but the end-of-turn marks, a number, a box or a tag in
    another spelling before it. `<think>` itself may be missing, since some chat templates put it into the
    prompt. A `\boxed{...}` that is all of the answer is taken off.

    >>> extract_answer("<think>6 * 2</think><answer>12</answer>")
    '12'
    >>> extract_answer("<think><answer>12</answer>") is None
    True
    """
    marks = list(_TAGS.finditer(response))
    if [mark.group() for mark in marks] not in _WITH_THINKING:
        return None
    between, after = response[marks[-3].end() : marks[-2].start()], response[marks[-1].end() :]
    outside = bool(re.search(r"\d|\\boxed|\\fbox|<\|", between)) or not _END.fullmatch(after)
    if outside or len(_LIKE_TAGS.findall(response[marks[-3].end() :])) != 2:
        return None
    text = response[marks[-2].end() : marks[-1].start()].strip()
    return unboxed(text) or None


def unboxed(text: str) -> str:
    r"""What a `\boxed{...}` or `\fbox{...}` holds, when that is all of `text`; else `text`.

    >>> unboxed(r"$\boxed{\frac{1}{2}}$")
    '\\frac{1}{2}'
    >>> unboxed(r"\boxed{12} or \boxed{13}")
    '\\boxed{12} or \\boxed{13}'
    """
    bare = text.strip().strip("$").strip()
    for command in (r"\boxed", r"\fbox"):
        inside = bare.removeprefix(command).lstrip()
        if inside != bare and inside.startswith("{") and closing_brace(inside) == len(inside) - 1:
            return inside[1:-1].strip()
    return text.strip()


def closing_brace(text: str) -> int:
    """Index of the brace that closes the one at `text[0]`; -1 when none does. `\\{` is no brace."""
    depth = 0
    for at, mark in enumerate(text):
        if mark in "{}" and not (at and text[at - 1] == "\\"):
            depth += 1 if mark == "{" else -1
            if depth == 0:
                return at
    return -1
