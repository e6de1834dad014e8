"""Every lint rule with a text that breaks it and a twin that keeps it."""

import logging
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from k2repro.notebook.lint import Finding, lint_all, lint_built, lint_links, lint_package, render_findings
from k2repro.notebook.lint.markdown import typed_numbers
from k2repro.notebook.lint.source import lint_notebook_source
from k2repro.results.places import Places

HEADER = """# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
TITLE = "# %% [markdown]\n# # 01 · A title\n"
PARAMETERS = '# %% tags=["parameters"]\nprofile = "laptop"\nsize = 4\n'


@pytest.fixture
def lint_text(tmp_path):
    """Rules broken by a notebook source made of the given cells."""

    def lint(cells: str, title: str = TITLE, parameters: str = PARAMETERS) -> list[str]:
        folder = tmp_path / "notebooks" / "src"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "02_next.py").write_text("")
        path = folder / "01_test.py"
        path.write_text(HEADER + "\n" + title + "\n" + parameters + "\n" + cells)
        return sorted({finding.rule for finding in lint_notebook_source(path)})

    return lint


@pytest.mark.parametrize(
    "words",
    [
        "The planner raises accuracy to 86.3 on tier 2.",
        "It solves 41.6% of the problems.",
        "It solves 41.6 percent of the problems.",
        "a gain of 3 percentage points",
        "It decodes 2,000 tokens per second.",
        "It decodes 2 000 tok/s on the wafer.",
        "The weights take 65.5 GB.",
        "A wafer moves 21 PB/s.",
        "pass@1 = 0.42 after training",
        "The draft is 2.5x faster.",
        "The draft is 2.5 times as fast.",
        "an accuracy of about 0.87",
        "The loss drops to 0.02.",
        "0.93 accuracy on tier 1",
        "The model has 32.8 billion parameters.",
        "The training took 12 minutes.",
        "The difference is significant (p < 0.05).",
        "The reward was 0.75 at the end.",
    ],
)
def test_measured_numbers_in_prose_are_found(words):
    """Catches a number that nobody will update when the measurement changes."""
    assert typed_numbers(words)


@pytest.mark.parametrize(
    "words",
    [
        "K2-Think on AIME 2024 and AIME 2025, HMMT 2025 and Omni-MATH-HARD.",
        "It starts from Qwen2.5-32B and is called K2-Think; mini-K2 has four tiers.",
        "pass@k and pass@1 are estimated without bias, as in Table 2 of the paper.",
        "Weights are kept in 16 bit; notebook 01 counts them, section 3.2 explains.",
        "The code `accuracy = 0.87` and `65.5 GB` stand in backticks.",
        "Intervals are Wilson's; each is a 95% confidence interval, and the 95 % level is fixed.",
        "The reward is 1 when the answer is right and 0 otherwise.",
        "A formula: $1 + 2^{10} \\le 65.5$ holds for 3 layers and 28 heads.",
        "```\nloss = 0.25  # 42%\n```\nTwo steps follow in order.",
        "Best-of-3 draws 3 samples; tier 2 has 4 variables; step 100 of 200.",
        "[See the article](https://example.org/50%25-faster) from 2025-09-09.",
        "Set `top_p` to a value below one and read on in chapter 7.",
        "CS-3 and GPT-4o, version 2.13.0, HumanEval with 164 problems.",
    ],
)
def test_names_and_definitions_stay_allowed(words):
    """Catches a lint that cries wolf: people would write around it."""
    assert typed_numbers(words) == []


MD = "# %% [markdown]\n"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# rule, cells that break it, cells that keep it
SOURCES = [
    ("typed-number", MD + "# Accuracy is 87%.\n", MD + "# On AIME 2024.\n"),
    (
        "typed-number",
        '# %%\ntell(rows, "it is 87% of {a.b:pct}")\n',
        '# %%\ntell(rows, "it is {a.b:pct} accurate, {a.c:.1f} GB")\n',
    ),
    (
        "typed-number",
        '# %%\nshow(fig, alt="A bar at 87% beside a lower bar.", table=t)\n',
        '# %%\nshow(fig, alt=f"A bar at {p:.0%} beside a lower bar.", table=t)\n',
    ),
    ("picture-alt", MD + "# ![](a.png)\n", MD + "# ![A wafer from above](https://x.y/a.png)\n"),
    ("filler-word", MD + "# Simply run it.\n", MD + "# Run it, then adjust `just` one.\n"),
    ("link", MD + "# [on](03_none.ipynb)\n", MD + "# [on](02_next.ipynb) or [there](#x)\n"),
    ("heading", MD + "# # Second title\n", MD + "# ## Part\n# ### Step\n# ## Part\n"),
    ("heading", MD + "# ### Too deep\n", MD + "# ```\n# # a comment\n# ```\n"),
    ("cell-length", "# %%\n" + "x = 1\n" * 21, "# %%\n" + "x = 1\n" * 20),
    ("cell-width", "# %%\n" + "x" * 75 + "=1\n", "# %%\n" + "x" * 74 + "=1\n"),
    ("magic", "# %%\n# %matplotlib inline\n", "# %%\nx = 7 % 2\n"),
    ("forbidden-call", "# %%\nclear_output()\n", "# %%\noutput = clear(1)\n"),
    ("forbidden-call", "# %%\nstart = time.time()\n", "# %%\nmodel.eval()\n"),
    ("forbidden-call", "# %%\nstart = time.perf_counter()\n", "# %%\nx = time_of(3)\n"),
    ("forbidden-call", "# %%\nw = go.FigureWidget()\n", "# %%\nw = go.Figure()\n"),
    ("forbidden-call", "# %%\nexec(answer)\n", "# %%\nresult = run_tests(answer)\n"),
    ("forbidden-call", "# %%\ntorch.manual_seed(0)\n", "# %%\ng = torch.Generator().manual_seed(0)\n"),
    ("global-random", "# %%\nx = np.random.rand(3)\n", "# %%\nx = np.random.default_rng(0).random(3)\n"),
    ("global-random", "# %%\nx = random.choice(y)\n", "# %%\nx = random.Random(0).choice(y)\n"),
    ("matplotlib", "# %%\nimport matplotlib.pyplot as plt\n", "# %%\nimport plotly.graph_objects as go\n"),
    ("figure-past-show", "# %%\nfig.show()\n", '# %%\nshow(fig, alt="A rising line of dots.", table=t)\n'),
    ("figure-past-show", "# %%\nfig = go.Figure()\nfig\n", "# %%\nfig = go.Figure()\nx = 1\n"),
    ("show-alt", "# %%\nshow(fig, table=t)\n", '# %%\nshow(fig, alt="A rising line of dots.", table=t)\n'),
    ("show-alt", '# %%\nshow(fig, alt="A line.", table=t)\n', "# %%\nshow(fig, alt=words, table=t)\n"),
    ("show-table", "# %%\nshow(fig, alt=words)\n", "# %%\nshow(fig, words, records)\n"),
    (
        "expectation",
        "# %% [markdown]\n# Expect code to gain less from SFT\n# than from base.\n",
        "# %% [markdown]\n# Expect one figure. Code gains as the table says.\n",
    ),
    (
        "points",
        '# %%\ntell(rows, "{rlvr.gain.mean:ci pct}")\n',
        '# %%\ntell(rows, "{rlvr.gain.mean:ci pts}")\n',
    ),
    ("points", '# %%\ntell(rows, "{a.minus_b:pct}")\n', '# %%\ntell(rows, "{a.gain_share:pct}")\n'),
    ("rows-saved", '# %%\nrows = open_rows("a")\n', '# %%\nrows = open_rows("a")\nrows.save()\n'),
    ("syntax", "# %%\nx = = 1\n", "# %%\nx = 1\n"),
]


@pytest.mark.parametrize(("rule", "bad", "good"), SOURCES, ids=[f"{i}-{s[0]}" for i, s in enumerate(SOURCES)])
def test_source_rules_tell_the_twins_apart(lint_text, rule, bad, good):
    """Catches a rule that never fires, and one that fires on what is allowed."""
    assert rule in lint_text(bad)
    assert lint_text(good) == []


@pytest.mark.parametrize(
    "parameters",
    [
        "# %%\nx = 1\n",
        '# %% tags=["parameters"]\nprofile = "laptop"\nsize = 2 * 4\n',
        '# %% tags=["parameters"]\nprofile = "laptop"\n\n# %% tags=["parameters"]\nsize = 4\n',
        '# %% tags=["parameters"]\nsize = 4\n',
        '# %% tags=["parameters"]\nprofile = "laptop"\nprint(profile)\n',
    ],
)
def test_parameter_cells_must_be_one_and_literal(lint_text, parameters):
    """Catches derived parameters: papermill would inject a new value and keep the old derived one."""
    assert "parameters" in lint_text("", parameters=parameters)


@pytest.mark.parametrize(
    "title", ["# %% [markdown]\n# ## Only a part\n", "# %%\nx = 1\n", "# %% [markdown]\n# words\n"]
)
def test_a_notebook_opens_with_its_title(lint_text, title):
    """Catches a notebook without a heading of level 1: screen readers navigate by it."""
    assert "heading" in lint_text("", title=title)


def notebook(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(cells=list(cells))


def code(source: str, *outputs: nbformat.NotebookNode, count: int | None = 1) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=count)


def html(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", data={"text/html": text, "text/plain": "words"})


def plain(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", text=text)


def shown(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", data={"text/plain": text})


def of_kind(kind: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("display_data", data={kind: "xyz", "text/plain": "words"})


ERROR = nbformat.v4.new_output("error", ename="ValueError", evalue="bad", traceback=[])
PICTURE = "<img alt='{}' src='data:image/svg+xml;base64,AAAA/tmp/xy'>"
BUILT = [
    ("not-run", code("1", plain("1"), count=None), code("1", plain("1"))),
    ("no-output", code("tell(rows, 'x')"), code("x = tell")),
    ("no-output", code("x = 1\nshow(fig, alt=a, table=t)"), code("def f():\n    print(1)")),
    ("error-output", code("f()", ERROR), code("f()", plain("fine"))),
    ("machine-path", code("f()", plain("saved /home/ann/x.csv")), code("f()", plain("saved results/x.csv"))),
    ("machine-path", code("f()", plain("<Model at 0x7f2a11>")), code("f()", html(PICTURE.format("A line")))),
    ("picture-alt", code("f()", html(PICTURE.format(" "))), code("f()", html(PICTURE.format("A line")))),
    ("picture-alt", code("f()", html("<img src='x'>")), code("f()", html("<p>no picture</p>"))),
    ("picture-alt", code("f()", of_kind("image/png")), code("f()", of_kind("text/markdown"))),
    ("picture-alt", code("f()", of_kind("image/svg+xml")), code("f()", of_kind("text/latex"))),
    ("table-caption", code("f()", html("<table></table>")), code("f()", html("<table><caption>"))),
    (
        "not-as-said",
        code("f()", shown("*Checked:* More. It does **not** hold.")),
        code("f()", shown("*Checked:* More. It holds.")),
    ),
    ("widget-view", code("f()", of_kind(WIDGET_VIEW)), code("f()", of_kind("text/html"))),
]


@pytest.mark.parametrize(("rule", "bad", "good"), BUILT, ids=[f"{i}-{b[0]}" for i, b in enumerate(BUILT)])
def test_built_rules_tell_the_twins_apart(tmp_path, rule, bad, good):
    """Catches stale, failed, mute or machine-bound outputs in what is committed."""
    path = tmp_path / "01_test.ipynb"
    nbformat.write(notebook(bad), path)
    assert [finding.rule for finding in lint_built(path)] == [rule]
    nbformat.write(notebook(good), path)
    assert lint_built(path) == []


def test_demonstrated_errors_are_allowed_by_their_tag(tmp_path):
    """Catches a lint that forbids showing an error on purpose."""
    cell = code("f()", ERROR)
    cell.metadata["tags"] = ["raises-exception"]
    path = tmp_path / "01_test.ipynb"
    nbformat.write(notebook(cell), path)
    assert lint_built(path) == []


@pytest.mark.parametrize("alt", ["", "Two bars of equal height"])
def test_alt_rule_agrees_with_nbconvert(tmp_path, caplog, alt):
    """Catches our own rule drifting from the check that nbconvert makes when it exports."""
    from nbconvert import HTMLExporter

    image = f"<img alt='{alt}' src='x.png'>" if alt else "<img src='x.png'>"
    path = tmp_path / "01_test.ipynb"
    nbformat.write(notebook(code("f()", html(image))), path)
    with caplog.at_level(logging.WARNING):
        HTMLExporter().from_filename(str(path))
    complaint = "Alternative text is missing" in caplog.text
    assert complaint == any(finding.rule == "picture-alt" for finding in lint_built(path))
    assert complaint == (not alt)


def test_size_budgets(tmp_path):
    """Catches a notebook that GitHub refuses to draw: one, and all together."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for number in range(6):
        nbformat.write(notebook(code("f()", plain("x" * 990_000))), folder / f"{number:02}_a.ipynb")
    assert {finding.rule for finding in lint_all(tmp_path)} == {"size-total"}
    nbformat.write(notebook(code("f()", plain("x" * 1_010_000))), folder / "00_a.ipynb")
    assert {finding.rule for finding in lint_all(tmp_path)} == {"size-total", "size"}


def test_widget_state_is_found(tmp_path):
    """Catches megabytes of widget state in the metadata."""
    made = notebook(code("x = 1"))
    made.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    path = tmp_path / "01_test.ipynb"
    nbformat.write(made, path)
    assert [finding.rule for finding in lint_built(path)] == ["widget-state"]


def test_links_of_documents(tmp_path):
    """Catches a moved file or a renamed heading that a document still points to."""
    (tmp_path / "there.md").write_text("x")
    path = tmp_path / "README.md"
    good = "# Set up\n[a](there.md) [b](#set-up) [c](https://x.y/z) ![d](there.md#part) `[e](none.md)`\n"
    path.write_text(good)
    assert lint_links(path) == []
    path.write_text(good + "[f](none.md)\n[g](#set-down)\n[h]: gone.png\n")
    messages = [finding.message for finding in lint_links(path)]
    assert len(messages) == 3 and all(
        any(name in m for m in messages) for name in ("none.md", "set-down", "gone.png")
    )


PACKAGE = [
    ("file-length", "x = 1\n" * 351, "x = 1\n" * 350),
    ("function-length", "def f():\n" + "    x = 1\n" * 40, "def f():\n" + "    x = 1\n" * 39),
    ("kwargs", "def f(a, **kwargs):\n    return a\n", "def f(a, *args):\n    return dict(**a)\n"),
    ("kwargs", "def f(**b):\n    return a\n", "def f(*a, **b):\n    return g(*a, **b)\n"),
    (
        "function-length",
        "def f():\n" + "    x = 1\n" * 40 + "    def g():\n        x = 1\n",
        "def f():\n    x = 1\n    def g():\n" + "        x = 1\n" * 39,
    ),
]


@pytest.mark.parametrize(("rule", "bad", "good"), PACKAGE)
def test_package_rules_tell_the_twins_apart(tmp_path, rule, bad, good):
    """Catches library code that breaks the house style where ruff does not look."""
    path = tmp_path / "module.py"
    path.write_text(bad)
    assert [finding.rule for finding in lint_package(tmp_path)] == [rule]
    path.write_text(good)
    assert lint_package(tmp_path) == []


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        ("T201", "print(1)\n", "printed(1)\n"),
        ("E722", "try:\n    x()\nexcept:\n    y()\n", "try:\n    x()\nexcept OSError:\n    y()\n"),
        ("S110", "try:\n    x()\nexcept OSError:\n    pass\n", "try:\n    x()\nexcept OSError:\n    y()\n"),
    ],
)
def test_ruff_is_told_the_rules_that_it_knows(rule, bad, good):
    """Catches a house rule lost from pyproject: print, a bare except, an error swallowed in library code."""

    def broken(text: str) -> bool:
        command = [sys.executable, "-m", "ruff", "check", "--output-format", "json"]
        command += ["--stdin-filename", "k2repro/specimen.py", "-"]
        result = subprocess.run(command, input=text, capture_output=True, text=True, cwd=Places.find().root)
        return f'"code": "{rule}"' in result.stdout

    assert broken(bad) and not broken(good)


def test_docstrings_do_not_count_as_function_lines(tmp_path):
    """Catches a rule that punishes explaining."""
    path = tmp_path / "module.py"
    path.write_text('def f():\n    """One.\n' + "    more\n" * 30 + '    """\n' + "    x = 1\n" * 39)
    assert lint_package(path) == []


def test_shapeless_file_names_are_found(tmp_path):
    """Catches utils.py, the drawer for everything."""
    (tmp_path / "utils.py").write_text("x = 1\n")
    (tmp_path / "claims.py").write_text("x = 1\n")
    assert [(Path(f.path).name, f.rule) for f in lint_package(tmp_path)] == [("utils.py", "file-name")]


def test_findings_are_rendered_in_order():
    """Catches output that differs from run to run."""
    findings = [Finding("b.py", "line 2", "print", "m"), Finding("a.py", "cell 1", "link", "n")]
    text = render_findings(findings)
    assert text.splitlines() == [
        "a.py: cell 1: [link] n",
        "b.py: line 2: [print] m",
        "2 findings: link 1, print 1",
    ]
    assert render_findings([]) == "no findings"


def test_this_checkout_keeps_its_own_rules():
    """Catches a rule broken anywhere in the notebooks, documents or library."""
    assert render_findings(lint_all(Places.find().root)) == "no findings"
