"""One attempt at one server: an HTTP request for a chat completion, and words for what went wrong.

The HTTP client is httpx2, which the openai client stands on too. That client retries by itself, out of
sight; here every attempt goes through the journal and the budget first (`k2repro.engine.endpoint`).
"""

import asyncio
import ipaddress
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from k2repro.engine.budget import Price
from k2repro.engine.chat import BadResponse, joined_stream, pieces_of, read_object, without_surrogates
from k2repro.engine.refusals import Refused, refused_option
from k2repro.errors import K2ReproError

# Names under which people pass keys to clients; a body is written down, so it must not hold one.
KEY_NAMES = {"api_key", "apikey", "key", "authorization", "access_token", "bearer"}
# A shorter key is a placeholder (EMPTY, x), as servers at home ask for: no secret, and a word of answers.
SHORTEST_SECRET = 8
# Bytes of one event of a stream; a server that sends a whole answer with log-probabilities needs many.
LARGEST_EVENT = 64 << 20
MODELS_SHOWN = 8


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
        if not 0 < self.timeout < float("inf"):
            raise K2ReproError(f"timeout = {self.timeout}: must be a number of seconds above 0")
        for name in self.extra:
            if name.lower().replace("-", "_") in KEY_NAMES:
                raise K2ReproError(
                    f"extra holds {name!r}, and bodies are written down; a key is read from the environment "
                    f"variable {self.key_env}"
                )

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/")


class Server:
    """The connections to one endpoint. notes: what the reader should know, with how often it was seen."""

    def __init__(self, endpoint: Endpoint, concurrency: int) -> None:
        self.endpoint, self.notes = endpoint, Counter[str]()
        self._concurrency = concurrency
        self._key = _key(endpoint.key_env)
        self._dropped: set[str] = set()
        self._client: httpx2.AsyncClient | None = None

    @property
    def left_out(self) -> list[str]:
        """Parameters that the server has refused by name and is no longer sent."""
        return sorted(self._dropped)

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
        if on_piece is not None:
            return await self._stream(self._client, self._sent(body), on_piece)
        response = await self._client.post("/chat/completions", json=self._sent(body))
        if response.status_code != 200:
            raise self._refused(response, response.text)
        return self._read(response.content)

    def _sent(self, body: Mapping[str, Any]) -> dict[str, Any]:
        sent = {name: value for name, value in body.items() if name not in self._dropped}
        if "max_tokens" in self._dropped:
            sent["max_completion_tokens"] = body["max_tokens"]
        return sent

    async def _stream(
        self, client: httpx2.AsyncClient, body: Mapping[str, Any], on_piece: Callable[[str], None]
    ) -> dict[str, Any]:
        """The events of a stream, joined; their text goes to `on_piece` as it comes."""
        asked = {**body, "stream": True}
        if "stream_options" not in self._dropped:
            asked["stream_options"] = {"include_usage": True}
        events: list[dict[str, Any]] = []
        ended = False
        async with client.stream("POST", "/chat/completions", json=asked) as response:
            if response.status_code != 200:
                raise self._refused(response, (await response.aread()).decode(errors="replace"))
            if "event-stream" not in response.headers.get("content-type", ""):
                # A server that does not stream answers at once.
                whole = self._read(await response.aread())
                on_piece("".join(pieces_of(whole)))
                return whole
            async for line in self._data(response):
                if line == "[DONE]":
                    ended = True
                    continue
                events.append(self._read(line.encode(errors="surrogatepass"), joined=False))
                for piece in pieces_of(events[-1]):
                    on_piece(piece)
        whole = without_surrogates(joined_stream(events))
        if not ended and whole["choices"][0]["finish_reason"] is None:
            raise BadResponse("the stream ended without a finish_reason: the connection was cut")
        return whole

    async def _data(self, response: httpx2.Response) -> AsyncIterator[str]:
        """Data of a stream, a JSON text each. A server that only keeps the line alive has timed out."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.endpoint.timeout) as clock:
            async for event in httpx2.EventSource(response, LARGEST_EVENT):
                for line in filter(str.strip, event.data.split("\n")):
                    yield line.strip()
                    clock.reschedule(loop.time() + self.endpoint.timeout)

    def _read(self, content: bytes, *, joined: bool = True) -> dict[str, Any]:
        """A JSON body, without the key, should the server repeat it. Raises Refused for an error in it."""
        if self._is_secret:
            content = content.replace(self._key.encode(), b"***")
        body = read_object(content)
        error = body.get("error")
        if error and not body.get("choices"):
            code = error.get("code") if isinstance(error, dict) else None
            # Without a code of its own it is the gateway's fault, which may pass.
            raise Refused(code if isinstance(code, int) and 400 <= code < 600 else 502, str(error))
        return without_surrogates(body) if joined else body

    def _new_client(self) -> httpx2.AsyncClient:
        """The key lives in this object's headers only; proxies are never used for this machine itself."""
        try:
            return httpx2.AsyncClient(
                base_url=self.endpoint.url,
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx2.Timeout(self.endpoint.timeout, connect=min(10.0, self.endpoint.timeout)),
                limits=httpx2.Limits(
                    max_connections=self._concurrency, max_keepalive_connections=self._concurrency
                ),
                trust_env=not _this_machine(urlsplit(self.endpoint.url).hostname or ""),
            )
        except (ImportError, ValueError, OSError, httpx2.InvalidURL):
            # Its words may hold the proxy's password.
            raise K2ReproError(
                "no HTTP client can be made from the environment. Usual cause: HTTPS_PROXY, HTTP_PROXY or "
                "ALL_PROXY holds no http:// address (socks needs the package socksio), or SSL_CERT_FILE "
                "names no file"
            ) from None

    def _refused(self, response: httpx2.Response, text: str) -> Refused:
        """Some servers echo the key in what they say; it is taken out before anybody can print it."""
        head = response.headers
        milliseconds = head.get("retry-after-ms", "")
        # Not int: its digits may be more than it takes.
        asked = str(float(milliseconds) / 1000) if milliseconds.isdecimal() else head.get("retry-after")
        location = self._masked(head.get("location", ""))
        return Refused(response.status_code, self._masked(text), asked, location=location)

    def failure(self, error: Exception) -> str:
        """One line for people and for the journal."""
        return self._masked(f"{type(error).__name__}: {error}").replace("\n", " ")[:400]

    @property
    def _is_secret(self) -> bool:
        return len(self._key) >= SHORTEST_SECRET

    def _masked(self, text: str) -> str:
        return text.replace(self._key, "***") if self._is_secret else text

    def drop(self, text: str, without: Sequence[str]) -> bool:
        """Leave out an optional parameter that the server refuses by name; whether that may help.

        without: what the refused request had left out already; others were on their way beside it.
        """
        name = "max_tokens" if "max_completion_tokens" in text else refused_option(text)
        if name is None or name in without:
            return False
        if name not in self._dropped:
            self._dropped.add(name)
            self.notes[f"the server refuses {name!r}: it was left out"] += 1
        return True

    async def hopeless(self, error: Refused) -> K2ReproError:
        """The error for a refusal that every further request would meet too."""
        where, name = f"{self.endpoint.url}, model {self.endpoint.model!r}", self.endpoint.key_env
        if error.meaning == "key":
            state = "is set, and was refused" if self._key else "is not set"
            return K2ReproError(
                f"{self.endpoint.url} answered {error.status}: the key is read from the environment variable "
                f"{name}, which {state}. Set it (export {name}=...) or name another with --key-env"
            )
        if error.meaning == "credit":
            return K2ReproError(
                f"{where}: {self.failure(error)}. The account behind {name} has nothing left to spend; what "
                "had arrived is in the journal, and the same command goes on from there"
            )
        if error.meaning == "moved":
            target = error.location.partition("?")[0].removesuffix("/chat/completions")
            return K2ReproError(
                f"{self.endpoint.url} answered {error.status} and points to {target or 'nowhere'}. A request "
                "with a key is not sent on to another address: name that one as base URL if it is yours"
            )
        return K2ReproError(
            f"{where}: {self.failure(error)}. Usual cause: a model name that it does not have, or a base URL "
            f"without /v1. {await self._models()}"
        )

    async def _models(self) -> str:
        """The models that the server lists, in words; a server need not list them."""
        try:
            response = await (self._client or self._new_client()).get("/models", timeout=5.0)
            listed = read_object(response.content)
            names = [str(each["id"]) for each in listed["data"]]
        except (httpx2.HTTPError, BadResponse, KeyError, TypeError):
            return "It does not list its models"
        more = len(names) > MODELS_SHOWN or listed.get("has_more") is True
        listing = self._masked(", ".join(names[:MODELS_SHOWN])) or "none"
        return f"It lists {listing}{' and more' if more else ''}"

    def raise_if_absent(self, failure: str) -> None:
        """K2ReproError when a failure means that nobody listens, or that it is no such server."""
        if failure.startswith("ProxyError"):
            raise K2ReproError(
                f"{self.endpoint.url} cannot be reached: {failure}. The proxy is the one of HTTPS_PROXY, "
                "HTTP_PROXY or ALL_PROXY; NO_PROXY lists hosts that need none"
            )
        if failure.startswith(("ConnectError", "ConnectTimeout", "UnsupportedProtocol")):
            raise K2ReproError(
                f"{self.endpoint.url} cannot be reached: {failure}. Usual cause: the server is not running, "
                "or another host or port"
            )
        if failure.startswith("BadResponse: a page"):
            raise K2ReproError(
                f"{self.endpoint.url} answers with {failure.partition(': ')[2]}. Usual cause: a base URL "
                "without /v1, or the log-in page of a network"
            )


def _key(variable: str) -> str:
    """The key in an environment variable. Raises K2ReproError, without its text, for what no header takes."""
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise K2ReproError(
            f"the key in the environment variable {variable} holds a space, a line break or a character that "
            "is not ASCII. Usual cause: quotation marks of a word processor, or two lines of a file"
        )
    return key


def _this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
