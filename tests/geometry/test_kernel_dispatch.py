"""Which kernels serve, and that they do wherever and on however many threads they are called."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch
from numba.core import event
from torch import Tensor

from helpers.kernel_choice import forced
from pc_crvae.errors import UserError
from pc_crvae.geometry import (
    chamfer_distance,
    edge_moments,
    farthest_point_sampling,
    k_nearest_neighbors,
    kernels,
    mutual_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.geometry.kernels import cpu, reference
from pc_crvae.geometry.kernels.cpu import parallel
from pc_crvae.models.mlp import Perceptron
from pc_crvae.models.points import pooled
from pc_crvae.utils.compiling import _tell_of_compiling

CPU, META = torch.device("cpu"), torch.device("meta")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PC_CRVAE_KERNELS", raising=False)


@pytest.fixture
def thread_count() -> Iterator[None]:
    """Leaves the number of torch's threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("value", [None, "", "auto", "fast"])
def test_a_cpu_has_fast_kernels_unless_told_otherwise(value, monkeypatch):
    if value is not None:
        monkeypatch.setenv("PC_CRVAE_KERNELS", value)
    assert kernels.kernels_for(CPU) is cpu


def test_the_environment_can_ask_for_plain_pytorch(monkeypatch):
    monkeypatch.setenv("PC_CRVAE_KERNELS", "reference")
    assert kernels.kernels_for(CPU) is reference
    assert kernels.kernels_for(META) is reference


@pytest.mark.parametrize("value", ["numba", "FAST", " fast"])
def test_another_value_is_refused_in_one_line_that_names_what_may_stand_there(value, monkeypatch):
    monkeypatch.setenv("PC_CRVAE_KERNELS", value)
    with pytest.raises(UserError) as refused:
        nearest_neighbors(randn(1, 4, 3), randn(1, 4, 3))
    message = str(refused.value)
    assert message == f"PC_CRVAE_KERNELS must be reference, fast or auto, not {value!r}"


def test_a_device_without_kernels_is_served_by_plain_pytorch_and_refuses_fast(monkeypatch):
    assert kernels.kernels_for(META) is reference
    with forced("fast"), pytest.raises(UserError, match="no fast kernels for meta"):
        kernels.kernels_for(META)
    monkeypatch.setenv("PC_CRVAE_KERNELS", "fast")
    with pytest.raises(UserError, match="no fast kernels for meta: unset it"):
        kernels.kernels_for(META)


def test_the_public_functions_ask_for_the_kernels_that_are_forced(monkeypatch):
    clouds, indices = randn(1, 20, 3), torch.zeros(1, 20, 2, dtype=torch.int64)
    calls = {
        "nearest": lambda: nearest_neighbors(clouds, clouds),
        "mutual_nearest": lambda: mutual_nearest_neighbors(clouds, clouds),
        "k_nearest": lambda: k_nearest_neighbors(clouds, 3),
        "pool_neighbors": lambda: pool_neighbors(clouds, indices),
        "edge_squares": lambda: edge_moments(clouds, clouds, clouds, indices),
        "farthest_points": lambda: farthest_point_sampling(clouds, 3),
        "column_extremes": lambda: pooled.maximum_over_points(Perceptron(3, 4), clouds),
    }

    class UsedError(Exception):
        pass

    def use(*arguments, **options):
        raise UsedError

    for name, call in calls.items():
        monkeypatch.setattr(cpu, name, use)
        with forced("reference"):
            call()
        with forced("fast"), pytest.raises(UsedError):
            call()


def operations() -> dict[str, tuple[Tensor, ...]]:
    """What every kernel gives, forward and backward, on inputs that no number of threads divides.

    Matrix products are torch's, whose last bits may depend on the number of threads: what is
    pooled after them is made of whole numbers, which are exact in any order.
    """
    x, y = randn(3, 101, 3), randn(3, 157, 3, seed=1)
    features = randn(3, 101, 37)
    neighbors = torch.randint(101, (3, 101, 5), generator=torch.Generator().manual_seed(2))
    weights = randn(3, 101, 37, seed=3)
    whole = (4 * randn(3, 101, 6)).round()
    whole_weight = (4 * randn(13, 6, seed=1)).round()
    results: dict[str, tuple[Tensor, ...]] = {}

    results["nearest by scan"] = (nearest_neighbors(x, y),)
    pays, cpu._SORTING_PAYS = cpu._SORTING_PAYS, 0
    results["nearest by blocks"] = (nearest_neighbors(x, y),)
    cpu._SORTING_PAYS = pays
    results["nearest in space"] = (k_nearest_neighbors(y, 9),)
    results["nearest in feature space"] = (k_nearest_neighbors(features, 9),)
    results["farthest"] = (farthest_point_sampling(y, 40),)
    leaf = x.clone().requires_grad_()
    distance = chamfer_distance(leaf, y)
    results["chamfer"] = (distance, *torch.autograd.grad(distance.sum(), leaf))
    for with_sum in (True, False):
        leaf = features.clone().requires_grad_()
        pool = pool_neighbors(leaf, neighbors, torch.arange(37) % 3 > 0, with_sum=with_sum)
        total = (pool.extreme * weights).sum()
        if pool.sum is not None:
            total = total + (pool.sum * weights.cos()).sum()
        values = [value for value in pool if value is not None]
        results[f"pool, sum {with_sum}"] = (*values, *torch.autograd.grad(total, leaf))
    leaves = [features.clone().requires_grad_(), weights.clone().requires_grad_()]
    sums = pool_neighbors(leaves[0], neighbors).sum
    mean, variance, _ = edge_moments(*leaves, sums, neighbors)
    total = (variance + mean.detach().cos() * mean).sum()
    results["edge moments"] = (mean, variance, *torch.autograd.grad(total, leaves))
    signs, squares = torch.ones(6), torch.zeros(6, dtype=torch.float64)
    found = cpu.column_extremes(features[0, :, :6], features[0, 0, :6], signs, squares)
    results["column extremes"] = (*found, squares)
    picks = torch.randint(101, (3, 13), generator=torch.Generator().manual_seed(4))
    products = cpu.picked_products(whole, whole_weight, picks)
    gradient = torch.zeros_like(whole)
    back = cpu.picked_products_backward(products, whole, whole_weight, picks, gradient)
    results["picked products"] = (products, back, gradient)
    return results


def assert_same_bits(one: dict[str, tuple[Tensor, ...]], other: dict[str, tuple[Tensor, ...]]):
    assert one.keys() == other.keys()
    for name, values in one.items():
        for value, expected in zip(values, other[name], strict=True):
            assert torch.equal(value, expected), name


@pytest.mark.usefixtures("thread_count")
def test_the_number_of_threads_changes_no_bit_of_any_kernel():
    with forced("fast"):
        torch.set_num_threads(1)
        alone = operations()
        for threads in (2, 3):
            torch.set_num_threads(threads)
            assert_same_bits(operations(), alone)


@pytest.mark.usefixtures("thread_count")
def test_threads_of_our_own_serve_where_torch_brings_no_openmp(monkeypatch):
    torch.set_num_threads(1)
    alone = operations()
    monkeypatch.setattr(parallel, "_torch_openmp", lambda: None)
    torch.set_num_threads(3)
    ours = [t for t in threading.enumerate() if t.name.startswith("pc_crvae-kernel")]
    assert_same_bits(operations(), alone)
    names = [t.name for t in threading.enumerate() if t.name.startswith("pc_crvae-kernel")]
    assert len(ours) < len(names)


def run_alone(code: str) -> str:
    """Run ``code`` in a process of its own: an abort or a deadlock ends only that."""
    prelude = (
        "import os, threading, torch\n"
        "from pc_crvae.geometry import *\n"
        "torch.set_num_threads(2)\n"
        "x, y = torch.randn(3, 400, 3), torch.randn(3, 300, 3)\n"
        "f = torch.randn(3, 300, 8)\n"
        "g = torch.randint(300, (3, 300, 5))\n"
        "def spatial():\n"
        "    found = [nearest_neighbors(x, y), k_nearest_neighbors(x, 5)]\n"
        "    return found + [farthest_point_sampling(x, 9), *pool_neighbors(f, g)]\n"
        "def results(): return [k_nearest_neighbors(f, 5)] + spatial()\n"
        "def same(ours):\n"
        "    pairs = zip(ours, expected, strict=True)\n"
        "    return all((one.numpy() == other.numpy()).all() for one, other in pairs)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, timeout=600
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    "child",
    [
        # As in the workers of a data loader, where torch's own operators hang otherwise.
        pytest.param("torch.set_num_threads(1); ours = results()", id="one thread"),
        pytest.param("ours = expected[:1] + spatial()", id="two threads", marks=pytest.mark.slow),
    ],
)
def test_kernels_run_in_a_forked_child_of_a_process_that_ran_them_on_several_threads(child):
    code = f"""
import signal, time
expected = results()
child = os.fork()
if child == 0:
    {child}
    os._exit(0 if same(ours) else 7)
for _ in range(600):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.05)
else:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    status = "hung"
print(status, same(results()))
"""
    assert run_alone(code).split() == ["0", "True"]


def test_kernels_run_in_several_python_threads_at_once():
    code = """
expected = results()
good = []
def work():
    good.append(all(same(results()) for _ in range(5)))
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(good)
"""
    assert run_alone(code).strip() == "[True, True, True, True]"


@pytest.mark.usefixtures("thread_count")
@pytest.mark.parametrize("openmp", [True, False])
@pytest.mark.parametrize("items", [0, 1, 2, 7, 64])
def test_the_threads_share_out_every_item_once(items, openmp, monkeypatch):
    if not openmp:
        monkeypatch.setattr(parallel, "_torch_openmp", lambda: None)
    torch.set_num_threads(3)
    done: list[int] = []
    parallel.run(lambda start, stop: done.extend(range(start, stop)), items)
    assert sorted(done) == list(range(items))


@pytest.mark.usefixtures("thread_count")
@pytest.mark.parametrize("openmp", [True, False])
def test_what_fails_on_another_thread_fails_in_the_caller(openmp, monkeypatch):
    if not openmp:
        monkeypatch.setattr(parallel, "_torch_openmp", lambda: None)
    torch.set_num_threads(3)

    def kernel(start, stop):
        if start > 0:
            raise ArithmeticError(start)

    with pytest.raises(ArithmeticError):
        parallel.run(kernel, 30)


MESSAGE = "compiling kernels for this processor, once"


@pytest.fixture
def untold():
    """A process that has not said yet that it compiles."""
    _tell_of_compiling.cache_clear()
    yield
    _tell_of_compiling.cache_clear()


@pytest.fixture
def run_out(monkeypatch):
    """Lets all clocks that run at a moment run out; they wait for nothing else."""
    running = []

    class Clock:
        def __init__(self, seconds, action):
            self.action = action

        def start(self):
            running.append(self)

        def cancel(self):
            if self in running:
                running.remove(self)

    def run_out():
        while running:
            running.pop().action()

    monkeypatch.setattr("threading.Timer", Clock)
    return run_out


def compiling(meanwhile=lambda: None):
    """Stands for a kernel that numba compiles at its first call, the inner function within it."""

    def kernel(start, stop):
        if start == stop:
            with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
                meanwhile()

    return kernel


def test_it_says_that_it_compiles_when_that_takes_long_and_only_once(untold, run_out, capsys):
    kernel = compiling(run_out)
    parallel.run(kernel, 1)
    assert capsys.readouterr().err.count(MESSAGE) == 1
    parallel.run(kernel, 1)
    parallel.run(compiling(run_out), 1)
    assert capsys.readouterr().err == ""


def test_it_says_nothing_when_compiling_takes_no_time(untold, run_out, capsys):
    parallel.run(compiling(), 1)
    run_out()
    assert capsys.readouterr().err == ""


def test_it_says_nothing_of_long_work_or_of_what_was_compiled_before(untold, run_out, capsys):
    parallel.run(lambda start, stop: run_out(), 1)
    assert capsys.readouterr().err == ""


KERNEL_OF_A_USER = """
from pc_crvae.geometry.kernels.cpu import parallel
from pc_crvae.utils import compiling
compiling._MESSAGE_AFTER_SECONDS = 0.0

@parallel.compiled
def kernel(start, stop):
    for place in range(start, stop):
        pass

parallel.run(kernel, 1)
"""


def test_it_says_so_in_the_first_process_alone(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(KERNEL_OF_A_USER)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    told = [
        subprocess.run(
            [sys.executable, str(script)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stderr.count(MESSAGE)
        for _ in range(2)
    ]
    assert told == [1, 0]
