"""What a run may spend, and what it has spent."""

from dataclasses import dataclass

from k2repro.errors import K2ReproError


class BudgetSpent(K2ReproError):
    """The budget is used up: nothing more is sent, what is on its way is still taken in."""


@dataclass(frozen=True)
class Price:
    """Money for a million tokens, in whatever currency the reader thinks in."""

    prompt: float = 0.0
    output: float = 0.0

    def cost(self, prompt_tokens: int, output_tokens: int) -> float:
        """Money for one answer."""
        return (prompt_tokens * self.prompt + output_tokens * self.output) / 1e6


@dataclass
class Budget:
    """Limits of a run over all of its servers, and what has been spent of them; None is no limit.

    A limit is looked at before a request is sent, so what is on its way at that moment comes on top: at most
    `concurrency` answers. requests counts attempts, failed ones too.
    """

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None
    spent_requests: int = 0
    spent_tokens: int = 0
    spent_money: float = 0.0

    def check(self) -> None:
        """Raise BudgetSpent when a limit is reached."""
        for name, spent, limit in (
            ("requests", self.spent_requests, self.requests),
            ("tokens", self.spent_tokens, self.tokens),
            ("money", self.spent_money, self.money),
        ):
            if limit is not None and spent >= limit:
                raise BudgetSpent(f"the budget of {limit:,} {name} is spent ({spent:,.10g})")

    def add(self, tokens: int, money: float) -> None:
        """An answer has arrived."""
        self.spent_tokens += tokens
        self.spent_money += money
