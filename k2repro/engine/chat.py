"""Chat completions on the wire: what is asked, and how a server's answer becomes a `Completion`.

API: https://platform.openai.com/docs/api-reference/chat. Servers differ where it matters: a stop string may
be left in the text, the thinking may come as `reasoning_content`, as `reasoning`, or inside the content,
and token counts may be missing. All of that ends here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.engine.backend import Completion, Finish, Message, Request
from k2repro.errors import K2ReproError

THINK, END_THINK = "<think>", "</think>"
# When a server does not count: about four characters of English a token. Labelled as an estimate.
CHARACTERS_PER_TOKEN = 4


class BadResponse(Exception):
    """A server said 200 and then nothing that can be read as a chat completion."""


def body_of(request: Request, model: str, sample: int, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON body for one sample of a request. Raises K2ReproError for a prompt that is no chat."""
    messages = request.prompt
    if isinstance(messages, str) or not messages or not all(isinstance(m, Message) for m in messages):
        raise K2ReproError("a server takes chats: the prompt must be a tuple of Message, and not empty")
    strings = [item for item in request.stop if isinstance(item, str)]
    if len(strings) != len(request.stop):
        raise K2ReproError(f"stop = {request.stop!r}: a server knows stop strings, not token ids")
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in messages if isinstance(m, Message)],
        "max_tokens": request.max_new_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": sample_seed(request.seed, sample),
    }
    if strings:
        body["stop"] = strings
    if request.logprobs:
        body["logprobs"] = True
    if request.schema is not None:
        schema = {"name": request.role, "schema": dict(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {**body, **extra}


def sample_seed(seed: int, sample: int) -> int:
    """31 bits, which every server takes, from (seed, sample)."""
    digest = hashlib.sha256(f"endpoint/{seed}/{sample}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def read_response(body: Mapping[str, Any], stop: Sequence[int | str], seconds: float = 0.0) -> Completion:
    """The first choice of a chat completion. Raises BadResponse."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        content = message.get("content") or ""
        kept = message.get("reasoning_content") or message.get("reasoning") or ""
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadResponse(f"no choices[0].message in {json.dumps(body)[:200]}") from error
    if not isinstance(content, str) or not isinstance(kept, str):
        raise BadResponse(f"content of type {type(content).__name__}, must be text")
    reasoning, text, stopped = _cut(kept, content, [item for item in stop if isinstance(item, str)])
    usage = body.get("usage") or {}
    counted = usage.get("completion_tokens")
    return Completion(
        tokens=(),
        finish=_finish(choice.get("finish_reason"), stopped),
        logprobs=_logprobs(choice),
        text=text,
        reasoning=reasoning,
        counted=counted if isinstance(counted, int) else estimated_tokens(kept + content),
        prompt_tokens=usage.get("prompt_tokens"),
        seconds=seconds,
    )


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, what follows) of text that holds both.

    A template may have opened the thinking already, so `</think>` alone ends it; thinking that was opened
    and never ended leaves nothing visible.

    >>> split_thinking("<think>2+2</think>4"), split_thinking("2+2</think>4"), split_thinking("<think>2+")
    (('2+2', '4'), ('2+2', '4'), ('2+', ''))
    """
    before, mark, after = text.rpartition(END_THINK)
    if mark:
        return before.removeprefix(THINK), after
    if text.lstrip().startswith(THINK):
        return text.lstrip().removeprefix(THINK), ""
    return "", text


def estimated_tokens(text: str) -> int:
    """A guess at the tokens of `text`, for servers that do not count."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def estimated_prompt_tokens(body: Mapping[str, Any]) -> int:
    """A guess at the tokens of a request."""
    return estimated_tokens("".join(message["content"] for message in body["messages"]))


def joined_stream(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The body that the server would have sent at once, from the events of a stream of one choice."""
    content, reasoning, finish, usage = [], [], None, None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            content.append(delta.get("content") or "")
            reasoning.append(delta.get("reasoning_content") or delta.get("reasoning") or "")
            finish = choice.get("finish_reason") or finish
    message = {"role": "assistant", "content": "".join(content), "reasoning_content": "".join(reasoning)}
    whole: dict[str, Any] = {"choices": [{"message": message, "finish_reason": finish}]}
    return {**whole, "usage": usage} if usage else whole


def _cut(kept: str, content: str, stop: Sequence[str]) -> tuple[str, str, bool]:
    """(thinking, text, whether a stop string came): what a server that honours `stop` would have sent.

    It sees one text, thinking first, so a stop string in the thinking ends everything.
    """
    # `transformers serve` keeps the opening mark in what it sets apart.
    thinking, text = (kept.removeprefix(THINK), content) if kept else split_thinking(content)
    at = _first(thinking, stop)
    if at is not None:
        return thinking[:at], "", True
    at = _first(text, stop)
    return (thinking, text, False) if at is None else (thinking, text[:at], True)


def _first(text: str, stop: Sequence[str]) -> int | None:
    places = [text.find(string) for string in stop if string in text]
    return min(places) if places else None


def _logprobs(choice: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """Log-probabilities of the tokens of a response, float32 [tokens]; None where the server gives none.

    Which temperature they belong to is the server's business, and differs.
    """
    told = (choice.get("logprobs") or {}).get("content")
    if not isinstance(told, list) or not told:
        return None
    try:
        return np.array([each["logprob"] for each in told], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise BadResponse(f"logprobs that cannot be read: {json.dumps(told)[:200]}") from error


def _finish(reason: str | None, stopped: bool) -> Finish:
    return "length" if reason == "length" and not stopped else "stop"
