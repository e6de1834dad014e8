"""One thing that a lab run makes: it knows what decides its bits, what it needs and how it is made.

    weights = Made("weights", "sft", 0, needs={"training": trained}, make=copy_weights, ships=True)
    folder = make_now(weights, store)

Two of equal kind, parameters, words and needs are the same thing, whoever describes them. `make` has to be a
function of a module (or a `partial` of one): things are made in processes of their own.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.lab.progress import JobProgress
from k2repro.results import ArtifactStore, Recipe
from k2repro.results.locking import alone

OnReport = Callable[[object], None]


def no_report(message: object) -> None:
    """Where nobody listens."""


@dataclass(frozen=True)
class Making:
    """What a maker gets.

    folder   empty; what is written here is the artifact
    work     outlives a kill, so that a long make resumes; gone once the artifact stands
    needs    folder of each thing that is needed, by its role
    report   called with a `JobProgress` now and then
    """

    folder: Path
    work: Path
    needs: Mapping[str, Path]
    report: OnReport = no_report


@dataclass(frozen=True, eq=False)
class Made:
    """A thing to be made.

    kind      what it is; names the folder in the store
    name      of the model or run that it belongs to; seed: of the training behind it
    params    everything else that decides its bits, JSON-like
    numerics  words of the rooms whose code decides its bits, beyond those of what it needs
    needs     what it is made from, by role
    ships     whether a reader needs it, so that a notebook which asks for it marks it

    Raises K2ReproError (from `recipe`) for a thing that needs itself.
    """

    kind: str
    name: str
    seed: int
    make: Callable[[Making], None]
    params: Mapping[str, Any] = field(default_factory=dict)
    numerics: tuple[str, ...] = ()
    needs: Mapping[str, "Made"] = field(default_factory=dict)
    ships: bool = False

    @cached_property
    def recipe(self) -> Recipe:
        """What addresses it."""
        _refuse_circle(self, ())
        parents = {role: needed.key for role, needed in self.needs.items()}
        params = {"name": self.name, "seed": self.seed, **self.params}
        return Recipe(self.kind, params, self.numerics, parents=parents)

    @property
    def key(self) -> str:
        return self.recipe.key

    @property
    def title(self) -> str:
        """As a person reads it."""
        return f"{self.kind} of {self.name} {self.seed}"


def declared(thing: Any, *, later: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass as parameters of a thing.

    later: fields that came when things had been made already. At its default such a field says what was
    always so, and stands in no key; at another value it does.
    """
    defaults = {each.name: each.default for each in fields(thing) if each.name in later}
    return {
        name: value
        for name, value in asdict(thing).items()
        if name not in defaults or value != defaults[name]
    }


def _refuse_circle(made: Made, above: tuple[Made, ...]) -> None:
    if any(made is each for each in above):
        way = " -> ".join(each.title for each in (*above, made))
        raise K2ReproError(
            f"{made.title} needs itself: {way}. Usual cause: a run that starts from its own end"
        )
    for needed in made.needs.values():
        _refuse_circle(needed, (*above, made))


def missing(wanted: Iterable[Made], store: ArtifactStore) -> list[Made]:
    """What has to be made before all of `wanted` stand: each once, and after what it needs.

    What stands is not looked behind: scores that ship need no weights.
    """
    found: dict[str, Made] = {}
    seen: set[str] = set()

    def visit(made: Made) -> None:
        if made.key in seen:
            return
        seen.add(made.key)
        if store.find(made.recipe) is None:
            for needed in made.needs.values():
                visit(needed)
            found[made.key] = made

    for made in wanted:
        visit(made)
    return list(found.values())


def make_now(made: Made, store: ArtifactStore, report: OnReport = no_report) -> Path:
    """The folder of a thing; made now, with all that it needs, where it does not stand yet."""
    found = store.find(made.recipe)
    if found is not None:
        return found
    needs = {role: make_now(needed, store, report) for role, needed in made.needs.items()}
    # A reader in JupyterLab and a `make reproduce` would take each other's unfinished work away.
    with alone(store.lock(made.recipe), "making it", lambda words: report(JobProgress(0.0, words))):
        work = store.work_folder(made.recipe)
        folder = store.build(made.recipe, lambda folder: made.make(Making(folder, work, needs, report)))
        store.forget_work(made.recipe)
    return folder
