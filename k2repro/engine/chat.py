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
# No response has so many tokens; a larger count is a mistake that would empty a budget.
LARGEST_COUNT = 1 << 31


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


def read_object(content: bytes) -> dict[str, Any]:
    """A JSON object; NaN and infinities, which are no JSON, become null. Raises BadResponse."""
    try:
        value = json.loads(content, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        what = "a page, not JSON" if content.lstrip()[:1] == b"<" else "not JSON"
        raise BadResponse(f"{what}: {content[:80]!r}") from error
    if not isinstance(value, dict):
        raise BadResponse(f"not a JSON object: {content[:80]!r}")
    return value


def read_response(body: Mapping[str, Any], stop: Sequence[int | str], seconds: float = 0.0) -> Completion:
    """The first choice of a chat completion. Raises BadResponse, and nothing else, whatever the body is."""
    choice, message = _choice(body)
    content, thought = _content(message.get("content"))
    kept = message.get("reasoning_content") or message.get("reasoning") or thought
    if not isinstance(kept, str):
        raise BadResponse(f"reasoning of type {type(kept).__name__}, must be text")
    if not content and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    if choice.get("finish_reason") == "error":
        raise BadResponse("the server ended the response with an error")
    reasoning, text, stopped = _cut(kept, content, [item for item in stop if isinstance(item, str)])
    counted = _count(body, "completion_tokens")
    return Completion(
        tokens=(),
        finish=_finish(choice.get("finish_reason"), stopped),
        logprobs=_logprobs(choice),
        text=text,
        reasoning=reasoning,
        counted=estimated_tokens(kept + content) if counted is None else counted,
        prompt_tokens=_count(body, "prompt_tokens"),
        seconds=seconds,
    )


def remarks(body: Mapping[str, Any]) -> list[str]:
    """What a reader should know about an answer that was read."""
    choice, message = _choice(body)
    found = []
    if choice.get("finish_reason") == "content_filter":
        found.append("the server's content filter cut a response")
    if message.get("tool_calls") and not message.get("content"):
        found.append("the model called a tool instead of answering: the server offers it tools")
    return found


def pieces_of(body: Mapping[str, Any]) -> list[str]:
    """The texts of a body, or of an event of a stream, in the order in which people read them."""
    found: list[str] = []
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        said = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
        if isinstance(said, dict):
            text, thought = _content(said.get("content"))
            found += [_reasoning(said) or thought, text]
    return [piece for piece in found if piece]


def without_surrogates(value: Any) -> Any:
    """A JSON value whose texts are whole characters: two halves become one, a single half becomes U+FFFD.

    Servers that stream tokens cut emoji in two; no file and no hash takes half of one.
    """
    if isinstance(value, str):
        return (
            value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
    if isinstance(value, dict):
        return {without_surrogates(name): without_surrogates(each) for name, each in value.items()}
    return [without_surrogates(each) for each in value] if isinstance(value, list) else value


def _choice(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(choice, message) of the first choice."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
    except (KeyError, IndexError, TypeError) as error:
        raise BadResponse(f"no choices[0].message in {json.dumps(body)[:200]}") from error
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise BadResponse(f"no choices[0].message in {json.dumps(body)[:200]}")
    return choice, message


def _content(content: object) -> tuple[str, str]:
    """(text, thinking) of a content, which is a text, nothing, or a list of parts with a type each."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if not isinstance(content, list):
        raise BadResponse(f"content of type {type(content).__name__}, must be text")
    text, thinking = "", ""
    for part in content:
        if not isinstance(part, dict):
            raise BadResponse(f"a part of the content of type {type(part).__name__}, must be an object")
        inner = _content(part.get("thinking"))
        thinking += inner[0] + inner[1]
        said = part.get("text")
        text += said if isinstance(said, str) else ""
    return text, thinking


def _reasoning(said: Mapping[str, Any]) -> str:
    kept = said.get("reasoning_content") or said.get("reasoning") or ""
    return kept if isinstance(kept, str) else ""


def _count(body: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens; None where the server does not tell one that can be one."""
    usage = body.get("usage")
    told = usage.get(name) if isinstance(usage, dict) else None
    fits = isinstance(told, int) and not isinstance(told, bool) and 0 <= told < LARGEST_COUNT
    return told if fits else None


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
    """The body that the server would have sent at once, from the events of a stream of one choice.

    Of tool calls it holds the pieces, as a sign that there were some.
    """
    text, reasoning, finish, usage = "", "", None, None
    tools: list[Any] = []
    for event in events:
        usage = event.get("usage") or usage
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                raise BadResponse(f"a choice of type {type(choice).__name__} in a stream")
            delta = choice.get("delta") or {}
            if not isinstance(delta, dict):
                raise BadResponse(f"a delta of type {type(delta).__name__} in a stream")
            said, thought = _content(delta.get("content"))
            text += said
            reasoning += _reasoning(delta) or thought
            tools += [delta["tool_calls"]] if delta.get("tool_calls") else []
            finish = choice.get("finish_reason") or finish
    message: dict[str, Any] = {"role": "assistant", "content": text, "reasoning_content": reasoning}
    if tools:
        message["tool_calls"] = tools
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
    whole = choice.get("logprobs")
    told = whole.get("content") if isinstance(whole, dict) else None
    if not isinstance(told, list) or not told:
        return None
    numbers = [each.get("logprob") if isinstance(each, dict) else None for each in told]
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in numbers):
        raise BadResponse(f"logprobs that cannot be read: {json.dumps(told)[:200]}")
    try:
        return np.array(numbers, dtype=np.float32)
    except OverflowError as error:
        raise BadResponse("a log-probability beyond every number") from error


def _finish(reason: object, stopped: bool) -> Finish:
    return "length" if str(reason).lower() in ("length", "max_tokens") and not stopped else "stop"
