"""The outline of a model, against which its weights are held before memory is taken."""

import subprocess
import sys

import pytest

BUILDS = """
import sys
from pc_crvae.config import load_config
from pc_crvae.models.outline import shapes_of
from pc_crvae.training.build import build_model
from pc_crvae.utils.resources import resource_folder

config = load_config(resource_folder("configs") / "{name}.yaml")
weights = build_model(config).state_dict()
shapes = shapes_of(lambda: build_model(config), weights)
assert shapes == {{key: tuple(weight.shape) for key, weight in weights.items()}}
assert "torch._dynamo" not in sys.modules
"""


@pytest.mark.parametrize("name", ["quickstart", "modelnet40", "mesh-folder"])
def test_an_outline_has_the_shapes_and_loads_no_compiler(name):
    """Which takes PyTorch a second, at every start of every command that reads a model."""
    done = subprocess.run(
        [sys.executable, "-c", BUILDS.format(name=name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
