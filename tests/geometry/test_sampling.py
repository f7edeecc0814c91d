import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.textbook import neighbors as reference
from helpers.kernel_choice import forced
from pc_crvae.geometry import farthest_point_sampling
from pc_crvae.geometry.kernels import cpu

lattice_clouds = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 10), st.just(3)), elements=st.integers(-2, 2)
)


@pytest.fixture
def by_buckets(monkeypatch):
    """Every cloud is cut into buckets, of about 2 points."""
    monkeypatch.setattr(cpu, "_POINTS_FOR_BUCKETS", 1)
    monkeypatch.setattr(cpu, "_CHOICES_FOR_BUCKETS", 1)
    monkeypatch.setattr(cpu, "_BUCKET", 2)
    monkeypatch.setattr(cpu.sampling, "farthest_points", None)  # and no other way


def test_the_chosen_points_equal_the_loop():
    points = torch.randn(3, 40, 3, generator=torch.Generator().manual_seed(0))
    start = torch.tensor([5, 0, 39])
    chosen = farthest_point_sampling(points, 12, start)
    assert chosen.dtype == torch.int64
    for b in range(3):
        expected = reference.farthest_point_sampling(points[b].numpy(), 12, int(start[b]))
        np.testing.assert_array_equal(chosen[b], expected)


@settings(deadline=None, max_examples=25)
@given(cloud=lattice_clouds, data=st.data())
def test_ties_and_duplicates_equal_the_loop(cloud, data):
    count = data.draw(st.integers(1, len(cloud)))
    chosen = farthest_point_sampling(torch.from_numpy(cloud)[None], count)
    np.testing.assert_array_equal(chosen[0], reference.farthest_point_sampling(cloud, count))


def test_a_collapsed_cloud_gives_every_index_once():
    chosen = farthest_point_sampling(torch.ones(2, 7, 3), 7)
    assert chosen.tolist() == [list(range(7))] * 2


@pytest.mark.parametrize(
    ("shape", "count", "start"),
    [
        ((5, 3), 2, None),
        ((2, 5, 2), 2, None),
        ((2, 5, 3), 0, None),
        ((2, 5, 3), 6, None),
        ((2, 5, 3), 2, torch.zeros(3, dtype=torch.int64)),
        ((2, 5, 3), 2, torch.zeros(2)),
    ],
)
def test_wrong_arguments_are_refused(shape, count, start):
    with pytest.raises(ValueError, match=r"points|start"):
        farthest_point_sampling(torch.zeros(shape), count, start)


@pytest.mark.parametrize("mode", ["reference", "fast"])
def test_no_index_repeats_where_coordinates_are_not_a_number(mode):
    points = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    points[0, [2, 5]] = torch.nan
    points[1] = torch.nan
    with forced(mode):
        chosen = farthest_point_sampling(points, 9)
    assert chosen.sort(dim=1).values.tolist() == [list(range(9))] * 2


# Few values make ties and duplicates; the others make distances that round.
ROUGH = st.one_of(
    st.integers(-2, 2).map(float),
    st.floats(-1e3, 1e3, width=32),
    st.sampled_from([0.1, 0.3, 1e-20, 1e20, np.inf, -np.inf, np.nan]),
)


DTYPES = (torch.float32, torch.float64)


@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cloud=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=ROUGH),
    data=st.data(),
)
def test_buckets_choose_what_the_reference_chooses(by_buckets, cloud, data):
    count = data.draw(st.integers(1, len(cloud)))
    start = torch.tensor([data.draw(st.integers(0, len(cloud) - 1))])
    points = torch.from_numpy(cloud)[None].to(data.draw(st.sampled_from(DTYPES)))
    with forced("fast"):
        chosen = farthest_point_sampling(points, count, start)
    with forced("reference"):
        expected = farthest_point_sampling(points, count, start)
    assert chosen.tolist() == expected.tolist()


def test_large_clouds_choose_what_the_reference_chooses():
    random = torch.Generator().manual_seed(0)
    spread = torch.randn(20_000, 3, generator=random)
    lattice = torch.randint(0, 10, (20_000, 3), generator=random).float()  # each place 20 times
    collapsed = torch.ones(20_000, 3)
    collapsed[7], collapsed[19_000] = 2, 0
    points = torch.stack([spread, lattice, collapsed])
    start = torch.tensor([0, 123, 19_999])
    with forced("fast"):
        chosen = farthest_point_sampling(points, 1_200, start)
    with forced("reference"):
        expected = farthest_point_sampling(points, 1_200, start)
    assert torch.equal(chosen, expected)
