"""Problems for mini-K2 behind a server, as requests, and which of its answers are right."""

from k2repro.engine.backend import Message, Request, derived_seed
from k2repro.mini.grading import grade
from k2repro.solve.mini import MiniDialect

DIALECT = MiniDialect()


def asked(tasks, *, bare=False, seed=0, **settings):
    """A request for each problem. bare: without the spaces around its question; the seeds stay the same.

    Each has a seed of its own: samples of two prompts that share one are not independent, as intervals want.
    """
    return [
        Request(
            (Message("user", task.question.strip() if bare else task.question),),
            160,
            seed=derived_seed("served", seed, task.question),
            **settings,
        )
        for task in tasks
    ]


def right(tasks, found):
    """By problem: whether each sample is right."""
    return {
        task.question: [float(grade([task], [DIALECT.text(each)])[0]) for each in group]
        for task, group in zip(tasks, found, strict=True)
    }
