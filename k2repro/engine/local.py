"""`LocalBackend`: a Qwen2 checkpoint in this process, asked like a server."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from k2repro.architecture import Qwen2, load_pretrained
from k2repro.engine.backend import Completion, Message, Progress, Prompt, Request
from k2repro.engine.sampler import Sampler
from k2repro.errors import K2ReproError

ROLES = ("system", "user", "assistant")


class LocalBackend:
    """A model and its tokenizer behind the interface `Backend`.

    model: a Qwen2. tokenizer: a tokenizers.Tokenizer or one of transformers; without it prompts and stops
    are token ids and completions carry no text. template: the checkpoint's chat template (Jinja); without
    it prompts are text or token ids. end: token ids that end every response. special: texts that the
    tokenizer reads as markers; a chat message that holds one is refused, because it could end the user's
    turn and write the assistant's. compiled: as in `Sampler`; False starts at once, which for a single
    question is faster than compiling.
    """

    def __init__(
        self,
        model: Qwen2,
        tokenizer: Any = None,
        *,
        compiled: bool | None = None,
        name: str = "local",
        template: str | None = None,
        end: Iterable[int] = (),
        special: Iterable[str] = (),
    ) -> None:
        self.name, self.model, self.tokenizer = name, model, tokenizer
        self.end, self.special = tuple(end), tuple(special)
        self._template = None if template is None else _compiled(template)
        self._sampler = Sampler(model, compiled=compiled)

    @classmethod
    def from_checkpoint(
        cls, folder: str | Path, *, name: str | None = None, compiled: bool | None = None
    ) -> "LocalBackend":
        """A checkpoint folder with config.json, safetensors, tokenizer.json and tokenizer_config.json.

        Raises K2ReproError that names the file which is missing or broken.
        """
        from tokenizers import Tokenizer

        folder = Path(folder)
        model = load_pretrained(folder)
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise K2ReproError(
                f"{path} is not there: a checkpoint is asked in text, so its tokenizer is needed"
            )
        tokenizer = Tokenizer.from_file(str(path))
        config = _json(folder / "tokenizer_config.json")
        added = json.loads(path.read_text(encoding="utf-8")).get("added_tokens", [])
        end = tokenizer.token_to_id(_content(config.get("eos_token")))
        return cls(
            model,
            tokenizer,
            name=name or folder.name,
            compiled=compiled,
            template=config.get("chat_template"),
            end=() if end is None else (end,),
            special=[token["content"] for token in added if token.get("special")],
        )

    def refresh(self) -> None:
        """Read the model's weights again, after a training step."""
        self._sampler.refresh()

    def complete(
        self, requests: Sequence[Request], *, progress: Progress | None = None
    ) -> list[list[Completion]]:
        """As `Backend.complete`; requests of equal settings are sampled in one batch.

        No sample depends on its neighbours, so the batching changes no token.
        Raises K2ReproError for a prompt that does not fit, and what `engine.sample` raises.
        """
        groups: dict[tuple, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(_settings(request), []).append(index)
        found: list[list[Completion]] = [[] for _ in requests]
        total, done = sum(request.n for request in requests), 0
        for indices in groups.values():
            members = [requests[index] for index in indices]
            report = None if progress is None else _shifted(progress, done, total)
            for index, completions in zip(indices, self._sample(members, report), strict=True):
                found[index] = completions
            done += sum(request.n for request in members)
        return found

    def _sample(self, requests: Sequence[Request], progress: Progress | None) -> list[list[Completion]]:
        first, started = requests[0], time.perf_counter()
        prompts = [self.tokens_of(request.prompt) for request in requests]
        sampled = self._sampler.sample(
            prompts,
            n=first.n,
            max_new_tokens=first.max_new_tokens,
            temperature=first.temperature,
            top_p=first.top_p,
            seeds=[request.seed for request in requests],
            stop=[*self.end, *first.stop],
            tokenizer=self.tokenizer,
            logprobs=first.logprobs,
            progress=progress,
        )
        # A batch shares its time: each sample is charged an equal part, so that a sum is the time spent.
        seconds = (time.perf_counter() - started) / max(1, len(prompts) * first.n)
        return [
            [replace(each, prompt_tokens=len(prompt), seconds=seconds) for each in completions]
            for prompt, completions in zip(prompts, sampled, strict=True)
        ]

    def tokens_of(self, prompt: Prompt) -> tuple[int, ...]:
        """A prompt as token ids. Raises K2ReproError for text without a tokenizer or template."""
        if not prompt:
            raise K2ReproError("the prompt is empty: a model needs a token to predict the next from")
        if not isinstance(prompt, str):
            if all(isinstance(item, Message) for item in prompt):
                return self._encode(self.render([item for item in prompt if isinstance(item, Message)]))
            return tuple(int(item) for item in prompt if not isinstance(item, Message))
        return self._encode(prompt)

    def render(self, messages: Sequence[Message]) -> str:
        """A chat as the model reads it, up to where the assistant begins."""
        if self._template is None:
            raise K2ReproError(f"{self.name} has no chat template; pass text or token ids, or give it one")
        for message in messages:
            if message.role not in ROLES:
                raise K2ReproError(f"role {message.role!r} of a message: must be one of {', '.join(ROLES)}")
            for marker in self.special:
                if marker in message.content:
                    raise K2ReproError(
                        f"a message holds {marker}, which would be read as a special token and not as text; "
                        "usual cause: a prompt that is rendered already"
                    )
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return self._template.render(messages=turns, add_generation_prompt=True)

    def _encode(self, text: str) -> tuple[int, ...]:
        if self.tokenizer is None:
            raise K2ReproError(f"{self.name} has no tokenizer: pass token ids, or give it one")
        found = self.tokenizer.encode(text, add_special_tokens=False)
        return tuple(getattr(found, "ids", found))


def _settings(request: Request) -> tuple:
    """What must be equal for two requests to share a batch."""
    return (
        request.n,
        request.max_new_tokens,
        request.temperature,
        request.top_p,
        request.stop,
        request.logprobs,
    )


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def _compiled(template: str) -> Any:
    """A chat template comes with a checkpoint that somebody else wrote: it runs in Jinja's sandbox."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise K2ReproError(f"{path}: not JSON: {error}") from error


def _content(token: Any) -> str:
    """A special token is written as a string or as an object with its content."""
    return token["content"] if isinstance(token, dict) else token or ""
