"""What a server really does with the parameters that it accepts, measured with a dozen short requests.

A server that ignores `temperature` gives N copies of one answer, and best-of-N then measures nothing. So
each capability is tried and its effect looked at, never the documentation.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from k2repro.engine.backend import Completion, Message, Request
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.retries import TRANSIENT
from k2repro.errors import K2ReproError

QUESTION = "Write five words that have nothing to do with each other."
# The hottest that OpenAI's API takes. mini-K2 is so sure that 24 tokens are still equal there; 96 are not.
HOT = 2.0
SAMPLES = 4
HONOURED, IGNORED, REFUSED, UNKNOWN = "honoured", "ignored", "refused", "unknown"
NO_EFFECT = "no effect seen"


@dataclass(frozen=True)
class Capability:
    """One finding. state: HONOURED, IGNORED, UNKNOWN or another word; detail: what was seen."""

    name: str
    state: str
    detail: str


def probe(
    backend: EndpointBackend, question: str = QUESTION, *, max_new_tokens: int = 96
) -> list[Capability]:
    """Capabilities of the server behind `backend`: temperature, seed, stop, n, logprobs, counts, thinking.

    question: one that the model can answer at some length. The requests go through the budget and the
    journal like all others, so a run that is resumed does not probe again.
    Raises K2ReproError when the server cannot be asked at all.
    """
    request = Request(
        (Message("user", question),), max_new_tokens, n=SAMPLES, temperature=HOT, role="probe", label="probe"
    )
    samples = backend.complete([request])[0]
    first = samples[0]
    if first.failed:
        raise K2ReproError(f"{backend.endpoint.url} cannot be probed: {first.error}")
    texts = {_whole(each) for each in samples}
    again = _repeated(backend, request)
    found = [_temperature(texts), _seed(_whole(first), _whole(again), texts)]
    found.append(_stop(backend, request, _whole(first)))
    found += _raw(backend, request)
    return found


def _temperature(texts: set[str]) -> Capability:
    if len(texts) > 1:
        return Capability(
            "temperature", HONOURED, f"{len(texts)} texts in {SAMPLES} samples at temperature {HOT}"
        )
    detail = f"{SAMPLES} equal samples at temperature {HOT}: best-of-N would compare copies. "
    hint = 'With `transformers serve` put {"do_sample": true} into the checkpoint\'s generation_config.json'
    return Capability("temperature", NO_EFFECT, detail + hint)


def _seed(first: str, again: str, texts: set[str]) -> Capability:
    if len(texts) == 1:
        return Capability("seed", UNKNOWN, "the samples are all equal")
    if first == again:
        return Capability("seed", HONOURED, "the same seed gave the same text again")
    return Capability(
        "seed",
        IGNORED,
        "the same seed gave another text beside other requests; only the journal repeats a run",
    )


def _stop(backend: EndpointBackend, request: Request, text: str) -> Capability:
    """Ask with a stop string from the middle of a text that the same seed gives."""
    at = len(text) // 2
    string = text[at : at + 2]
    if len(string) < 2:
        return Capability("stop", UNKNOWN, "the text was too short to stop in")
    body = backend.raw(replace(request, n=1, stop=(string,)), {})
    message = _message(body)
    seen = (message.get("reasoning_content") or "") + (message.get("content") or "")
    if string not in seen:
        return Capability("stop", HONOURED, "the text ends before the stop string")
    if seen.endswith(string):
        return Capability("stop", "left in", "the server stops and leaves the stop string in; it is cut here")
    return Capability(
        "stop", IGNORED, "the text goes on after the stop string; it is cut here, the tokens are paid"
    )


def _raw(backend: EndpointBackend, request: Request) -> list[Capability]:
    """What one answer to n = 2 with logprobs holds; without n where that is refused, as by llama.cpp."""
    asked = replace(request, n=1, logprobs=True)
    try:
        body, refusal = backend.raw(asked, {"n": 2}), ""
    except K2ReproError as error:
        body, refusal = backend.raw(asked, {}), str(error)
    choices = body.get("choices") or [{}]
    usage = isinstance((body.get("usage") or {}).get("completion_tokens"), int)
    kept = next((name for name in ("reasoning_content", "reasoning") if _message(body).get(name)), "")
    return [
        Capability("n", _state_of(refusal), f"{refusal[:120]}; not relied on")
        if refusal
        else Capability(
            "n",
            HONOURED if len(choices) == 2 else IGNORED,
            f"{len(choices)} choices for n = 2; not relied on",
        ),
        Capability("logprobs", HONOURED if choices[0].get("logprobs") else IGNORED, "not relied on"),
        Capability(
            "usage", HONOURED if usage else IGNORED, "tokens are counted" if usage else "tokens are estimated"
        ),
        Capability("thinking", f"in {kept}" if kept else "in the content", "both are read"),
    ]


def _state_of(refusal: str) -> str:
    """REFUSED by a status that does not pass; a fault or a limit on the way says nothing about the server."""
    found = re.search(r": Refused: HTTP (4\d\d)\b", refusal)
    return UNKNOWN if found is None or int(found[1]) in TRANSIENT else REFUSED


def _repeated(backend: EndpointBackend, request: Request) -> Completion:
    """The first sample once more: under another role, so that the journal does not answer it."""
    (completion,) = backend.complete([replace(request, n=1, role="probe-again")])[0]
    return completion


def _message(body: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = body.get("choices") or [{}]
    return choices[0].get("message") or {}


def _whole(completion: Completion) -> str:
    return completion.reasoning + (completion.text or "")
