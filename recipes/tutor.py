"""A tutor that answers follow-up questions; all turns stand in one journal, so a session can be resumed.

Ask the same session again and nothing is paid twice: the questions before the new one come from the journal.
"""

import argparse
import sys

from k2repro.engine.backend import Message, Request
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint
from k2repro.evaluate.journal import Journal

SYSTEM = "You are a patient tutor. Explain one step at a time, and end with one question to the student."


def answer(backend: EndpointBackend, turns: list[Message], question: str) -> list[Message]:
    """The conversation with the next question and its answer. Thinking is not repeated to the model."""
    asked = [*turns, Message("user", question)]
    request = Request((Message("system", SYSTEM), *asked), 16_000, top_p=0.95, label=f"turn {len(asked)}")
    ((completion,),) = backend.complete([request])
    return [*asked, Message("assistant", (completion.text or completion.error).strip())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--journal", default="tutor.sqlite")
    parser.add_argument("questions", nargs="+", help="the question, then the follow-ups")
    args = parser.parse_args()
    with Journal(args.journal) as journal:
        backend = EndpointBackend(Endpoint(args.base_url, args.model), journal=journal)
        turns: list[Message] = []
        for question in args.questions:
            turns = answer(backend, turns, question)
            sys.stdout.write(f"\n> {question}\n\n{turns[-1].content}\n")
        backend.close()


if __name__ == "__main__":
    main()
