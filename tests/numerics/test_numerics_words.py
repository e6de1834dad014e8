"""Each numerics word stands for bits: code that moves a bit must raise it, code that keeps them is free.

An artifact's key names the words of the code that decides its bits, not that code. So nothing but these tests
stands between a changed last bit and weights that no longer follow from the sources beside them.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import words

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("probe", words.OWNERS)
def test_a_word_stands_for_the_bits_it_was_recorded_with(probe):
    """Catches code that gives other bits under the same word: artifacts would stay fresh and be wrong."""
    entry, word = words.recorded()[probe], words.declared(probe)
    room, constant = words.OWNERS[probe]
    assert entry["word"] == word, (
        f"{room}.{constant} is {word!r}, recorded was {entry['word']!r}: run tests/numerics/record.py and "
        "rebuild what was made under the old word"
    )
    known = entry["machines"].get(words.machine(probe))
    if known is None:
        pytest.skip(
            f"{word}: no digests for {words.machine(probe)!r}, only for {sorted(entry['machines'])}; nothing "
            "was compared here. tests/numerics/record.py adds this kind of machine"
        )
    moved = words.moved(probe, words.run(probe)[probe], known)
    assert not moved, f"bits moved under {word!r} in {moved}: raise {room}.{constant}, or keep the bits"


PLANTS = (
    ("rsqrt", "training"),
    ("momentum", "training"),
    ("ties", "engine"),
    ("log-softmax", "engine"),
    ("deviation", "rlvr"),
    ("spelling", "texts"),
    ("grader", "grader"),
    ("seeds", "pools"),
)


@pytest.mark.parametrize(("plant", "probe"), PLANTS)
def test_a_planted_change_moves_its_word(plant, probe):
    """Catches a probe that runs past what it should watch: each plant moves one bit, letter or rule."""
    known = words.recorded()[probe]["machines"].get(words.machine(probe)) or words.run(probe)[probe]
    assert words.moved(probe, words.run(probe, plant=plant)[probe], known)


def _copy(folder: Path) -> Path:
    shutil.copytree(ROOT / "k2repro", folder / "k2repro", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds {old!r}: choose another place for the plant"
    path.write_text(text.replace(old, new))


@pytest.mark.slow
def test_renames_formats_and_presets_keep_every_word(tmp_path):
    """Catches a probe that looks at the text of the code: a clean-up would then cost a retraining."""
    tree = _copy(tmp_path)
    presets = tree / "k2repro" / "architecture" / "presets"
    shutil.copy(next(presets.glob("*.json")), presets / "one-more.json")
    for path in [*(tree / "k2repro" / "fast").rglob("*.py"), *(tree / "k2repro" / "mini").rglob("*.py")]:
        path.write_text(path.read_text().replace("found", "gathered"))
    subprocess.run(
        [sys.executable, "-m", "ruff", "format", "-q", "--isolated", "--line-length", "70", str(tree)],
        check=True,
    )
    now = words.run(*words.OWNERS, tree=tree)
    for probe in words.OWNERS:
        known = words.recorded()[probe]["machines"].get(words.machine(probe)) or words.run(probe)[probe]
        assert not words.moved(probe, now[probe], known)


@pytest.mark.slow
def test_another_order_of_a_sum_in_a_tile_moves_the_words(tmp_path):
    """Catches digests that are blind inside compiled kernels, where line coverage sees nothing."""
    tree = _copy(tmp_path)
    _replace(
        tree / "k2repro" / "fast" / "kernels" / "tiles.py",
        "ir.Constant(begin.type, 1)) as (m, _):\n",
        "ir.Constant(begin.type, 1)) as (m, _):\n"
        "            m = builder.sub(builder.add(begin, builder.sub(end, ir.Constant(m.type, 1))), m)\n",
    )
    now = words.run("training", "engine", tree=tree)
    for probe in ("training", "engine"):
        known = words.recorded()[probe]["machines"].get(words.machine(probe)) or words.run(probe)[probe]
        assert words.moved(probe, now[probe], known)
