"""What it means that a server answered with something else than a completion, and words for it.

Some refusals pass by themselves, some concern one request (a prompt beyond the context, a flagged
question), and some concern everything that would still be asked (a wrong key, an empty account).
"""

import re
from typing import Literal

from k2repro.engine.retries import TRANSIENT

# pass: ask again. request: this one will never be answered, others may. key, credit, moved, setup: nothing
# will be answered until somebody has done something.
Meaning = Literal["pass", "request", "key", "credit", "moved", "setup"]

CREDIT = re.compile(r"insufficient[_ ](quota|credit|balance|funds)|credit balance", re.I)
FLAGGED = re.compile(r"moderat|flagged|content[_ ](policy|filter)|safety|usage polic", re.I)
# Optional keys of a body that a server may refuse by name; they are then left out, and that is said.
OPTIONAL = ("seed", "logprobs", "top_p", "response_format", "stream_options", "stop", "temperature")
TOO_LONG = re.compile(r"context[_ ](length|size|window)|maximum context|too (long|large)|exceed", re.I)


class Refused(Exception):
    """The server answered with another status than 200. location: where a redirect points."""

    def __init__(self, status: int, text: str, retry_after: str | None = None, *, location: str = "") -> None:
        super().__init__(f"HTTP {status} {text[:300]}")
        self.status, self.text, self.retry_after, self.location = status, text, retry_after, location

    @property
    def meaning(self) -> Meaning:
        """See `Meaning`."""
        if 300 <= self.status < 400:
            return "moved"
        if self.status == 402 or (self.status in (403, 429) and CREDIT.search(self.text)):
            return "credit"
        if self.status == 401 or (self.status == 403 and not FLAGGED.search(self.text)):
            return "key"
        if self.status in TRANSIENT or self.status >= 500:
            return "pass"
        return "setup" if self.status in (404, 405) else "request"


def refused_option(text: str) -> str | None:
    """The optional parameter that a refusal names, in quotes or as a word of code; None when it names none.

    A prompt that is too long is refused in words that may hold "stop" or "temperature" by chance.

    >>> refused_option("Unsupported parameter: 'seed' is not supported with this model.")
    'seed'
    >>> refused_option("maximum context length is 8192 tokens; shorten or stop") is None
    True
    """
    if TOO_LONG.search(text):
        return None
    return next((name for name in OPTIONAL if re.search(rf"\b{name}\b", text)), None)
