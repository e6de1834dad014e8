"""Options that solve, evaluate and probe share. Nothing heavy is imported: `k2repro --help` reads this."""

import argparse

KEY_ENV = "OPENAI_API_KEY"
STOP = "</answer>"
ROLES = ("solver", "planner", "judge")
SELECT_HELP = (
    "who chooses: knock-out (as released; default on endpoints), round-robin, majority, judge, judge+own, "
    "weighted-vote, own-mean, own-sum, process, random; on mini-K2 also self-certainty"
)


def add_endpoints(command: argparse.ArgumentParser) -> None:
    """Servers, models, keys and limits."""
    served = command.add_argument_group("servers (keys are read from the environment, never from an option)")
    served.add_argument("--base-url", help="of the solver, up to /v1, such as http://127.0.0.1:8000/v1")
    served.add_argument("--model", help="the solver's name on that server")
    served.add_argument("--key-env", default=KEY_ENV, help=f"variable that holds the key (default {KEY_ENV})")
    for role in ROLES[1:]:
        served.add_argument(f"--{role}-base-url", help=f"of the {role} (default: the solver's)")
        served.add_argument(f"--{role}-model", help=f"the {role}'s name (default: the solver's)")
        served.add_argument(f"--{role}-key-env", help=f"variable with the {role}'s key (default: --key-env)")
    served.add_argument("--revision", default="", help="of the weights, for the record")
    served.add_argument("--extra", default="{}", help="JSON added to every body, for a server's own switches")
    served.add_argument("--timeout", type=float, default=600.0, help="seconds without a byte (default 600)")
    served.add_argument("--concurrency", type=int, default=16, help="requests at a time (default 16)")
    limits = command.add_argument_group("budget (looked at before each request)")
    limits.add_argument("--max-requests", type=int, help="attempts, failed ones too")
    limits.add_argument("--max-tokens", type=int, help="prompt and output tokens of all roles")
    limits.add_argument("--max-money", type=float, help="by the prices below")
    limits.add_argument("--price-prompt", type=float, default=0.0, help="of a million prompt tokens")
    limits.add_argument("--price-output", type=float, default=0.0, help="of a million output tokens")
    for role in ROLES[1:]:
        for kind in ("prompt", "output"):
            limits.add_argument(
                f"--{role}-price-{kind}", type=float, help=f"at the {role}'s server (default: as above)"
            )


def add_sampling(command: argparse.ArgumentParser) -> None:
    """How the solver is sampled, and who chooses; the published protocol by default."""
    sampled = command.add_argument_group("protocol (defaults: as published)")
    sampled.add_argument("--max-new-tokens", type=int, default=64_000, help="of a response (default 64000)")
    sampled.add_argument("--temperature", type=float, default=1.0)
    sampled.add_argument("--top-p", type=float, default=0.95)
    sampled.add_argument("--stop", nargs="*", default=[STOP], help="stop strings (default </answer>)")
    sampled.add_argument("--select", metavar="SELECTOR", help=SELECT_HELP)
    sampled.add_argument("--system", default="", help="system prompt of the solver")
    sampled.add_argument("--seed", type=int, default=0)
