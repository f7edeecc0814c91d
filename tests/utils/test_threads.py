"""How many cores a process may use, and what the environment says before torch is loaded."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pc_crvae.utils.threads import (
    gnu_openmp_of_torch,
    is_way_of_waiting_set,
    prepare_threads,
    usable_cores,
)

FREE = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def eight_cores(monkeypatch):
    """A process that may run on eight cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


@pytest.fixture
def before_torch(monkeypatch):
    """A process that has not loaded torch, and whose environment says nothing of threads."""
    for name in FREE:
        monkeypatch.setenv(name, "put back afterwards")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("400000 100000", 4), ("150000 100000", 2), ("20000 100000", 1)],
)
def test_cores_are_those_of_the_control_group(eight_cores, tmp_path, quota, cores):
    write(tmp_path / "a", cpu__max=quota)
    assert usable_cores(tmp_path, "0::/a\n") == cores


def test_the_tightest_group_on_the_way_counts(eight_cores, tmp_path):
    write(tmp_path / "a" / "b", cpu__max="700000 100000")
    write(tmp_path / "a", cpu__max="300000 100000")
    assert usable_cores(tmp_path, "0::/a/b\n") == 3


def test_in_a_container_the_mounted_top_is_its_own_group(eight_cores, tmp_path):
    write(tmp_path, cpu__max="200000 100000")
    assert usable_cores(tmp_path, "0::/kubepods/pod1/c2\n") == 2


@pytest.mark.parametrize("mounted_as", ["cpu,cpuacct", "cpu"])
def test_control_groups_of_the_first_version(eight_cores, tmp_path, mounted_as):
    place = tmp_path / mounted_as / "docker"
    write(place, cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    write(tmp_path / mounted_as, cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    membership = "5:memory:/docker\n3:cpu,cpuacct:/docker\n"
    assert usable_cores(tmp_path, membership) == 3


def test_without_control_groups_the_affinity_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 4, 5}, raising=False)
    assert usable_cores(tmp_path, "") == 3


@pytest.mark.parametrize(
    ("runtime", "policy", "turns"),
    [(None, "PASSIVE", None), (Path("libgomp.so.1"), "ACTIVE", "300000")],
    ids=["other", "GNU"],
)
def test_threads_are_no_more_than_the_limit_and_sleep_where_nothing_else_has_them(
    before_torch, monkeypatch, runtime, policy, turns
):
    monkeypatch.setattr("pc_crvae.utils.threads.gnu_openmp_of_torch", lambda: runtime)
    monkeypatch.setattr("pc_crvae.utils.threads.usable_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    prepare_threads()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["OMP_WAIT_POLICY"] == policy
    assert os.environ.get("GOMP_SPINCOUNT") == turns
    assert is_way_of_waiting_set() is (runtime is None)  # of GNU's it is still to be chosen


def test_without_a_limit_the_number_is_left_to_torch(before_torch, monkeypatch):
    monkeypatch.setattr("pc_crvae.utils.threads.usable_cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    prepare_threads()
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_what_the_user_says_of_waiting_stays(before_torch, monkeypatch, name):
    monkeypatch.setenv(name, "7")
    prepare_threads()
    said = {key: os.environ[key] for key in FREE[:3] if key in os.environ}
    assert said == {name: "7"}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_the_number_that_the_user_says_stays(before_torch, monkeypatch, name):
    monkeypatch.setattr("pc_crvae.utils.threads.usable_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv(name, "5")
    prepare_threads()
    said = {key: os.environ[key] for key in FREE[3:] if key in os.environ}
    assert said == {name: "5"}


def test_what_stands_in_for_torch_brings_no_openmp(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert gnu_openmp_of_torch() is None


def test_once_torch_is_loaded_nothing_is_set(before_torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", object())
    prepare_threads()
    assert not any(name in os.environ for name in FREE)


COMMAND_THEN_TORCH = """
import sys
from pc_crvae.cli import main
try:
    main(["--version"])
except SystemExit:
    assert "torch" not in sys.modules
import torch
"""


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU OpenMP on Linux")
@pytest.mark.parametrize(
    ("said", "policy", "turns"),
    [
        ({}, "ACTIVE", "300000"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "PASSIVE", "0"),
        ({"GOMP_SPINCOUNT": "123"}, None, "123"),
    ],
    ids=["nothing", "to sleep", "how long to spin"],
)
def test_the_openmp_that_torch_brings_obeys(said, policy, turns):
    environment = {name: value for name, value in os.environ.items() if name not in FREE}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND_THEN_TORCH],
        env=environment | said,
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch brings another OpenMP")
    assert f"GOMP_SPINCOUNT = '{turns}'" in done.stderr
    assert policy is None or f"OMP_WAIT_POLICY = '{policy}'" in done.stderr
