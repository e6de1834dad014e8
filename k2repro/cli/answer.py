"""How a solution is told: a person's summary with its bill, and a program's record."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2repro.solve import Solution


def summary(solution: "Solution", args: argparse.Namespace) -> str:
    """The chosen response, its answer, and what each role cost."""
    from k2repro.engine.budget import Price
    from k2repro.harness.prices import role_price
    from k2repro.tables import Table

    paid = {role: role_price(args, role) for role in solution.usage}
    priced = any(each != Price() for each in paid.values())
    bill = [
        {
            "role": role,
            "calls": usage.calls,
            "prompt tokens": usage.prompt_tokens,
            "output tokens": usage.output_tokens,
            "seconds": round(usage.seconds, 2),
            **(
                {"money": round(paid[role].cost(usage.prompt_tokens, usage.output_tokens), 6)}
                if priced
                else {}
            ),
        }
        for role, usage in solution.usage.items()
    ]
    text = "" if solution.chosen is None else solution.candidates[solution.chosen].text
    answer = solution.answer or "(no answer could be read)"
    return f"\n{text.strip()}\n\nanswer: {answer}\n\n{Table.of_records(bill).as_text()}"


def record(solution: "Solution") -> dict:
    """Everything that came of a question, JSON-like."""
    return {
        "question": solution.question,
        "answer": solution.answer,
        "chosen": solution.chosen,
        "plans": [{"text": plan.text, "source": plan.source} for plan in solution.plans],
        "candidates": [asdict(each) for each in solution.candidates],
        "scores": solution.scores,
        "verdicts": None if solution.verdicts is None else solution.verdicts.table.tolist(),
        "usage": {role: asdict(usage) for role, usage in solution.usage.items()},
    }
