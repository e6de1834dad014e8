"""Drills: lists that ask one skill of a search again and again, so that it stands before a search needs it.

    look-up  values and definitions, asked back by name; each is named first, as in a marked search
    follow   definitions and values along a plan, each with its place there, as in a marked solution
    return   notes that say whom a search goes back to, asked back by name

Long lists are no luxury. A model that was drilled on lists of four to seven names (.07 nats a token there)
knew where to look and not what to look for: on twelve to eighteen names it was at 1.6 nats, and rising with
every step. And of what one seed lost on whole searches nearly all lay on one word, whom a note goes back to
when it is noted again: the copy in the question, which lacks that word, was taken for the note.
"""

from random import Random

from k2repro.mini.variables import LETTERS, MODULUS, Definition, definition_text, marked_plan_text

# Share of the names that are listed with a definition, and of these the share whose value is listed too.
DEFINED, KNOWN = 0.4, 0.4
# The same share where a plan is followed, which names nothing else.
MOSTLY_DEFINED = 0.7
OPENED_BY_QUESTION = 0.2
# Names that are asked back at most. With all of up to 18, most of what was left of the loss lay on which of
# them comes next, of which a search has three.
MOST_ASKED = 8


def look_up(rng: Random, names: tuple[int, int]) -> tuple[str, str]:
    """A question and what is asked of it; names: least and most that are listed.

    Some names have a value beside their definition, as in a search what was worked out has; then the value is
    wanted: known or not is the only decision of a search.
    """
    listed, definitions, values = _listing(rng, rng.randint(*names))
    asked = rng.sample(listed, rng.randint(2, min(MOST_ASKED, len(listed))))
    question = _listed(rng, definitions, values) + " ?" + "".join(f" {name}" for name in asked)
    known = {name: f" {name}={value}" for name, value in values.items()}
    told = {name: definition_text(name, each) for name, each in definitions.items()} | known
    return question, "".join(f" {name}?{told[name]}" for name in asked)


def follow(rng: Random, names: tuple[int, int]) -> tuple[str, str]:
    """A question with a plan, and along the plan each name's definition and value, and its place in the plan.

    What comes next in a plan is asked for behind a place, and nowhere else, as in a solution. In an earlier
    form, drawn more rarely, some values were not listed, so that whether there is a value and what the plan
    says next had to be found at once; one seed of three had not learned to follow after 3,000 steps.
    """
    _, definitions, values = _listing(rng, rng.randint(*names), defined=MOSTLY_DEFINED, known=1.0)
    order = rng.sample(list(definitions), rng.randint((len(definitions) + 1) // 2, len(definitions)))
    asked = rng.sample(order, min(3, len(order)))
    question = _listed(rng, definitions, values) + " ?" + "".join(f" {name}" for name in asked)
    told = {name: f"{definition_text(name, definitions[name])} {name}={values[name]}" for name in order}
    return question + marked_plan_text(order), "".join(f" {name}?{told[name]} ok {name}?" for name in order)


def come_back(rng: Random, names: tuple[int, int]) -> tuple[str, str]:
    """Definitions, then each as a note with the word it goes back to; the notes are asked."""
    listed = rng.sample(LETTERS, rng.randint(*names))
    definitions = {name: _definition(rng, name) for name in listed}
    notes = {
        name: definition_text(name, definitions[name])
        + (" ?" if rng.random() < OPENED_BY_QUESTION else f" {rng.choice(LETTERS)}")
        for name in listed
    }
    first = "".join(definition_text(name, definitions[name]) for name in listed)
    second = "".join(notes[name] for name in rng.sample(listed, len(listed)))
    asked = rng.sample(listed, len(listed))
    question = first + " ?" + second + " ?" + "".join(f" {name}" for name in asked)
    return question, "".join(notes[name] for name in asked)


def _listing(
    rng: Random, count: int, defined: float = DEFINED, known: float = KNOWN
) -> tuple[list[str], dict[str, Definition], dict[str, int]]:
    """Names, the definitions of some, the values of all that have none and of a share of those that do."""
    names = rng.sample(LETTERS, count)
    # A fixed share, so that no text outgrows its row.
    definitions = {name: _definition(rng, name) for name in rng.sample(names, round(defined * count))}
    values = {
        name: rng.randrange(MODULUS) for name in names if name not in definitions or rng.random() < known
    }
    return names, definitions, values


def _definition(rng: Random, name: str) -> Definition:
    first, second = rng.sample([letter for letter in LETTERS if letter != name], 2)
    return rng.choice("+-*"), first, second


def _listed(rng: Random, definitions: dict[str, Definition], values: dict[str, int]) -> str:
    """Every definition and every value, in a random order."""
    entries = [definition_text(name, each) for name, each in definitions.items()]
    entries += [f" {name}={value}" for name, value in values.items()]
    rng.shuffle(entries)
    return "".join(entries)
