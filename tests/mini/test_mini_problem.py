"""Seeds of items: every part counts, neighbouring seeds share nothing, no global state."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.mini import programs, variables
from k2repro.mini.problem import item_random, item_seed

NAMES = st.text(alphabet="abcxyz-0123456789", min_size=1, max_size=8)


def seed_plus_index(family: str, split: str, tier: str, seed: int, index: int) -> int:
    """Wrong twin: what most generators do."""
    return item_seed(family, split, tier) + seed + index


def shared(make, seeds: tuple[int, int]) -> int:
    """How many of 100 item seeds two runs have in common."""
    first, second = ({make("variables", "train", "tier-1", seed, at) for at in range(100)} for seed in seeds)
    return len(first & second)


def test_neighbouring_seeds_share_no_item_and_seed_plus_index_shares_nearly_all() -> None:
    """Catches `seed + index`: with it, three seeds of a run are one run, shifted by one."""
    assert shared(item_seed, (0, 1)) == 0
    assert shared(seed_plus_index, (0, 1)) == 99


def test_the_seed_is_the_sha_256_of_all_parts() -> None:
    """Catches Python's own hash, which changes from process to process."""
    text = "variables/train/tier-1/0/7"
    expected = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16)
    assert item_seed("variables", "train", "tier-1", 0, 7) == expected


@settings(derandomize=True)
@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, min_size=1, max_size=4))
def test_different_parts_give_different_seeds(one: list[str], other: list[str]) -> None:
    """Catches parts that run together: ("a", "bc") and ("ab", "c") are two items."""
    assert (item_seed(*one) == item_seed(*other)) is (one == other)


def test_a_part_with_the_separator_is_refused() -> None:
    """Catches two spellings of one seed: "a/b" would equal the parts "a" and "b"."""
    with pytest.raises(K2ReproError, match="seed part 'a/b': must not contain '/'"):
        item_seed("a/b")


def test_global_state_is_neither_read_nor_changed() -> None:
    """Catches hidden randomness: seeding the global generator changes no item, and making items nothing."""
    random.seed(1)
    before = random.getstate()
    items = variables.problems("tier-2", "test", 3), programs.problems("code", "test", 3)
    assert random.getstate() == before
    random.seed(2)
    assert (variables.problems("tier-2", "test", 3), programs.problems("code", "test", 3)) == items
    assert item_random("a", 1).random() == item_random("a", 1).random()


@pytest.mark.parametrize(("make", "tier"), [(variables.problems, "tier-3"), (programs.problems, "code")])
def test_an_item_depends_on_its_place_alone(make, tier: str) -> None:
    """Catches items that depend on the count or on those before: items 5 to 7 are the same asked alone."""
    together = make(tier, "validation", 8, seed=4)
    alone = make(tier, "validation", 3, seed=4, start=5)
    assert together[5:] == alone
    assert [problem.facts for problem in together[5:]] == [problem.facts for problem in alone]
    assert len({problem.id for problem in together}) == 8
