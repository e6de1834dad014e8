"""A question about a document that does not fit the context: part by part, then over what was found.

Characters stand for tokens at four to one; parts overlap, so that a sentence on a border is read once whole.
"""

import argparse
import sys
from pathlib import Path

from k2repro.engine.backend import Backend, Message, Request
from k2repro.engine.chat import CHARACTERS_PER_TOKEN
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint

NOTHING = "NOTHING"
OVERLAP = 400


def parts_of(text: str, context: int, room: int) -> list[str]:
    """Pieces of at most (context - room) tokens, each begun OVERLAP characters before the last one ended."""
    size = (context - room) * CHARACTERS_PER_TOKEN
    if size <= OVERLAP:
        raise SystemExit(f"a context of {context} tokens leaves no room for a document beside {room} tokens")
    return [text[at : at + size] for at in range(0, max(1, len(text) - OVERLAP), size - OVERLAP)]


def ask_document(backend: Backend, text: str, question: str, *, context: int, room: int) -> str:
    """What the document says about the question; every part is asked, all at once."""
    prompt = "{part}\n\n---\nQuote what bears on this question, word by word, or write {nothing}: {question}"
    requests = [
        Request(
            (Message("user", prompt.format(part=part, nothing=NOTHING, question=question)),),
            room,
            label="part",
        )
        for part in parts_of(text, context, room)
    ]
    replies = [completions[0].text or "" for completions in backend.complete(requests)]
    found = [reply.strip() for reply in replies if reply.strip() and NOTHING not in reply]
    if not found:
        return "The document says nothing about it."
    quotes = "\n\n".join(found)[: (context - room) * CHARACTERS_PER_TOKEN]
    asked = Message("user", f"Quotes from a document:\n\n{quotes}\n\nAnswer from these alone: {question}")
    return (backend.complete([Request((asked,), room, label="answer")])[0][0].text or "").strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--context", type=int, default=32_768, help="tokens of the model's context")
    parser.add_argument("--room", type=int, default=8_192, help="tokens kept for thinking and answer")
    parser.add_argument("document", type=Path)
    parser.add_argument("question")
    args = parser.parse_args()
    backend = EndpointBackend(Endpoint(args.base_url, args.model))
    text = args.document.read_text(encoding="utf-8")
    answer = ask_document(backend, text, args.question, context=args.context, room=args.room)
    sys.stdout.write(answer + "\n")
    backend.close()


if __name__ == "__main__":
    main()
