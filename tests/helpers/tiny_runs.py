"""Runs of seconds for the tests of training: 40 + 20 procedural shapes, models of tiny widths."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import yaml
from accelerate.state import AcceleratorState

from pc_crvae.config import Config, parse_config
from pc_crvae.data import load_card
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.runs.folder import Run
from pc_crvae.runs.record import read_moments
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.loop import train
from pc_crvae.utils.progress import TrainingProgress

STEPS_PER_EPOCH = 5
_DIGITS = {"name": "digits", "validation_fraction": 0.49}  # 733 images are left
_FIVE_STEPS = {"batch_size": 140}
_OF_IMAGES = {"transforms": [{"name": "published"}]}
_BINARY = {"name": "bernoulli", "binarization": "dynamic"}
_CONVOLUTIONAL = {
    "name": "image_vae",
    "encoder": {"name": "convolutional", "widths": [4, 8]},
    "latent_dim": 4,
    "decoder": {"name": "convolutional", "widths": [8, 4]},
    "likelihood": _BINARY,
}
_NVAE = {
    "name": "nvae",
    "initial_channels": 4,
    "groups_per_scale": [1, 2],
    "latent_channels": 2,
    "expansion": 2,
    "likelihood": _BINARY,
}
IMAGE_RUNS: dict[str, dict[str, Any]] = {
    "VAE of images": {
        "data": _DIGITS,
        "model": _CONVOLUTIONAL,
        "consistency": _OF_IMAGES,
        "training": _FIVE_STEPS,
    },
    "IWAE": {
        "data": _DIGITS,
        "model": _CONVOLUTIONAL,
        "objective": {"name": "iwae", "samples": 3, "gradient": "doubly_reparameterized"},
        "consistency": _OF_IMAGES,
        "training": _FIVE_STEPS,
    },
    "NVAE": {
        "data": _DIGITS,
        "model": _NVAE,
        "objective": {"name": "elbo", "balanced_groups": True, "warmup_epochs": 2.0},
        "consistency": _OF_IMAGES,
        "training": _FIVE_STEPS | {"learning_rate": 0.03},
    },
}
"""Sections of runs of binarised digits, 5 steps an epoch too."""
WALL_CLOCK = "items_per_second"


def write_card(folder: Path) -> Path:
    """A card of 60 training shapes, 40 after validation is cut off, and 40 test shapes."""
    card = load_card("shapes").model_dump(mode="json")
    card |= {"name": "tiny", "points": 64}
    card["splits"] = {"train": {"count": 60, "seed": 0}, "test": {"count": 40, "seed": 1}}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(card))
    return path


def tiny_values(folder: Path, **sections: dict[str, Any] | None) -> dict[str, Any]:
    """Values of a config of 5 steps an epoch, with some keys of some sections changed.

    A section of ``data`` or ``model`` that has a name stands for itself, whole.
    """
    card = folder / "tiny.yaml"
    values: dict[str, Any] = {
        "data": {"name": str(card if card.exists() else write_card(folder)), "points": 32},
        "model": {
            "encoder": {"name": "pointnet", "widths": [8, 16], "batch_norm": True},
            "latent_dim": 4,
            "decoder": {"name": "fully_connected", "points": 16, "widths": [16]},
            "likelihood": {"scale": 1000.0},
        },
        "training": {"epochs": 2, "batch_size": 8, "warmup_epochs": 0.5, "device": "cpu"},
        "logging": {
            "every_steps": 3,  # not in step with the epochs
            "tensorboard": False,
            "pictures_every_epochs": 0,
            "probe_every_epochs": 0,
        },
    }
    for name, changes in sections.items():
        whole = changes is None or (name in ("data", "model") and "name" in changes)
        values[name] = changes if whole else values.get(name, {}) | changes
    return values


def tiny_config(folder: Path, **sections: dict[str, Any] | None) -> Config:
    """`tiny_values` checked."""
    return parse_config(tiny_values(folder, **sections), "test")


def tiny_train(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Callbacks | None = None,
) -> PointVAE:
    """Train in this process, as the command does."""
    AcceleratorState._reset_state()  # another precision than the test before may have set
    sets = load_splits(config)
    callbacks = callbacks or Callbacks()
    return train(config, Run(folder), *sets, callbacks, resume=resume, overwrite=overwrite)


class Killed(BaseException):
    """Stands for a death that nothing is done about."""


def die() -> None:
    """Die as `Killed`."""
    raise Killed


@contextmanager
def acting_after(step: int, action: Callable[[], None]) -> Iterator[None]:
    """Have ``action`` called in every run of the block once ``step`` steps are taken."""
    advance = TrainingProgress.advance

    def advance_and_act(progress: TrainingProgress) -> None:
        advance(progress)
        if progress._done == step:
            action()

    with mock.patch.object(TrainingProgress, "advance", advance_and_act):
        yield


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without their wall-clock fields."""
    lines = [moment.model_dump() for moment in read_moments(Run(folder))]
    return [{name: line[name] for name in line if name != WALL_CLOCK} for line in lines]


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested dicts and lists by their path."""
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        return {path: value}
    return {
        key: leaf for name, inner in items for key, leaf in flatten(inner, f"{path}/{name}").items()
    }


def read_state(folder: Path) -> dict[str, Any]:
    """The leaves of a run's newest state."""
    return flatten(
        torch.load(Run(folder).states()[-1] / "state.pt", map_location="cpu", weights_only=True)
    )


def assert_same_run(one: Path, other: Path) -> None:
    """Check that two runs recorded the same, and saved the same bits."""
    assert read_metrics(one) == read_metrics(other)
    state, other_state = read_state(one), read_state(other)
    # The record's size counts the digits of wall-clock fields too.
    assert state.keys() == other_state.keys() > {"/metrics_size"}
    for name in state.keys() - {"/metrics_size"}:
        value, other_value = state[name], other_state[name]
        if torch.is_tensor(value):
            assert value.dtype == other_value.dtype, name
            assert torch.equal(value, other_value), name
        else:
            assert value == other_value, name
    for path in ("model.safetensors", "config.json", "checkpoints/best/model.safetensors"):
        assert (one / path).read_bytes() == (other / path).read_bytes()
