"""An agent step that delegates: what the agent marks as a sub-question goes through plan and best-of-3.

The agent writes {"delegate": "question"} or {"answer": "..."}; at most a few sub-questions are answered, and
each costs what `k2repro solve` costs.
"""

import argparse
import json
import re
import sys

from k2repro.engine.backend import Message, Request, Sampling
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint
from k2repro.harness.grading import INSTRUCTIONS
from k2repro.solve import ChatDialect, Roles, SolveSettings, solve

RULES = (
    'Reply with JSON only. {"delegate": "a question that stands alone"} hands a hard sub-question to a '
    'careful solver; {"answer": "..."} ends the task.'
)


def run_agent(backend: EndpointBackend, task: str, *, most: int, settings: SolveSettings) -> str:
    """The agent's answer after at most `most` delegated sub-questions."""
    turns = [Message("system", RULES), Message("user", task)]
    for step in range(most + 1):
        text = (
            backend.complete([Request(tuple(turns), 8_000, seed=step, label=f"agent {step}")])[0][0].text
            or ""
        )
        found = re.search(r"\{.*\}", text, re.DOTALL)
        try:
            reply = json.loads(found[0]) if found else {}
        except ValueError:
            reply = {}
        if "answer" in reply:
            return str(reply["answer"])
        if "delegate" in reply and step < most:
            dialect = ChatDialect(instruction=INSTRUCTIONS["maths"])
            roles = Roles(backend, backend, backend)
            solution = solve(
                str(reply["delegate"]), roles, dialect, settings, seed=step, label=f"delegated {step}"
            )
            said = f"The solver answers: {solution.answer or 'nothing that can be read'}"
        else:
            said = "That was no JSON of the agreed form, or no sub-question is left. " + RULES
        turns += [Message("assistant", text), Message("user", said)]
    return "(the agent gave no answer)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--most", type=int, default=3, help="sub-questions")
    parser.add_argument("task")
    args = parser.parse_args()
    backend = EndpointBackend(Endpoint(args.base_url, args.model))
    settings = SolveSettings(n=3, planned=3, solver=Sampling(32_000, 1.0, 0.95, ("</answer>",)))
    sys.stdout.write(run_agent(backend, args.task, most=args.most, settings=settings) + "\n")
    backend.close()


if __name__ == "__main__":
    main()
