import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.textbook import chamfer as reference
from pc_crvae.geometry import chamfer_distance, rotate, rotation_from_quaternion
from pc_crvae.geometry.kernels import reference as kernels

VARIANTS = list(itertools.product([True, False], ["sum", "mean", "max"]))
few_examples = settings(deadline=None, max_examples=25)


def coordinates(bound):
    return hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.just(3)),
        elements=st.floats(-bound, bound, width=32),
    )


def pair(n=17, m=23, batch=3, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, n, 3, generator=generator, dtype=dtype)
    y = torch.randn(batch, m, 3, generator=generator, dtype=dtype)
    return x, y


def ugly_pairs():
    x, y = pair(12, 9)
    point = torch.tensor([0.5, -0.25, 0.5])  # of length 0.75: both directions tie exactly
    return {
        "duplicates": (torch.cat([x, x[:, :5]], 1), torch.cat([y, y, x[:, :3]], 1)),
        "equal clouds": (x, x.clone()),
        "one point": (x[:, :1], y),
        "one point each": (x[:, :1], y[:, :1]),
        "collapsed": (point.expand(3, 12, 3), y),
        "both collapsed": (point.expand(3, 12, 3), -point.expand(3, 9, 3)),
        "collapsed onto each other": (point.expand(3, 12, 3), point.expand(3, 9, 3)),
        "huge": (x * 1e12, y * 1e12),
        "tiny": (x * 1e-12, y * 1e-12),
        "tiny, far from the origin": (1 + x * 1e-5, 1 + y * 1e-5),
    }


def assert_equals_the_loop(x, y, squared, directions):
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    distance = chamfer_distance(x, y, squared=squared, directions=directions)
    distance.sum().backward()
    for b in range(len(x)):
        expected, x_gradient, y_gradient = reference.chamfer_with_gradients(
            x[b].detach().numpy(), y[b].detach().numpy(), squared=squared, directions=directions
        )
        assert distance[b].item() == pytest.approx(expected, rel=1e-5, abs=0)
        for gradient, wanted in ((x.grad[b], x_gradient), (y.grad[b], y_gradient)):
            tolerance = 1e-5 * np.abs(wanted).max()
            np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
def test_values_and_gradients_equal_the_triple_loop(squared, directions):
    assert_equals_the_loop(*pair(), squared, directions)


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
@pytest.mark.parametrize("case", ugly_pairs())
def test_values_and_gradients_equal_the_triple_loop_on_ugly_clouds(case, squared, directions):
    assert_equals_the_loop(*ugly_pairs()[case], squared, directions)


@pytest.mark.parametrize("block_bytes", [1, 300, 2000])
def test_the_size_of_a_block_changes_nothing(block_bytes, monkeypatch):
    pairs = [pair(), *ugly_pairs().values()]
    whole = [chamfer_distance(x, y) for x, y in pairs]
    monkeypatch.setattr(kernels, "_CPU_BLOCK_BYTES", block_bytes)
    for (x, y), expected in zip(pairs, whole, strict=True):
        assert torch.equal(chamfer_distance(x, y), expected)


@few_examples
@given(x=coordinates(4.0), y=coordinates(4.0), variant=st.sampled_from(VARIANTS))
def test_any_small_clouds_equal_the_triple_loop(x, y, variant):
    squared, directions = variant
    distance = chamfer_distance(
        torch.from_numpy(x)[None], torch.from_numpy(y)[None], squared=squared, directions=directions
    )
    expected = reference.chamfer(x, y, squared=squared, directions=directions)
    # Squares below 1e-38 leave float32.
    assert distance.item() == pytest.approx(expected, rel=1e-5, abs=1e-18)


@few_examples
@given(seed=st.integers(0, 2**31), variant=st.sampled_from(VARIANTS))
def test_the_order_of_points_does_not_matter(seed, variant):
    squared, directions = variant
    x, y = pair(seed=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    shuffled_x = x[:, torch.randperm(x.shape[1], generator=generator)]
    shuffled_y = y[:, torch.randperm(y.shape[1], generator=generator)]
    expected = chamfer_distance(x, y, squared=squared, directions=directions)
    shuffled = chamfer_distance(shuffled_x, shuffled_y, squared=squared, directions=directions)
    torch.testing.assert_close(shuffled, expected, rtol=1e-12, atol=0)


@few_examples
@given(seed=st.integers(0, 2**31), variant=st.sampled_from(VARIANTS))
def test_a_common_rotation_and_translation_do_not_matter(seed, variant):
    squared, directions = variant
    x, y = pair(seed=seed, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    rotations = rotation_from_quaternion(torch.randn(3, 4, generator=generator).double())
    offset = torch.randn(3, 1, 3, generator=generator).double()
    moved = chamfer_distance(
        rotate(x, rotations) + offset,
        rotate(y, rotations) + offset,
        squared=squared,
        directions=directions,
    )
    expected = chamfer_distance(x, y, squared=squared, directions=directions)
    torch.testing.assert_close(moved, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
def test_exchanging_the_clouds_does_not_matter(squared, directions):
    x, y = pair()
    variant = {"squared": squared, "directions": directions}
    assert torch.equal(chamfer_distance(x, y, **variant), chamfer_distance(y, x, **variant))


def test_the_common_form_is_the_default():
    x, y = pair()
    expected = chamfer_distance(x, y, squared=True, directions="sum")
    assert torch.equal(chamfer_distance(x, y), expected)


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
def test_gradients_pass_gradcheck(squared, directions):
    x, y = (cloud.requires_grad_() for cloud in pair(6, 5, batch=2, dtype=torch.float64))
    assert torch.autograd.gradcheck(
        lambda x, y: chamfer_distance(x, y, squared=squared, directions=directions), (x, y)
    )


def test_coincident_points_have_zero_gradient_without_the_square():
    x = pair()[0].requires_grad_()
    chamfer_distance(x, x.detach().clone(), squared=False).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("squared", [True, False])
def test_autocast_changes_neither_value_nor_gradient(squared):
    x, y = pair()
    results = []
    for enabled in (False, True):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            distance = chamfer_distance(leaf, y, squared=squared)
        distance.sum().backward()
        results.append((distance, leaf.grad))
    assert results[1][0].dtype == torch.float32
    for plain, autocast in zip(*results, strict=True):
        assert torch.equal(plain, autocast)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_dtypes_are_computed_in_float32(dtype):
    x, y = (cloud.to(dtype) for cloud in pair())
    distance = chamfer_distance(x, y)
    assert distance.dtype == torch.float32
    assert torch.equal(distance, chamfer_distance(x.float(), y.float()))


def test_float64_stays_float64():
    assert chamfer_distance(*pair(dtype=torch.float64)).dtype == torch.float64


def test_two_runs_are_bit_identical():
    x, y = pair(700, 900)
    results = []
    for _ in range(2):
        leaves = [x.clone().requires_grad_(), y.clone().requires_grad_()]
        distance = chamfer_distance(*leaves)
        results.append([distance, *torch.autograd.grad(distance.sum(), leaves)])
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_nan_is_not_hidden_and_stays_in_its_pair(which, squared, directions):
    clouds = pair()
    clouds[which][1, 4, 2] = torch.nan
    distance = chamfer_distance(*clouds, squared=squared, directions=directions)
    assert distance.isnan().tolist() == [False, True, False]


class _LargestTensor(TorchDispatchMode):
    """Records the largest tensor, in bytes, that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel() * tensor.element_size())
        return result


def test_large_clouds_hold_no_matrix_of_all_distances():
    x, y = (cloud.requires_grad_() for cloud in pair(6_000, 6_000, batch=1))
    with _LargestTensor() as recorder:
        chamfer_distance(x, y).sum().backward()
    assert x.numel() * x.element_size() <= recorder.largest <= 32 * 2**20


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [
        ((5, 3), (5, 3)),
        ((2, 5, 2), (2, 5, 2)),
        ((2, 5, 3), (2, 5, 2)),
        ((2, 5, 3), (3, 5, 3)),
        ((1, 5, 3), (3, 5, 3)),
        ((2, 0, 3), (2, 5, 3)),
        ((2, 5, 3), (2, 0, 3)),
    ],
)
def test_wrong_shapes_are_refused(x_shape, y_shape):
    with pytest.raises(ValueError, match="clouds"):
        chamfer_distance(torch.zeros(x_shape), torch.zeros(y_shape))


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="directions must be"):
        chamfer_distance(*pair(), directions="min")
