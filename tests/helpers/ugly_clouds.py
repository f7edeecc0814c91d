"""Clouds on which searches go wrong, and what is true of the neighbours found in them."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from helpers.kernel_choice import forced

few_examples = settings(deadline=None, max_examples=25)
BOTH_DTYPES = [torch.float32, torch.float64]
both_dtypes = pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str
)
lower_dtypes = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
BOUNDARIES = [
    size if size in (1, 16, 65, 129) else pytest.param(size, marks=pytest.mark.slow)
    for size in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200)
]
"""Sizes beside those of blocks (16 points) and of groups of queries (32 or 64)."""
# Few distinct values: duplicates and equally near points abound, and squares are exact.
lattice_clouds = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 80), st.just(3)), elements=st.integers(-2, 2)
)


def by_reference(function: Callable, *arguments, **options):
    with forced("reference"):
        return function(*arguments, **options)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def randint(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def squared_distances(query: Tensor, reference: Tensor) -> Tensor:
    """(N, M), from the differences, in float64."""
    return (query.double().unsqueeze(1) - reference.double()).square().sum(dim=2)


def assert_nearest(query: Tensor, reference: Tensor, found: Tensor) -> None:
    """Each choice is the nearest but for the rounding of a distance, the lowest index of equals."""
    slack = 1 + 16 * torch.finfo(query.dtype).eps
    for b in range(len(query)):
        squared = squared_distances(query[b], reference[b])
        chosen = squared.gather(1, found[b].unsqueeze(1))
        assert (chosen <= slack * squared.amin(dim=1, keepdim=True)).all()
        same = (reference[b].unsqueeze(0) == reference[b][found[b]].unsqueeze(1)).all(dim=2)
        assert torch.equal(same.int().argmax(dim=1), found[b])


def assert_k_nearest(points: Tensor, k: int, found: Tensor) -> None:
    """The k least distances but for rounding, ascending, the point itself first, none twice."""
    batch, count, dimensions = points.shape
    assert found.shape == (batch, count, k)
    assert found.dtype == torch.int64
    slack = 1 + 4 * (dimensions + 2) * torch.finfo(points.dtype).eps
    for b in range(batch):
        assert found[b].min() >= 0
        assert found[b].max() < count
        assert torch.equal(found[b, :, 0], torch.arange(count))
        ordered = found[b].sort(dim=1).values
        assert (ordered.diff(dim=1) > 0).all()
        squared = squared_distances(points[b], points[b])
        chosen = squared.gather(1, found[b])
        assert (chosen <= slack * squared.sort(dim=1).values[:, :k]).all()
        assert (chosen[:, :-1] <= slack * chosen[:, 1:]).all()


def ugly_pairs(dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
    """Query and reference clouds, of sizes that no block divides."""
    x, y = randn(2, 75, 3, dtype=dtype), randn(2, 101, 3, seed=1, dtype=dtype)
    grid = (1000 + (x * 2**13).round() / 2**13, 1000 + (y * 2**13).round() / 2**13)
    point = torch.tensor([0.5, -0.25, 0.5], dtype=dtype)
    return {
        "random": (x, y),
        "duplicates": (torch.cat([x, x[:, :40]], 1), torch.cat([y[:, :50], y, x], 1)),
        "equal clouds": (x, x.clone()),
        "one point": (x[:, :1], y),
        "one point each": (x[:, :1], y[:, :1]),
        "one reference point": (x, y[:, :1]),
        "collapsed": (point.expand(2, 75, 3), y),
        "collapsed reference": (x, point.expand(2, 101, 3)),
        "collapsed onto each other": (point.expand(2, 75, 3), point.expand(2, 101, 3)),
        "collapsed, far away": (x, 50 + 1e-3 * y),
        "collapsed, in the middle": (x, 1e-3 * y),
        "on a line": (x * torch.eye(3, dtype=dtype)[0], y * torch.eye(3, dtype=dtype)[0]),
        "huge": (x * 1e15, y * 1e15),
        "tiny": (x * 1e-15, y * 1e-15),
        "huge beside tiny": (x * 1e15, y * 1e-15),
        "far from the origin": grid,
        "tiny, far from the origin": (1000 + 1e-3 * x, 1000 + 1e-3 * y),
        "one outlier": (x, torch.cat([y, torch.full((2, 1, 3), 1e6, dtype=dtype)], 1)),
    }


UGLY_PAIRS = list(ugly_pairs(torch.float32))


def views(tensor: Tensor) -> Iterator[Tensor]:
    """The same values, laid out otherwise."""
    yield tensor.transpose(0, -1).contiguous().transpose(0, -1)
    yield tensor.transpose(1, 2).contiguous().transpose(1, 2)
    yield torch.stack([tensor, -tensor], dim=-1)[..., 0]
    yield torch.cat([tensor, tensor], dim=1)[:, : tensor.shape[1]]
    yield tensor.flip(1).contiguous().flip(1)
    yield tensor.clone().requires_grad_()


def ugly_clouds(dtype: torch.dtype) -> dict[str, Tensor]:
    clouds = {name: reference for name, (_, reference) in ugly_pairs(dtype).items()}
    x = randn(2, 100, 3, dtype=dtype)
    clouds["every point three times"] = x.repeat(1, 3, 1)
    clouds["two distant clusters"] = torch.cat([1e-3 * x, 100 + 1e-3 * x.flip(1)], 1)
    return clouds
