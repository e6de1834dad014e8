"""When to ask again, and when to give up: back-off with jitter, Retry-After, and words for what failed."""

import contextlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A server that asks for a longer pause, in seconds, has a limit of the day: the run ends and says so.
LONGEST_WAIT = 3600.0
# Worth another try: time-outs, conflicts, too early, too many. So are all of the server's own faults (5xx).
TRANSIENT = {408, 409, 425, 429}


@dataclass(frozen=True)
class Retries:
    """How often, and after what pause, a request is sent again.

    attempts: at most so many in all. first, most: seconds of the first pause and of the longest one; each
    pause doubles. A pause is drawn evenly between half of it and all of it, so that requests which failed
    together do not come back together (Brooker, "Exponential Backoff And Jitter", AWS, 2015).
    """

    attempts: int = 10
    first: float = 0.5
    most: float = 60.0

    def pause(self, attempt: int, generator: random.Random) -> float:
        """Seconds to wait after the attempt of that number (from 1) failed."""
        return min(self.most, self.first * 2.0 ** (attempt - 1)) * generator.uniform(0.5, 1.0)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date. None when there is none to read.

    >>> retry_after("7"), retry_after(None), retry_after("soon")
    (7.0, None, None)
    """
    if header is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
