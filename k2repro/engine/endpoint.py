"""`EndpointBackend`: any server that speaks OpenAI's chat completions, asked like a local model.

vLLM, llama.cpp, `transformers serve` and hosted APIs say yes to parameters that they then ignore. So nothing
is taken on trust: samples are asked for one by one with a seed each instead of by `n`, stop strings are cut
here, equal samples are noticed, and `k2repro.engine.probe` measures what is honoured.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from k2repro.engine.backend import Completion, Finish, Progress, Prompt, Request
from k2repro.engine.budget import Budget
from k2repro.engine.chat import BadResponse, body_of, estimated_prompt_tokens, read_response, remarks
from k2repro.engine.loop import LoopThread
from k2repro.engine.refusals import Refused
from k2repro.engine.retries import LONGEST_WAIT, Retries, retry_after
from k2repro.engine.server import Endpoint, Server
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal
from k2repro.results.hashing import hash_value

# The body of a response and what it says.
Answer = tuple[dict[str, Any], Completion]
# A server that never answered is taken for absent after so many failed connections.
ATTEMPTS_TO_REACH = 3
# So many prompts given up one after the other, and no answer between: it is not the prompts.
MOST_LOST = 8
# Called with a request, the number of a sample and the next piece of its text, when streaming.
OnText = Callable[[Request, int, str], None]


class EndpointBackend:
    """An endpoint behind the interface `Backend`, with bounded concurrency, retries, budget and journal.

    journal: answers are looked up there first, and written there; without one nothing outlives the process.
    budget: shared by all backends of a run. offline: answers come from the journal only (a replay).
    on_text: asks for a stream and gets its pieces. generator: of the jitter; any seed gives the same rows.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        journal: Journal | None = None,
        budget: Budget | None = None,
        concurrency: int = 16,
        retries: Retries | None = None,
        offline: bool = False,
        on_text: OnText | None = None,
        generator: random.Random | None = None,
    ) -> None:
        if concurrency < 1:
            raise K2ReproError(f"concurrency = {concurrency}: must be at least 1 request at a time")
        self.endpoint, self.name = endpoint, endpoint.model
        self.journal, self.budget = journal, budget or Budget()
        self.concurrency, self.retries, self.offline = concurrency, retries or Retries(), offline
        self.on_text = on_text
        self._generator = generator or random.Random(0)
        self._pause_until = 0.0
        self._answered = False
        self._lost: set[Prompt] = set()
        self._loop = LoopThread()
        self._server = Server(endpoint, concurrency)
        self._slots: asyncio.Semaphore | None = None

    @property
    def notes(self) -> Counter[str]:
        """What the reader should know, such as a parameter that was refused; with how often it was seen."""
        return self._server.notes

    @property
    def waiting(self) -> float:
        """Seconds that the server still wants not to be asked; 0 when it may be."""
        return max(0.0, self._pause_until - time.monotonic())

    def _listener(self, request: Request, sample: int) -> Callable[[str], None] | None:
        heard = self.on_text
        return None if heard is None else lambda piece: heard(request, sample, piece)

    def __repr__(self) -> str:
        return f"EndpointBackend({self.endpoint.url}, {self.name})"

    def close(self) -> None:
        """Close the connections."""
        self._loop.run(self._server.close())
        self._loop.close()

    def complete(
        self, requests: Sequence[Request], *, progress: Progress | None = None
    ) -> list[list[Completion]]:
        """As `Backend.complete`; may be called from several threads at once.

        A sample that failed after all retries, or whose prompt was refused, comes back as finish "error" or
        "timeout". Raises K2ReproError when nothing more can come: the server is not there, refuses the key,
        has no such model, or gave up MOST_LOST prompts in a row; and BudgetSpent. What had arrived is in the
        journal. progress is called in another thread.
        """
        found = self._loop.run(self._all(requests, progress))
        for request, completions in zip(requests, found, strict=True):
            self._note_equal(request, completions)
        return found

    async def _all(self, requests: Sequence[Request], progress: Progress | None) -> list[list[Completion]]:
        """All samples of all requests, by at most `concurrency` workers."""
        found: list[list[Completion | None]] = [[None] * request.n for request in requests]
        work = ((at, j) for at, request in enumerate(requests) for j in range(request.n))
        total, done, stopped = sum(request.n for request in requests), 0, False

        async def worker() -> None:
            nonlocal done
            for at, j in work:
                if stopped:
                    return
                found[at][j] = await self._sample(requests[at], j)
                done += 1
                if progress is not None:
                    progress(done, total)

        workers = [asyncio.ensure_future(worker()) for _ in range(min(self.concurrency, total))]
        try:
            await asyncio.gather(*workers)
        except Exception:
            # One gave up. What the others have on its way is paid for: its answers are taken in.
            stopped = True
            await asyncio.wait(workers, timeout=self.endpoint.timeout)
            raise
        finally:
            for each in workers:
                each.cancel()
        return [[each for each in group if each is not None] for group in found]

    def raw(self, request: Request, extra: Mapping[str, Any]) -> dict[str, Any]:
        """The body that answers the first sample of a request with `extra` keys; for the probe."""
        body = {**body_of(request, self.name, 0, self.endpoint.extra), **extra}
        answer, completion = self._loop.run(self._one(request, 0, body))
        if completion.failed:
            raise K2ReproError(f"{self.endpoint.url}: {completion.error}")
        return answer

    async def _sample(self, request: Request, sample: int) -> Completion:
        body = body_of(request, self.name, sample, self.endpoint.extra)
        return (await self._one(request, sample, body))[1]

    async def _one(self, request: Request, sample: int, body: dict[str, Any]) -> Answer:
        """One sample: from the journal when it is there, else from the server."""
        named = {"server": self.endpoint.url, "role": request.role, "sample": sample, "body": body}
        key = hash_value(named)
        known = None if self.journal is None else self.journal.answer(key)
        if known is not None:
            try:
                completion = read_response(known.body, request.stop, known.seconds)
            except BadResponse as error:
                raise K2ReproError(
                    f"the journal's answer {key} cannot be read: {error}. Usual cause: a journal of another "
                    "version"
                ) from error
            self.notes.update(remarks(known.body))
            return known.body, completion
        if self.offline:
            return {}, self._not_recorded(key, request)
        if self._slots is None:
            self._slots = asyncio.Semaphore(self.concurrency)
        async with self._slots:
            return await self._asked(key, request, sample, body)

    def _not_recorded(self, key: str, request: Request) -> Completion:
        """A replay gives what the run gave: a request that failed for good fails again."""
        failure = "" if self.journal is None else self.journal.last_failure(key)
        if failure:
            return Completion((), _gave_up(failure), text="", counted=0, error=failure)
        raise K2ReproError(
            f"the journal has no answer to a {request.role} request ({request.label or key}); usual cause: "
            "the run was stopped before its end: continue it without --replay"
        )

    async def _asked(self, key: str, request: Request, sample: int, body: dict[str, Any]) -> Answer:
        """Ask until there is an answer or no attempt is left."""
        failure = ""
        for attempt in range(1, self.retries.attempts + 1):
            await self._wait_for_pause()
            without = self._sending(key, request, body)
            started = time.perf_counter()
            try:
                answer = await self._server.attempt(body, self._listener(request, sample))
                completion = read_response(answer, request.stop, time.perf_counter() - started)
            except (httpx2.HTTPError, Refused, BadResponse, TimeoutError) as error:
                failure = self._server.failure(error)
                if self.journal is not None:
                    self.journal.failed(key, failure, seconds=time.perf_counter() - started)
                if attempt >= ATTEMPTS_TO_REACH and not self._answered:
                    self._server.raise_if_absent(failure)
                pause = await self._pause_after(error, attempt, without)
                if pause is None:
                    break
                if attempt < self.retries.attempts:
                    await asyncio.sleep(pause)
                continue
            self._arrived(key, body, answer, completion)
            return answer, completion
        self._give_up(request, failure)
        return {}, Completion((), _gave_up(failure), text="", counted=0, error=failure)

    def _sending(self, key: str, request: Request, body: Mapping[str, Any]) -> list[str]:
        """On the budget and in the journal before it leaves; returns what the server is not sent."""
        without = self._server.left_out
        self.budget.check()
        self.budget.spent_requests += 1
        if self.journal is not None:
            self.journal.sent(
                key, role=request.role, label=request.label, server=self.endpoint.url, body=body,
                without=without,
            )  # fmt: skip
        return without

    def _give_up(self, request: Request, failure: str) -> None:
        """One request will have no answer. Raises K2ReproError when nothing seems to come any more."""
        self.notes[f"a request was given up: {failure[:120]}"] += 1
        self._lost.add(request.prompt)
        if len(self._lost) >= MOST_LOST:
            raise K2ReproError(
                f"{self.endpoint.url}: {len(self._lost)} prompts in a row were given up, the last one for "
                f"{failure}. What had arrived is kept; when the cause is gone, the same command goes on. "
                "Usual cause: the server went down, or prompt and --max-new-tokens exceed its context"
            )

    def _arrived(
        self, key: str, body: Mapping[str, Any], answer: Mapping[str, Any], completion: Completion
    ) -> None:
        self._answered = True
        self._lost.clear()
        self.notes.update(remarks(answer))
        prompt = completion.prompt_tokens
        if prompt is None:
            prompt = estimated_prompt_tokens(body)
            self.notes["the server did not count tokens: estimated at 4 characters each"] += 1
        cost = self.endpoint.price.cost(prompt, completion.count)
        self.budget.add(prompt + completion.count, cost)
        if self.journal is not None:
            self.journal.arrived(
                key, answer, seconds=completion.seconds, tokens=(prompt, completion.count), cost=cost
            )

    # ---- what went wrong --------------------------------------------------------------------------

    async def _pause_after(self, error: Exception, attempt: int, without: Sequence[str]) -> float | None:
        """Seconds to wait before the next attempt; None when none can help this request.

        Raises K2ReproError where no attempt can help any request.
        """
        pause = self.retries.pause(attempt, self._generator)
        if not isinstance(error, Refused):
            return pause
        if error.meaning == "pass":
            asked = retry_after(error.retry_after)
            if asked is None:
                return pause
            if asked > LONGEST_WAIT:
                raise K2ReproError(
                    f"{self.endpoint.url} asks to wait {asked:,.0f} s: {error.text[:200]}. Usual cause: a "
                    "limit of the day. What had arrived is in the journal; the same command goes on"
                )
            # Everybody waits: a server that is asked again at once counts that too.
            self._pause_until = max(self._pause_until, time.monotonic() + asked)
            return 0.0
        if error.meaning == "request":
            known = error.status in (400, 422) and self._server.drop(error.text, without)
            return 0.0 if known else None
        raise await self._server.hopeless(error)

    async def _wait_for_pause(self) -> None:
        while (left := self.waiting) > 0:
            # Not all in the same moment.
            await asyncio.sleep(left + self._generator.uniform(0.0, 0.1))

    def _note_equal(self, request: Request, completions: Sequence[Completion]) -> None:
        """Name samples that came back equal although they should have been drawn one by one."""
        texts = {
            each.reasoning + each.text for each in completions if each.text is not None and not each.failed
        }
        if request.role == "solver" and request.n > 1 and request.temperature > 0 and len(texts) == 1:
            self.notes[
                f"all {request.n} samples of one prompt are equal: a sure model, or a server that ignores "
                "temperature and seed (`k2repro probe` tells)"
            ] += 1


def _gave_up(failure: str) -> Finish:
    return "timeout" if "Timeout" in failure.split(":")[0] else "error"
