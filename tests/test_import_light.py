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
)


def imported_by(module):
    """Top-level modules present in a fresh interpreter after importing ``module``."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["pc_crvae", "pc_crvae.consistency", "pc_crvae.models.points.vae"]
)
def test_the_library_imports_nothing_heavy_but_torch(module):
    assert not imported_by(module) & set(HEAVY)


@pytest.mark.parametrize("module", ["pc_crvae", "pc_crvae.config", "pc_crvae.cli"])
def test_the_package_its_schema_and_its_commands_do_not_import_torch(module):
    assert not imported_by(module) & {"torch", *HEAVY}
