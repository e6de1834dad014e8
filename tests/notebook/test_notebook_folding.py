"""Folding: the method's code is in view, plumbing is one click away, for every front end that can."""

import pytest

from k2repro.notebook.folding import is_plumbing, plumbing_share
from k2repro.notebook.normalise import normalise
from k2repro.notebook.source import read_source, source_names
from k2repro.results import Places

PLUMBING = [
    "import torch\nfrom k2repro.results import open_rows",
    'rows.add("a.b", 1, unit="x")\ntell(rows, "{a.b}")',
    "figure, records = pictures.loss_picture(logs)\nshow(figure, alt=words, table=records)",
    "fig.update_layout(height=3)\nfig.add_annotation(x=1)",
    'globals().update(checked_parameters("01", globals()))',
    "for name in names:\n    rows.add(name, 1, unit='x')",
    "saved = rows.save()",
    "gains = rlvr_rows.gains(results)\nrlvr_rows.add_rows(rows, gains)\nrows.rest_on(results.machine)",
]
METHOD = [
    "advantages = group_advantages(rewards, 4)",
    "loss.backward()",
    "def f(x):\n    return x",
    "x = = 1",
    "",
    "advantages = (rewards - mean) / spread\nloss = -(advantages * ratio).mean()\nrows.add('a', 1, unit='x')",
]


@pytest.mark.parametrize("source", PLUMBING)
def test_plumbing_is_folded(source):
    """Catches a screen full of imports and layout before the first idea."""
    assert is_plumbing(source, [])
    assert not is_plumbing(source, ["show-code"])
    assert not is_plumbing(source, ["parameters"])


@pytest.mark.parametrize("source", METHOD)
def test_the_method_stays_in_view(source):
    """Catches a notebook that hides what it is about."""
    assert not is_plumbing(source, [])


def test_folding_is_written_where_the_front_ends_look(write_source):
    """Catches a private mark: Lab reads jupyter.source_hidden, Jupyter Book the tag hide-input."""
    notebook = normalise(read_source(write_source("01_demo", "import torch", "x = 1")))
    folded, shown = notebook.cells[-2:]
    assert folded.metadata["jupyter"] == {"source_hidden": True}
    assert folded.metadata["tags"] == ["hide-input"]
    assert shown.metadata == {}
    assert normalise(notebook).cells[-2].metadata["tags"] == ["hide-input"]


# 00 and 08 tell of a map and of tables; they have little method of their own.
METHODS = [name for name in source_names(Places.find()) if name[:2] not in ("00", "08")]


@pytest.mark.parametrize("name", METHODS)
def test_at_most_a_third_of_what_is_in_view_is_plumbing(name):
    """Catches the audit log: recording and figure calls between every two ideas."""
    cells = [c for c in read_source(Places.find().sources / f"{name}.py").cells if c.cell_type == "code"]
    view = [c for c in cells if not is_plumbing(c.source, c.metadata.get("tags", []))]
    plumbing = [c for c in view if plumbing_share(c.source) > 1 / 3]
    assert view and len(plumbing) <= len(view) / 3, [c.source[:60] for c in plumbing]
