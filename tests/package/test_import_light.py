"""Importing the package, or its schema, costs next to nothing."""

import subprocess
import sys

import pytest

HEAVY = (
    "open3d",
    "matplotlib",
    "plotly",
    "trimesh",
    "sklearn",
    "kornia",
    "tensorboard",
    "torch_geometric",
    "numba",
    "triton",
)


def imported_by(module):
    """Top-level modules in a fresh interpreter after importing ``module``, or several."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    return set(done.stdout.split())


def test_the_library_imports_nothing_heavy_but_torch():
    modules = ("pc_crvae.objectives.consistency", "pc_crvae.geometry", "pc_crvae.models.points.vae")
    assert not imported_by(", ".join(modules)) & set(HEAVY)


@pytest.mark.parametrize("module", ["pc_crvae", "pc_crvae.config", "pc_crvae.cli"])
def test_the_package_its_schema_and_its_commands_do_not_import_torch(module):
    assert not imported_by(module) & {"torch", *HEAVY}


def test_numba_is_imported_when_a_kernel_is_first_needed_and_not_before():
    code = """
import os, sys, torch
from pc_crvae.geometry import nearest_neighbors
from pc_crvae.models.points import DGCNN
cloud, present = torch.zeros(1, 4, 3), []
encoder = DGCNN((4,), embedding=4, k=2)
for mode in ("reference", "fast"):
    os.environ["PC_CRVAE_KERNELS"] = mode
    nearest_neighbors(cloud, cloud)
    encoder(cloud)
    present.append("numba" in sys.modules)
print(*present)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stdout.split() == ["False", "True"]
