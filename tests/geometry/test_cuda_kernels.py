"""The Triton kernels: on a GPU as compiled, everywhere else in Triton's interpreter.

The interpreter must be asked for before Triton is imported and holds for the whole process, so
one test runs the others in a process of its own. Another compiles every kernel for CUDA, which
takes no GPU: the interpreter accepts programs that the compiler refuses.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.textbook import neighbors as reference
from helpers.kernel_choice import forced
from pc_crvae.geometry import (
    farthest_point_sampling,
    gather_points,
    k_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.geometry import kernels as dispatch
from pc_crvae.geometry.neighborhoods import extreme_signs

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

needs_card = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason="needs a CUDA GPU; without one it runs in Triton's interpreter, in its own process",
)


def runs_kernels(test):
    return pytest.mark.cuda(needs_card(test))


without_interpreter = pytest.mark.skipif(
    INTERPRETED, reason="runs in the process that starts the interpreter's"
)
both_dtypes = pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str
)


@pytest.fixture(autouse=True)
def plain_pytorch_serves_what_kernels_are_compared_with():
    with forced("reference"):
        yield


def kernels():
    from pc_crvae.geometry.kernels import cuda

    return cuda


def randn(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).to(DEVICE)


def randint(high, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(high, shape, generator=generator).to(DEVICE)


def lattice(*shape, dtype=torch.float32):
    """Clouds full of duplicates and of equal distances."""
    return (randint(3, (*shape, 3)) - 1).to(dtype)


@without_interpreter
@pytest.mark.parametrize("chosen", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_everything_below_passes_in_tritons_interpreter(chosen):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    finished = subprocess.run(
        [*command, "-m", chosen, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout
    assert "needs a CUDA GPU" not in finished.stdout


@without_interpreter
@pytest.mark.parametrize(
    ("floating", "capability"),
    [
        ("fp32", 90),
        pytest.param("fp32", 80, marks=pytest.mark.slow),
        pytest.param("fp64", 80, marks=pytest.mark.slow),
        pytest.param("fp64", 90, marks=pytest.mark.slow),
    ],
)
def test_every_kernel_compiles_for_cuda_without_a_gpu(floating, capability, tmp_path, monkeypatch):
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    cuda = kernels()
    points, indices = "*" + floating, "*i64"
    size = 4 if floating == "fp32" else 8
    farthest = torch.finfo(torch.float32 if floating == "fp32" else torch.float64).max

    def compiled(kernel, pointers, sizes, constants, **options):
        signature = {**pointers, **dict.fromkeys(sizes, "i32")}
        signature.update(dict.fromkeys(constants, "constexpr"))
        ordered = {name: signature[name] for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=ordered, constexprs=constants)
        target = GPUTarget("cuda", capability, 32)
        return triton.compile(source, target=target, options=options).asm

    search = {"enable_fp_fusion": False}
    rows = cuda.search._NEAREST_ROW_BYTES // size
    clouds = {"query": points, "reference": points, "indices": indices}
    tile = {"rows": rows, "columns": cuda.search._COLUMNS}
    nearest = compiled(
        cuda.search._nearest_kernel, clouds, ["n_query", "n_reference"], tile, **search
    )
    assert "cubin" in nearest
    assert "fma" not in nearest["ptx"]
    # A size of 1 is a constant to the compiler.
    assert compiled(
        cuda.search._nearest_kernel, clouds, [], {"n_query": 1, "n_reference": 1, **tile}, **search
    )

    cloud = {"points": points, "indices": indices}
    tile = {"rows": cuda.search._K_NEAREST_ROW_BYTES // size, "columns": cuda.search._COLUMNS}
    tile["farthest"] = farthest
    for sizes in ({}, {"k": 1}, {"k": 1, "count": 1}):
        unknown = [name for name in ("count", "k") if name not in sizes]
        asm = compiled(
            cuda.search._k_nearest_kernel, cloud, unknown, {**sizes, **tile}, num_warps=1, **search
        )
        assert "fma" not in asm["ptx"]

    sizes = ["n_rows", "n_points", "n_features", "k", "channels"]
    ones = dict.fromkeys(sizes, 1)
    _, rows, columns = cuda.pooling._pool_grid(100, 64)
    tile = {"rows": rows, "columns": columns}
    pooled = {"features": points, "indices": indices, "signs": points}
    pooled |= {"extreme": points, "argument": "*i32"}
    assert compiled(cuda.pooling._pool_kernel, pooled, sizes, {**tile, "total": None})
    pooled["total"] = points
    assert compiled(cuda.pooling._pool_kernel, pooled, sizes, tile)
    assert compiled(cuda.pooling._pool_kernel, pooled, [], {**ones, "rows": 1024, "columns": 1})

    gradients = {"extreme_gradient": points, "argument": "*i32", "indices": indices}
    gradients["gradient"] = points
    with_sum = {**gradients, "sum_gradient": points}
    assert compiled(cuda.pooling._unpool_kernel, with_sum, sizes, tile)
    assert compiled(cuda.pooling._unpool_kernel, gradients, sizes, {**tile, "sum_gradient": None})
    assert compiled(cuda.pooling._unpool_kernel, with_sum, [], {**ones, "rows": 1024, "columns": 1})

    cloud = {"points": points, "start": indices, "squared_distances": points, "chosen": indices}
    for sizes, columns in (({}, cuda.sampling._FARTHEST_COLUMNS), ({"n_points": 1, "count": 1}, 1)):
        unknown = [name for name in ("n_points", "count") if name not in sizes]
        constants = {**sizes, "columns": columns}
        asm = compiled(
            cuda.sampling._farthest_kernel, cloud, unknown, constants, num_warps=8, **search
        )
        assert "fma" not in asm["ptx"]


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(
    ("n_query", "n_reference"), [(1, 1), (1, 300), (40, 1), (37, 128), (45, 259)]
)
def test_the_nearest_equals_the_loop(n_query, n_reference, dtype):
    query, others = randn(2, n_query, 3, dtype=dtype), randn(2, n_reference, 3, dtype=dtype, seed=1)
    found = kernels().nearest(query, others)
    assert found.dtype == torch.int64
    for b in range(2):
        expected = reference.nearest_neighbors(query[b].cpu().numpy(), others[b].cpu().numpy())
        np.testing.assert_array_equal(found[b].cpu(), expected)


@runs_kernels
@both_dtypes
def test_the_nearest_among_equals_is_the_lowest_index(dtype):
    query, others = lattice(1, 33, dtype=dtype), lattice(1, 300, dtype=dtype)
    expected = reference.nearest_neighbors(query[0].cpu().numpy(), others[0].cpu().numpy())
    np.testing.assert_array_equal(kernels().nearest(query, others)[0].cpu(), expected)
    collapsed = torch.ones(1, 300, 3, dtype=dtype, device=DEVICE)
    assert kernels().nearest(query, collapsed).eq(0).all()


@runs_kernels
@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1e6, 1e18])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_nearest_survives_scale_and_distance_from_the_origin(scale, offset):
    query, others = randn(1, 20, 3) + offset, randn(1, 150, 3, seed=1) + offset
    expected = nearest_neighbors(query.double(), others.double())
    assert (
        kernels()
        .nearest(query * scale, others * scale)
        .equal(nearest_neighbors((query * scale).double(), (others * scale).double()))
    )
    assert kernels().nearest(query, others).equal(expected)


@runs_kernels
@both_dtypes
def test_a_nan_distance_is_never_the_nearest(dtype):
    query, others = randn(1, 20, 3, dtype=dtype), randn(1, 200, 3, dtype=dtype, seed=1)
    query[0, 3, 1] = torch.nan
    others[0, ::2, 0] = torch.nan
    found = kernels().nearest(query, others)[0].cpu()
    odd = nearest_neighbors(query, others[:, 1::2])[0].cpu() * 2 + 1
    odd[3] = 0
    np.testing.assert_array_equal(found, odd)
    assert kernels().nearest(query, torch.full_like(others, torch.nan)).eq(0).all()


@runs_kernels
def test_an_overflowed_distance_beats_nan():
    others = torch.full((1, 5, 3), torch.nan, device=DEVICE)
    others[0, 2:4] = 1e30
    assert kernels().nearest(torch.zeros(1, 1, 3, device=DEVICE), others).item() == 2


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(("count", "k"), [(1, 1), (3, 3), (130, 1), (33, 20), (140, 6), (17, 17)])
def test_the_k_nearest_have_the_loops_distances_in_order(count, k, dtype):
    points = randn(2, count, 3, dtype=dtype)
    found = kernels().k_nearest(points, k)
    assert found.dtype == torch.int64
    assert found[..., 0].equal(torch.arange(count, device=DEVICE).expand(2, count))
    assert found.equal(k_nearest_neighbors(points.double(), k))
    distances = (gather_points(points, found) - points[:, :, None]).double().norm(dim=3).cpu()
    for b in range(2):
        expected = reference.k_nearest_distances(points[b].cpu().numpy(), k)
        np.testing.assert_allclose(distances[b], expected, rtol=1e-5)


def ordered_neighbors(points, k):
    """(N, k) by distance, then index, the point first; exact where coordinates are integers."""
    squared = (points[:, None] - points).square().sum(dim=2)
    squared.fill_diagonal_(-1.0)
    return squared.sort(dim=1, stable=True).indices[:, :k]


@runs_kernels
def test_the_k_nearest_are_ordered_by_distance_then_index_with_the_point_first():
    points = lattice(1, 140)
    assert kernels().k_nearest(points, 9)[0].equal(ordered_neighbors(points[0], 9))


@runs_kernels
def test_the_k_nearest_of_a_collapsed_cloud_are_the_point_and_the_first_others():
    found = kernels().k_nearest(torch.ones(1, 140, 3, device=DEVICE), 7)[0].tolist()
    assert found == [[i, *[j for j in range(8) if j != i][:6]] for i in range(140)]


@runs_kernels
def test_the_k_nearest_may_all_lie_in_one_lane():
    """Columns 128 apart pass through one lane, which keeps two a sweep."""
    points = randint(50, (1, 400, 3)).float() + 100.0
    points[0, ::128] = torch.arange(4.0, device=DEVICE)[:, None] ** 2
    found = kernels().k_nearest(points, 4)[0]
    assert found[0].tolist() == [0, 128, 256, 384]
    assert found.equal(ordered_neighbors(points[0], 4))


@runs_kernels
def test_the_k_nearest_are_k_different_points_also_where_distances_are_nan_or_overflow():
    points = randn(1, 30, 3)
    points[0, 5] = torch.nan
    points[0, 7] = torch.inf
    points[0, 9] = 3e38
    found = kernels().k_nearest(points, 30)[0]
    assert found.sort(dim=1).values.equal(torch.arange(30, device=DEVICE).expand(30, 30))
    assert found[:, 0].equal(torch.arange(30, device=DEVICE))
    assert found[0, -3:].tolist() == [5, 7, 9]


def pooled_plainly(features, indices, largest):
    """(extreme, argument, sum), the first neighbour among equals, one neighbour at a time."""
    edges = gather_points(features, indices)  # (B, N, k, C)
    best, slot = edges[:, :, 0].clone(), torch.zeros_like(edges[:, :, 0], dtype=torch.int64)
    total = edges[:, :, 0].clone()
    for i in range(1, indices.shape[2]):
        value = edges[:, :, i]
        better = torch.where(largest, value > best, value < best)
        best = torch.where(better, value, best)
        slot = torch.where(better, i, slot)
        total = total + value
    return best, indices.gather(2, slot).int(), total


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(
    ("n_features", "n_points", "k", "channels"),
    [(1, 1, 1, 1), (7, 5, 3, 3), (30, 33, 20, 70), (12, 40, 4, 64)],
)
def test_pooling_equals_the_plain_form(n_features, n_points, k, channels, dtype):
    features = randn(2, n_features, channels, dtype=dtype)
    indices = randint(n_features, (2, n_points, k), seed=1)
    largest = randint(2, (channels,), seed=2).bool()
    expected = pooled_plainly(features, indices, largest)
    signs = extreme_signs(largest, features)
    found = kernels().pool_neighbors(features, indices, signs, with_sum=True)
    for ours, plain in zip(found, expected, strict=True):
        assert ours.dtype == plain.dtype
        assert ours.equal(plain)
    assert found[0].equal(pool_neighbors(features, indices, largest, with_sum=False).extreme)
    without_sum = kernels().pool_neighbors(features, indices, signs, with_sum=False)
    assert without_sum[0].equal(found[0])
    assert without_sum[1].equal(found[1])
    assert without_sum[2].shape == (0, 0, 0)


@runs_kernels
def test_pooling_names_the_first_of_equal_neighbors():
    features = (randint(2, (1, 9, 6)) - 0.5).float()
    indices = randint(9, (1, 20, 8), seed=1)
    largest = torch.tensor([True, False] * 3, device=DEVICE)
    signs = extreme_signs(largest, features)
    argument = kernels().pool_neighbors(features, indices, signs, with_sum=False)[1]
    assert argument.equal(pooled_plainly(features, indices, largest)[1])


@runs_kernels
@pytest.mark.parametrize("largest", [True, False])
def test_pooling_keeps_nan_and_infinity(largest):
    features = torch.tensor([1.0, torch.nan, 2.0, torch.inf, -torch.inf], device=DEVICE)
    indices = torch.tensor([[0, 1, 2], [1, 0, 2], [0, 2, 3], [4, 3, 0], [3, 1, 1]], device=DEVICE)
    signs = torch.tensor([1.0 if largest else -1.0], device=DEVICE)
    extreme, argument, _ = kernels().pool_neighbors(
        features[None, :, None], indices[None], signs, with_sum=False
    )
    assert extreme[0, [0, 1, 4], 0].isnan().all()
    assert argument[0, [0, 1, 4], 0].eq(1).all()
    infinity = torch.inf if largest else -torch.inf
    assert extreme[0, 2:4, 0].tolist() == ([infinity] * 2 if largest else [1.0, infinity])


@runs_kernels
@both_dtypes
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("with_sum", [False, True])
def test_the_gradient_of_pooling_equals_autograds(with_sum, deterministic, dtype):
    features = randn(2, 9, 70, dtype=dtype).requires_grad_()
    indices = randint(9, (2, 18, 3), seed=1)
    largest = randint(2, (70,), seed=2).bool()
    extreme, argument, total = pooled_plainly(features, indices, largest)
    extreme_gradient = randn(*extreme.shape, dtype=dtype, seed=3)
    sum_gradient = randn(*extreme.shape, dtype=dtype, seed=4) if with_sum else None
    loss = (extreme * extreme_gradient).sum()
    if sum_gradient is not None:
        loss = loss + (total * sum_gradient).sum()
    (expected,) = torch.autograd.grad(loss, features)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    try:
        gradient = kernels().unpool_neighbors(extreme_gradient, argument, sum_gradient, indices, 9)
    finally:
        torch.use_deterministic_algorithms(before)
    torch.testing.assert_close(gradient, expected)


@runs_kernels
def test_the_gradient_of_pooling_adds_up_where_all_choose_one_point():
    indices = torch.zeros(1, 300, 2, dtype=torch.int64, device=DEVICE)
    ones = torch.ones(1, 300, 3, device=DEVICE)
    argument = torch.zeros(1, 300, 3, dtype=torch.int32, device=DEVICE)
    gradient = kernels().unpool_neighbors(ones, argument, ones, indices, 4)
    assert gradient[0].tolist() == [[900.0] * 3, *[[0.0] * 3] * 3]


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(("n_points", "count"), [(1, 1), (40, 12), (129, 40), (2500, 5)])
def test_the_farthest_points_equal_the_plain_form(n_points, count, dtype):
    points = randn(3, n_points, 3, dtype=dtype)
    start = torch.tensor([0, n_points // 2, n_points - 1], device=DEVICE)
    chosen = kernels().farthest_points(points, count, start)
    assert chosen.dtype == torch.int64
    assert chosen.equal(farthest_point_sampling(points, count, start))
    if n_points < 100:
        for b in range(3):
            expected = reference.farthest_point_sampling(
                points[b].cpu().numpy(), count, int(start[b])
            )
            np.testing.assert_array_equal(chosen[b].cpu(), expected)


@runs_kernels
@both_dtypes
def test_the_farthest_among_equals_is_the_lowest_index_and_none_comes_twice(dtype):
    points = lattice(1, 50, dtype=dtype)
    start = torch.tensor([7], device=DEVICE)
    chosen = kernels().farthest_points(points, 50, start)[0].cpu()
    expected = reference.farthest_point_sampling(points[0].cpu().numpy(), 50, 7)
    np.testing.assert_array_equal(chosen, expected)
    collapsed = torch.ones(2, 9, 3, dtype=dtype, device=DEVICE)
    chosen = kernels().farthest_points(collapsed, 9, torch.zeros(2, dtype=torch.int64).to(DEVICE))
    assert chosen.tolist() == [list(range(9))] * 2


@runs_kernels
def test_the_farthest_points_pass_over_nan_distances():
    points = randn(1, 20, 3)
    points[0, 4, 2] = torch.nan
    start = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    chosen = kernels().farthest_points(points, 20, start)[0].tolist()
    assert chosen[:2] == [0, 4]
    assert sorted(chosen) == list(range(20))


@runs_kernels
def test_an_empty_batch_gives_empty_results():
    cuda = kernels()
    points, none = randn(0, 5, 3), torch.zeros(0, dtype=torch.int64, device=DEVICE)
    signs = torch.ones(3, device=DEVICE)
    assert cuda.nearest(points, points).shape == (0, 5)
    assert cuda.k_nearest(points, 2).shape == (0, 5, 2)
    assert cuda.farthest_points(points, 2, none).shape == (0, 2)
    indices = torch.zeros(0, 5, 2, dtype=torch.int64, device=DEVICE)
    extreme, argument, total = cuda.pool_neighbors(points, indices, signs, with_sum=True)
    assert extreme.shape == argument.shape == total.shape == (0, 5, 3)
    assert cuda.unpool_neighbors(extreme, argument, total, indices, 5).shape == (0, 5, 3)


@runs_kernels
def test_the_functions_of_geometry_reach_the_kernels_whatever_the_strides(monkeypatch):
    monkeypatch.setattr(dispatch, "_kernels_of", lambda _: kernels())
    points, others = randn(2, 3, 40).transpose(1, 2), randn(2, 3, 30, seed=1).transpose(1, 2)
    features = randn(2, 6, 40).transpose(1, 2).requires_grad_()
    largest = torch.tensor([True, False] * 3, device=DEVICE)
    start = torch.tensor([[3, 0], [5, 0]], device=DEVICE)[:, 0]
    results = []
    for mode in ("reference", "fast"):
        with forced(mode):
            neighbors = k_nearest_neighbors(points, 4)
            extreme, total = pool_neighbors(features, neighbors, largest, with_sum=True)
            alone = pool_neighbors(features, neighbors, largest, with_sum=False).extreme
            # The gradient of a sum is one number, expanded.
            (gradient,) = torch.autograd.grad((extreme + alone).sum() + total.sum(), features)
            farthest = farthest_point_sampling(points, 6, start)
            nearest = nearest_neighbors(points, others)
        results.append((neighbors, extreme, alone, total, gradient, farthest, nearest))
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)


@runs_kernels
def test_long_lists_and_other_dimensions_are_left_to_plain_pytorch():
    assert kernels().supports_k_nearest(torch.zeros(1, 99, 3), 20)
    assert not kernels().supports_k_nearest(torch.zeros(1, 99, 3), 99)
    assert not kernels().supports_k_nearest(torch.zeros(1, 99, 64), 20)
