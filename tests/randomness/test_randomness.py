"""Draws depend on their key and on nothing else."""

import numpy as np
import pytest
import torch

from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator, seed_from_key


def draw_everything(rows):
    draws = Draws(keyed_generator("step", 0, 1, 2), batch_size=6, rows=rows)
    return [draws.normal(4), draws.uniform(low=-2, high=3), draws.batch_uniform(), draws.normal()]


@pytest.mark.parametrize(
    "parts",
    [
        (slice(0, 3), slice(3, 6)),
        ([0, 1, 2], [3, 4, 5]),
        ((0, 1, 2), (3, 4, 5)),
        (range(0, 2), range(2, 6)),
    ],
    ids=["slices", "lists", "tuples", "ranges"],
)
def test_the_rows_of_two_processes_are_between_them_the_whole_batch(parts):
    whole = draw_everything(None)
    first, second = (draw_everything(rows) for rows in parts)
    for drawn, one, other in zip(whole, first, second, strict=True):
        if isinstance(drawn, float):
            assert drawn == one == other
        else:
            assert torch.equal(drawn, torch.cat([one, other]))


def test_draws_have_the_distribution_they_name():
    draws = Draws(keyed_generator("moments"), batch_size=20_000)
    normal, uniform = draws.normal(2), draws.uniform(2, low=-1, high=3)
    assert normal.shape == uniform.shape == (20_000, 2)
    assert normal.mean().abs() < 0.02
    assert abs(normal.std() - 1) < 0.02
    assert uniform.min() >= -1
    assert uniform.max() < 3
    assert abs(uniform.mean() - 1) < 0.03


def test_items_of_a_batch_are_drawn_independently():
    rows = Draws(keyed_generator("items"), batch_size=5).normal(8)
    assert len({tuple(row.tolist()) for row in rows}) == 5


def test_a_batch_uniform_stays_within_its_bounds():
    draws = Draws(keyed_generator("bounds"), batch_size=1)
    values = [draws.batch_uniform(0.25, 0.5) for _ in range(200)]
    assert 0.25 <= min(values) < 0.27
    assert 0.48 < max(values) < 0.5


@pytest.mark.parametrize("other", [("a", 0, 2), ("a", 1, 1), ("b", 0, 1), ("a", 0), ("a", "0", 1)])
def test_streams_of_different_keys_differ(other):
    key = ("a", 0, 1)
    streams = [torch.randn(4, generator=keyed_generator(*k)) for k in (key, other)]
    assert not torch.equal(*streams)
    streams = [keyed_numpy_generator(*k).standard_normal(4) for k in (key, other)]
    assert not np.array_equal(*streams)


def test_the_stream_of_a_key_repeats():
    first, second = (torch.randn(4, generator=keyed_generator("a", 3)) for _ in range(2))
    assert torch.equal(first, second)
    first, second = (keyed_numpy_generator("a", 3).standard_normal(4) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_numpy_integer_is_the_key_of_the_int_it_equals():
    assert seed_from_key("a", np.int64(3), np.int32(4)) == seed_from_key("a", 3, 4)


def test_the_seed_of_a_key_never_changes():
    # Pinned: another value would silently change every run made with the same seed.
    assert seed_from_key("step", 0, 1, 2) == 4559191101755230199
