"""Passes side by side: the gradient is one sum in one order, whoever computes its parts."""

import threading

import pytest
import rlvr_tiny as tiny
import torch

from k2repro.rlvr import micro_batches, passes
from k2repro.rlvr.passes import add_gradients
from k2repro.rlvr.step import train_step


@pytest.fixture
def threads():
    """Set the number of threads, and put it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def trained(count: int, set_threads) -> dict[str, torch.Tensor]:
    """Weights after one step on several micro-batches with `count` threads."""
    set_threads(count)
    model = tiny.model()
    batches = micro_batches(tiny.rollouts(), max_tokens=8, share_prefixes=True)
    assert len(batches) > 2
    train_step(model, batches, torch.optim.SGD(model.parameters(), lr=0.1), tiny.config())
    return dict(model.state_dict())


def test_the_number_of_threads_does_not_show(threads):
    """Catches gradients added as they come in: two runs of one seed would part, sometimes."""
    one, three = trained(1, threads), trained(3, threads)
    assert all(torch.equal(one[name], three[name]) for name in one)


def test_each_pass_has_a_thread_of_its_own(threads):
    """Catches passes that run one after the other, or that all take all threads; the setting comes back."""
    threads(2)
    model, met, seen = tiny.model(), threading.Barrier(2, timeout=30), []

    def loss_of(part: int):
        met.wait()  # breaks unless two passes are under way at the same time
        seen.append(torch.get_num_threads())
        return sum(p.sum() for p in model.parameters()) * part, part

    assert add_gradients(model, [1, 2, 3, 4], loss_of) == [1, 2, 3, 4]
    assert seen == [1, 1, 1, 1]
    assert torch.get_num_threads() == 2
    threads(4)
    model.zero_grad()
    add_gradients(model, [4, 6], loss_of)
    assert seen[4:] == [2, 2]
    assert all(torch.equal(p.grad, torch.full_like(p, 10.0)) for p in model.parameters())


def test_what_a_pass_raises_is_raised(threads):
    """Catches an error that dies with its thread, after which the step goes on without that part."""
    threads(2)
    model = tiny.model()

    def loss_of(part: int):
        if part == 2:
            raise FloatingPointError("part 2")
        return sum(p.sum() for p in model.parameters()), part

    with pytest.raises(FloatingPointError, match="part 2"):
        add_gradients(model, [1, 2, 3], loss_of)
    assert torch.get_num_threads() == 2


def test_one_part_and_other_devices_keep_all_threads(threads, monkeypatch):
    """Catches a lone pass on one thread, and threads that fight over what is no processor's work."""
    threads(2)
    model, seen = tiny.model(), []

    def loss_of(part: int):
        seen.append((torch.get_num_threads(), threading.current_thread() is threading.main_thread()))
        return sum(p.sum() for p in model.parameters()), part

    add_gradients(model, [1], loss_of)
    monkeypatch.setattr(passes, "fits_fused", lambda model: False)
    add_gradients(model, [1, 2], loss_of)
    assert seen == [(2, True)] * 3
