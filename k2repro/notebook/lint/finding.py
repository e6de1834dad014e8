"""What a rule reports."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One place that breaks one rule.

    path   the file; where: "cell 3", "line 12" or "all"
    rule   the rule's name; message: what is wrong and what to do instead
    """

    path: str
    where: str
    rule: str
    message: str
