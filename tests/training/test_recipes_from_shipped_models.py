"""Recipes that start from a model of the package are of its architecture, and move its weights."""

from pathlib import Path

import pytest
import torch

import pc_crvae
from pc_crvae.config import Config, load_config
from pc_crvae.training.build import build_model
from pc_crvae.training.initialization import Origin
from pc_crvae.utils.resources import resource_folder, shipped_models

CONFIGS = resource_folder("configs")
STARTING = [
    path
    for path in sorted(CONFIGS.glob("*.yaml"))
    if (init := load_config(path).init) is not None and init.source in shipped_models()
]


def given(config: Config) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The model of a recipe after it took its weights, and the model that it took them from."""
    origin = Origin.read(config.init)
    model = build_model(config)
    origin.give(model)
    return model, origin.model


def test_there_are_such_recipes():
    assert {"mesh-folder", "modelnet10"} <= {path.stem for path in STARTING}


@pytest.mark.parametrize("path", STARTING, ids=lambda path: path.stem)
def test_the_encoder_that_a_recipe_starts_from_is_that_of_the_package(path: Path):
    model, source = given(load_config(path))
    ours, theirs = (one.learnt_part("encoder").state_dict() for one in (model, source))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_a_folder_of_meshes_is_trained_on_from_the_model_of_the_package(tmp_path: Path):
    trimesh = pytest.importorskip("trimesh")
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    for index in range(8):
        trimesh.creation.box((1, 1 + index / 4, 2)).export(meshes / f"box-{index}.stl")
    config = load_config(
        CONFIGS / "mesh-folder.yaml",
        [
            f"data.root={meshes}",
            "data.items_per_epoch=4",
            "training.steps=2",
            "training.batch_size=2",
        ],
    )
    pc_crvae.train(config, out=tmp_path / "run")
    trained, shipped = (
        pc_crvae.load(model).state_dict() for model in (tmp_path / "run", "pretrained")
    )
    assert trained.keys() == shipped.keys()
    moved = (trained["head.mean.weight"] - shipped["head.mean.weight"]).abs().max()
    assert 0 < moved < 0.01
