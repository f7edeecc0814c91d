"""How far the weights of two runs of one config lie apart."""

from pathlib import Path

import torch
from accelerate.utils import set_seed
from safetensors.torch import load_file

from pc_crvae.config import load_config
from pc_crvae.training.build import build_model

_DIGITS = (1, 8, 8)
_ROUNDING = 1e-5


def relative_difference(alone: Path, together: Path) -> float:
    """Of what training changed: the largest over tensors, parameters and statistics alike.

    A shift before a batch-norm has no gradient but rounding, and is only asked to stay put.
    """
    config = load_config(alone / "config.yaml")
    set_seed(config.seed)
    start = build_model(config, _DIGITS).state_dict()
    ours, theirs = load_file(alone / "model.safetensors"), load_file(together / "model.safetensors")
    moved = {
        name: float((ours[name] - start[name]).norm())
        for name in start
        if start[name].is_floating_point()
    }
    changed = [name for name in moved if moved[name] > _ROUNDING]
    assert len(changed) >= len(start) / 2
    for name in moved.keys() - set(changed):
        assert float((theirs[name] - start[name]).norm()) < 10 * _ROUNDING, name
    resolution = torch.finfo(torch.float32).eps
    return max(
        (float((ours[name] - theirs[name]).norm()) - resolution * float(ours[name].norm()))
        / moved[name]
        for name in changed
    )
