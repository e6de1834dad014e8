"""What the options of `solve`, `evaluate` and `probe` stand for: endpoints, backends, one budget."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2repro.engine.backend import Sampling
from k2repro.engine.budget import Budget, Price
from k2repro.engine.endpoint import EndpointBackend, OnText
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal
from k2repro.harness.prices import role_price
from k2repro.solve import Roles

ROLES = ("solver", "planner", "judge")


def sampling(args: argparse.Namespace) -> Sampling:
    """The solver's sampling; K2ReproError for numbers outside their ranges."""
    if args.max_new_tokens < 1:
        raise K2ReproError(f"--max-new-tokens {args.max_new_tokens}: must be at least 1")
    if not 0.0 <= args.temperature <= 2.0:
        raise K2ReproError(f"--temperature {args.temperature}: servers take 0 to 2")
    if not 0.0 < args.top_p <= 1.0:
        raise K2ReproError(f"--top-p {args.top_p}: must be above 0 and at most 1")
    return Sampling(args.max_new_tokens, args.temperature, args.top_p, tuple(args.stop))


@dataclass(frozen=True)
class Served:
    """Backends by role, the budget that they share, and what they are."""

    roles: Roles
    endpoints: dict[str, Endpoint]
    backends: dict[str, EndpointBackend]
    budget: Budget

    @property
    def notes(self) -> list[str]:
        """What the reader should know, each with how often it was seen."""
        return [
            f"{backend.name}: {note} ({count} times)"
            for backend in self.backends.values()
            for note, count in backend.notes.items()
        ]

    def waiting(self) -> float:
        """Seconds that a server wants not to be asked; the longest of all."""
        return max(backend.waiting for backend in self.backends.values())

    def close(self) -> None:
        """Close all connections."""
        for backend in self.backends.values():
            backend.close()


def recorded_endpoints(record: Mapping[str, Any]) -> dict[str, Endpoint]:
    """The endpoints of a run from its journal's protocol; for a replay, which never calls them."""
    return {
        role: Endpoint(each["url"], each["model"], revision=each["revision"], extra=each["extra"])
        for role, each in record["endpoints"].items()
    }


def endpoints(args: argparse.Namespace) -> dict[str, Endpoint]:
    """The endpoint of each role. Raises K2ReproError when the solver's is not named."""
    if not args.base_url or not args.model:
        raise K2ReproError("name the server and the model: --base-url http://HOST:PORT/v1 --model NAME")
    extra = _object(args.extra)
    found = {}
    for role in ROLES:
        prefix = "" if role == "solver" else f"{role}_"
        found[role] = Endpoint(
            getattr(args, f"{prefix}base_url") or args.base_url,
            getattr(args, f"{prefix}model") or args.model,
            key_env=getattr(args, f"{prefix}key_env") or args.key_env,
            extra=extra,
            timeout=args.timeout,
            revision=args.revision if role == "solver" else "",
            price=role_price(args, role),
        )
    return found


def serve(
    found: Mapping[str, Endpoint],
    args: argparse.Namespace,
    *,
    journal: Journal | None = None,
    offline: bool = False,
    on_text: OnText | None = None,
) -> Served:
    """Backends for endpoints; equal endpoints, price included, share one and its limit of concurrency."""
    budget = Budget(args.max_requests, args.max_tokens, args.max_money)
    if journal is not None:
        for bill in journal.bills().values():
            budget.spent_requests += bill.attempts
            budget.add(bill.prompt_tokens + bill.output_tokens, bill.cost)
    made: dict[tuple[str, str, str, Price], EndpointBackend] = {}
    backends: dict[str, EndpointBackend] = {}
    for role, endpoint in found.items():
        key = _identity(endpoint)
        if key not in made:
            made[key] = EndpointBackend(
                endpoint,
                journal=journal,
                budget=budget,
                concurrency=args.concurrency,
                offline=offline,
                on_text=on_text,
            )
            backends[role] = made[key]
    solver, planner, judge = (made[_identity(found[role])] for role in ROLES)
    return Served(Roles(solver, planner, judge), dict(found), backends, budget)


def _identity(endpoint: Endpoint) -> tuple[str, str, str, Price]:
    return (endpoint.url, endpoint.model, endpoint.key_env, endpoint.price)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise K2ReproError(f"--extra {text!r}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise K2ReproError(f"--extra {text!r}: must be a JSON object")
    return value
