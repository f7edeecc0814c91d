"""What a report shows of a model: some items, and what the model makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.finite import finite
from pc_crvae.evaluation.images.pictures import interpolation_rows
from pc_crvae.latents.interpolation import InterpolationKind, interpolate_latents
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.randomness.keys import keyed_numpy_generator

_SHOWN = 8
_PATHS = 2
_STEPS = 8

Arrays = NDArray[np.float32]
Model = PretrainedVAE | PretrainedNVAE


@dataclass(frozen=True, eq=False)
class Path:
    """A path between the latents of two items.

    Attributes:
        ends: the two of the items shown that it joins.
        steps: (S, ...) what is decoded along it.
        kind: the way in which it runs, in words.
    """

    ends: tuple[int, int]
    steps: Arrays
    kind: str


@dataclass(frozen=True, eq=False)
class Views:
    """Items drawn from a split, and what a model makes of them.

    Attributes:
        items: n, in the order drawn.
        inputs: (n, ...) what the model was given of them.
        codes: (n, D) its embeddings, as `embed` gives them.
        shown: the few of these items that are looked at, one of each class first.
        reconstructions: (k, ...) of the shown.
        paths: the paths between pairs of the shown items.
        samples: (k, ...) draws of the prior; None for a plain auto-encoder, which has none.
    """

    items: ItemSet
    inputs: Arrays
    codes: Arrays
    shown: Sequence[int]
    reconstructions: Arrays
    paths: Sequence[Path]
    samples: Arrays | None


def look_at(model: Model, split: ItemSet, count: int, seed: int) -> Views:
    """Draw items and have the model embed, reconstruct and join them.

    Args:
        model: the model, in evaluation mode.
        split: the split of its modality.
        count: items drawn, at most.
        seed: fixes which items, their points, and the samples.

    Raises:
        UserError: no items, or a model that gives no numbers.
    """
    if len(split) == 0:
        raise UserError(f"the {split.split} split of {split.name} is empty")
    order = keyed_numpy_generator("report", seed).permutation(len(split))[:count]
    items = split.subset(order)
    points = 0
    if isinstance(model, PointVAE) and isinstance(items, CloudSet):
        points = min(model.points, items.points.shape[1])
    inputs = items.batch(range(len(items)), points, "report", seed)
    codes = finite(model.vectors(torch.from_numpy(inputs)), "embeddings").numpy()
    shown = items.one_of_each_class_first()[:_SHOWN].tolist()
    looked_at = torch.from_numpy(inputs[shown])
    samples = None
    if isinstance(model, PretrainedNVAE) or model.has_prior:
        samples = finite(model.sample(_SHOWN, seed), "samples").numpy()
    return Views(
        items=items,
        inputs=inputs,
        codes=codes,
        shown=shown,
        reconstructions=finite(model.reconstructions(looked_at, seed), "reconstructions").numpy(),
        paths=_paths(model, inputs, shown, seed),
        samples=samples,
    )


def _paths(model: Model, inputs: Arrays, shown: Sequence[int], seed: int) -> list[Path]:
    """Paths between the first two shown, the next two, and so on."""
    count = min(_PATHS, len(shown) // 2)
    ends = [(2 * place, 2 * place + 1) for place in range(count)]
    if isinstance(model, PretrainedNVAE):
        pixels = torch.from_numpy(inputs[shown[: 2 * count]])
        rows = interpolation_rows(model, pixels, seed) if count else []
        return [
            Path(pair, finite(torch.from_numpy(row), "paths").numpy(), "spherical, group by group")
            for pair, row in zip(ends, rows, strict=True)
        ]
    paths: list[Path] = []
    if not ends:
        return paths
    # Embedded may be something else than the latents, which are decoded.
    latents_of_ends = model.encode(torch.from_numpy(inputs[shown[: 2 * count]]))
    for first, last in ends:
        start, end = latents_of_ends[first], latents_of_ends[last]
        kind: InterpolationKind = "spherical"
        try:
            latents = interpolate_latents(start, end, _STEPS, kind)
        except ValueError:  # opposite directions, as those of a single dimension are
            kind = "linear"
            latents = interpolate_latents(start, end, _STEPS, kind)
        paths.append(Path((first, last), finite(model.decode(latents), "paths").numpy(), kind))
    return paths
