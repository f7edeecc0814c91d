"""Fast kernels refuse what would take them out of bounds, and lose neither work nor interrupts."""

import subprocess
import sys

import pytest
import torch

from helpers.kernel_choice import forced
from pc_crvae.geometry import edge_moments, farthest_point_sampling, pool_neighbors
from pc_crvae.geometry.kernels.cpu import parallel


@pytest.mark.parametrize("mode", ["reference", "fast"])
@pytest.mark.parametrize("index", [-1, 4, 100])
def test_a_neighbor_that_is_no_point_is_refused(index, mode):
    with forced(mode), pytest.raises(IndexError, match="not all among 4 points"):
        pool_neighbors(torch.zeros(1, 4, 2), torch.tensor([[[0, index]]]))


@pytest.mark.parametrize("mode", ["reference", "fast"])
def test_no_neighbors_at_all_are_refused(mode):
    with forced(mode), pytest.raises(ValueError, match="at least one neighbour"):
        pool_neighbors(torch.zeros(1, 4, 2), torch.empty(1, 4, 0, dtype=torch.int64))


@pytest.mark.parametrize("mode", ["reference", "fast"])
@pytest.mark.parametrize("start", [-1, 4, 50])
def test_a_first_choice_that_is_no_point_is_refused(start, mode):
    with forced(mode), pytest.raises(ValueError, match="start must lie in"):
        farthest_point_sampling(torch.zeros(1, 4, 3), 2, torch.tensor([start]))


def test_a_part_that_never_ran_is_an_interrupt_and_no_result():
    class SkipsTheBody:
        """Stands in for a body that a signal's handler left before its first line."""

        def GOMP_parallel(self, body, data, threads, flags):  # noqa: N802
            pass

    with pytest.raises(KeyboardInterrupt):
        parallel._run_on_openmp_threads(SkipsTheBody(), lambda part, parts: None, 2)


def test_a_failure_in_a_thread_reaches_the_caller():
    openmp = parallel._torch_openmp()
    if openmp is None:
        pytest.skip("this torch brings no GNU OpenMP")

    def fails(part: int, parts: int) -> None:
        raise RuntimeError("in a thread")

    with pytest.raises(RuntimeError, match="in a thread"):
        parallel._run_on_openmp_threads(openmp, fails, 2)


@pytest.mark.slow
def test_kernels_run_where_nothing_can_be_kept_and_say_so():
    code = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import torch\n"
        "from pc_crvae.geometry import nearest_neighbors\n"
        "print(nearest_neighbors(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)).tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.strip() == "[[0, 0]]"
    assert "NUMBA_CACHE_DIR" in done.stderr


@pytest.mark.parametrize("mode", ["reference", "fast"])
def test_the_variance_of_edges_that_cancel_is_never_negative(mode):
    generator = torch.Generator().manual_seed(0)
    places = 1000 * torch.randn(1, 100, 8, generator=generator)
    u = places.repeat_interleave(20, dim=1)
    indices = torch.arange(2000).view(1, 100, 1, 20).expand(1, 100, 20, 20).reshape(1, 2000, 20)
    with forced(mode):
        pool = pool_neighbors(u, indices)
        moments = edge_moments(u, -u, pool.sum, indices)
    assert (moments.variance >= 0).all()
