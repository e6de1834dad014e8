"""One attempt at one server: an HTTP request for a chat completion, and words for what went wrong.

The HTTP client is httpx2, which the openai client stands on too. That client retries by itself, out of
sight; here every attempt goes through the journal and the budget first (`k2repro.engine.endpoint`).
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from k2repro.engine.budget import Price
from k2repro.engine.chat import BadResponse, joined_stream
from k2repro.errors import K2ReproError

# Optional keys of a body that a server may refuse by name; they are then left out, and that is said.
OPTIONAL = ("seed", "logprobs", "top_p", "response_format", "stop", "temperature")


@dataclass(frozen=True)
class Endpoint:
    """A server and one of its models.

    base_url: up to and including /v1. key_env: the environment variable that holds the key; an unset one
    sends none, as local servers want it. extra: further keys of every body, such as vLLM's
    `chat_template_kwargs`. timeout: seconds without a byte before a request counts as lost. revision: of
    the weights, for the record; the server is not asked. price: of a million tokens.
    """

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    extra: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 600.0
    revision: str = ""
    price: Price = Price()

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise K2ReproError(f"base URL {self.base_url!r}: must be like http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise K2ReproError(
                "the base URL holds a user, a password or a query, which would stand in every log; keys are "
                f"read from the environment variable {self.key_env}"
            )
        if not self.model:
            raise K2ReproError("the name of the model is empty; `/v1/models` of most servers lists them")

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/")


class Refused(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, text: str, retry_after: str | None) -> None:
        super().__init__(f"HTTP {status} {text[:300]}")
        self.status, self.text, self.retry_after = status, text, retry_after


class Server:
    """The connections to one endpoint. notes: what the reader should know, with how often it was seen."""

    def __init__(self, endpoint: Endpoint, concurrency: int) -> None:
        self.endpoint, self.notes = endpoint, Counter[str]()
        self._concurrency = concurrency
        self._key = os.environ.get(endpoint.key_env, "")
        self._dropped: set[str] = set()
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def attempt(
        self, body: Mapping[str, Any], on_piece: Callable[[str], None] | None
    ) -> dict[str, Any]:
        """One HTTP request. Raises Refused for a status, BadResponse for a body that is no JSON object."""
        if self._client is None:
            self._client = self._new_client()
        sent = {name: value for name, value in body.items() if name not in self._dropped}
        if "max_tokens" in self._dropped:
            sent["max_completion_tokens"] = body["max_tokens"]
        if on_piece is not None:
            return await self._stream(self._client, sent, on_piece)
        response = await self._client.post("/chat/completions", json=sent)
        if response.status_code != 200:
            raise self._refused(response, response.text)
        return _object(response.content)

    async def _stream(
        self, client: httpx2.AsyncClient, body: Mapping[str, Any], on_piece: Callable[[str], None]
    ) -> dict[str, Any]:
        """The events of a stream, joined; their text goes to `on_piece` as it comes."""
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        events: list[dict[str, Any]] = []
        async with client.stream("POST", "/chat/completions", json=asked) as response:
            if response.status_code != 200:
                raise self._refused(response, (await response.aread()).decode(errors="replace"))
            async for line in response.aiter_lines():
                if not line.startswith("data:") or line[5:].strip() == "[DONE]":
                    continue
                events.append(_object(line[5:].encode()))
                for piece in _pieces(events[-1]):
                    on_piece(piece)
        if not any(choice.get("finish_reason") for event in events for choice in event.get("choices") or ()):
            raise BadResponse("the stream ended without a finish_reason: the connection was cut")
        return joined_stream(events)

    def _new_client(self) -> httpx2.AsyncClient:
        """The key lives in this object's headers only; proxies are never used for this machine itself."""
        host = urlsplit(self.endpoint.url).hostname or ""
        return httpx2.AsyncClient(
            base_url=self.endpoint.url,
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx2.Timeout(self.endpoint.timeout, connect=min(10.0, self.endpoint.timeout)),
            limits=httpx2.Limits(
                max_connections=self._concurrency, max_keepalive_connections=self._concurrency
            ),
            trust_env=host not in ("127.0.0.1", "localhost", "::1"),
        )

    def _refused(self, response: httpx2.Response, text: str) -> Refused:
        """Some servers echo the key in what they say; it is taken out before anybody can print it."""
        said = text.replace(self._key, "***") if self._key else text
        return Refused(response.status_code, said, response.headers.get("retry-after"))

    def failure(self, error: Exception) -> str:
        """One line for people and for the journal."""
        text = f"{type(error).__name__}: {error}".replace("\n", " ")[:400]
        return text.replace(self._key, "***") if self._key else text

    def drop(self, text: str) -> bool:
        """Leave out an optional parameter that the server refuses by name; whether there was one."""
        if "max_completion_tokens" in text and "max_tokens" not in self._dropped:
            self._dropped.add("max_tokens")
            return True
        for name in OPTIONAL:
            if name in text and name not in self._dropped:
                self._dropped.add(name)
                self.notes[f"the server refuses {name!r}: it was left out"] += 1
                return True
        return False

    def no_key(self, error: Refused) -> K2ReproError:
        name = self.endpoint.key_env
        state = "is set, and was refused" if self._key else "is not set"
        return K2ReproError(
            f"{self.endpoint.url} answered {error.status}: the key is read from the environment variable "
            f"{name}, which {state}. Set it (export {name}=...) or name another with --key-env"
        )

    def hopeless(self, error: Refused) -> K2ReproError:
        said = self.failure(error)
        hint = "Usual cause: a model name that it does not have (see /v1/models), or a base URL without /v1"
        if error.status not in (404,) and "model" not in error.text:
            hint = "Usual cause: a prompt beyond the model's context, or a parameter that it does not take"
        return K2ReproError(f"{self.endpoint.url}, model {self.endpoint.model!r}: {said}. {hint}")

    def raise_if_unreachable(self, failure: str) -> None:
        """K2ReproError when a failure means that nobody listens."""
        if failure.startswith(("ConnectError", "ConnectTimeout", "UnsupportedProtocol")):
            raise K2ReproError(
                f"{self.endpoint.url} cannot be reached: {failure}. Usual cause: the server is not running, "
                "or another host or port"
            )


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise BadResponse(f"not JSON: {content[:80]!r}") from error
    if not isinstance(value, dict):
        raise BadResponse(f"not a JSON object: {content[:80]!r}")
    return value


def _pieces(event: Mapping[str, Any]) -> Iterator[str]:
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        for name in ("reasoning_content", "reasoning", "content"):
            if delta.get(name):
                yield delta[name]
