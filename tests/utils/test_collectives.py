"""Sums and gathers over processes, differentiated twice; the other process is a stand-in."""

import pytest
import torch

from pc_crvae.utils import collectives


@pytest.fixture
def two_equal_processes(monkeypatch):
    """The second process holds what the first holds, so that every sum is twice its own."""
    group = collectives.dist
    monkeypatch.setattr(group, "is_initialized", lambda: True)
    monkeypatch.setattr(group, "get_world_size", lambda: 2)
    monkeypatch.setattr(group, "get_rank", lambda: 1)
    # Where rows are gathered, the other's lie where zeros are here, and the reverse.
    monkeypatch.setattr(group, "all_reduce", lambda tensor: tensor.add_(tensor.flip(0)))


def test_a_sum_has_second_derivatives(two_equal_processes):
    x = torch.tensor([3.0], requires_grad=True)
    total = collectives.sum_over_processes(x)  # s = x_1 + x_2
    # The gradient of both processes' s^2 is 2 (2 s) in x.
    (first,) = torch.autograd.grad(total.square().sum(), x, create_graph=True)
    assert first.item() == 4 * 6
    # That of both processes' 4 s is 2 * 4.
    (second,) = torch.autograd.grad(first, x)
    assert second.item() == 8


def test_gathered_rows_have_second_derivatives(two_equal_processes):
    x = torch.tensor([[3.0]], requires_grad=True)
    rows, first_row = collectives.gather_rows(x)
    assert (rows.tolist(), first_row) == ([[3.0], [3.0]], 1)
    (first,) = torch.autograd.grad(rows.pow(3).sum(), x, create_graph=True)
    assert first.item() == 2 * 27  # of both processes' loss
    # Each process' first is 6 r^2, r its own row: that of their sum is 12 r.
    (second,) = torch.autograd.grad(first, x)
    assert second.item() == 12 * 3
