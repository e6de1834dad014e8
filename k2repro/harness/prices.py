"""What each role pays; apart from the servers, because mini-K2's bill is printed without any."""

import argparse

from k2repro.engine.budget import Price


def role_price(args: argparse.Namespace, role: str) -> Price:
    """The price of a role from the options; the solver's where it has none of its own."""
    prompt, output = (getattr(args, f"{role}_price_{kind}", None) for kind in ("prompt", "output"))
    return Price(
        args.price_prompt if prompt is None else prompt, args.price_output if output is None else output
    )
