"""Paths between the latents of shapes, and of draws of the prior, decoded and drawn."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from pc_crvae.data.clouds import CloudSet
from pc_crvae.errors import UserError
from pc_crvae.latents.interpolation import InterpolationKind, interpolate_latents
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.randomness.draws import keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.visualization.offscreen import render_strip
from pc_crvae.visualization.pages import InterpolationPath

_EVERY = 4
"""Steps of a path from one that a strip shows to the next, so that the page moves smoothly."""

Ends = tuple[tuple[str, Tensor], tuple[str, Tensor]]
"""Two latents (D,) to walk between, and their names."""


def paths_between(
    model: PointVAE,
    shapes: CloudSet,
    *,
    named: tuple[str, str] | None = None,
    pairs: int = 2,
    random: int | None = None,
    steps: int = 9,
    kind: InterpolationKind = "spherical",
    seed: int = 0,
) -> list[InterpolationPath]:
    """Decode along paths between shapes, and between draws of the prior.

    Args:
        model: the model, in evaluation mode.
        shapes: the shapes that the ends are taken from.
        named: ids of the shapes at the two ends of the only path between shapes.
        pairs: the pairs of shapes of different classes that are drawn, where none is named.
        random: pairs of draws; None for one, where no shapes are named and the model has a prior.
        steps: shapes a path, both ends included; three more are decoded between each and the next.
        kind: the kind of path through the latent space.
        seed: fixes what is drawn.

    Raises:
        UserError: an unknown shape, too few shapes for a pair, draws of a model without a prior,
            latents that no path of the kind joins, or nothing to do.
    """
    if named is not None:
        first, last = (_index_of(shapes, name) for name in named)
        chosen = [(first, last)]
    else:
        chosen = _different_pairs(shapes, pairs, seed)
    if random is None:
        random = int(model.has_prior and named is None)
    if random and not model.has_prior:
        raise UserError(
            "the model is a plain auto-encoder, which has no prior to draw pairs of latents from"
        )
    ends = [_between_shapes(model, shapes, *pair) for pair in chosen]
    ends += _between_draws(model, random, seed)
    if not ends:
        raise UserError("nothing to interpolate: no pair of shapes, and none of draws of the prior")
    return [_path(model, pair, steps, kind) for pair in ends]


def write_strips(
    paths: Sequence[InterpolationPath],
    folder: Path,
    renderer: Literal["auto", "open3d", "matplotlib"] = "auto",
) -> Iterator[tuple[Path, str]]:
    """Write a picture of each path, one after the other.

    Yields:
        The picture's path, and how it was rendered.

    Raises:
        UserError: a picture cannot be rendered or written.
    """
    for number, path in enumerate(paths, start=1):
        strip = folder / f"strip-{number}.png"
        clouds, labels = list(path.clouds[:: path.every]), path.labels[:: path.every]
        how = render_strip(clouds, strip, labels, renderer=renderer)
        yield strip, how
        if "matplotlib" in how:
            renderer = "matplotlib"  # what failed once is not waited for again


def _path(model: PointVAE, ends: Ends, steps: int, kind: InterpolationKind) -> InterpolationPath:
    (first, start), (last, end) = ends
    title = f"{first} to {last}"
    count = (steps - 1) * _EVERY + 1
    try:
        latents = interpolate_latents(start, end, count, kind)
    except ValueError:
        raise UserError(
            f"{title}: the latents point in opposite directions, which no single great circle "
            "joins: take a linear path"
        ) from None
    shares = [step / (count - 1) for step in range(count)]
    labels = [first, *(f"{share:.0%}" for share in shares[1:-1]), last]
    return InterpolationPath(title, model.decode(latents).numpy(), labels, _EVERY)


def _index_of(shapes: CloudSet, name: str) -> int:
    if name in shapes.ids:
        return shapes.ids.index(name)
    near = difflib.get_close_matches(name, shapes.ids, n=1, cutoff=0.0)
    raise UserError(
        f"the test split of {shapes.name} has no shape {name}: did you mean {near[0]}? "
        f"ids run from {shapes.ids[0]} to {shapes.ids[-1]}"
    )


def _different_pairs(shapes: CloudSet, count: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of random shapes, of different classes where there are labels."""
    if count and len(shapes) < 2:
        raise UserError(f"{shapes.name} has {len(shapes)} test shapes, too few for a pair")
    generator = keyed_numpy_generator("interpolation pairs", seed)
    pairs = []
    for _ in range(count):
        first, last = generator.choice(len(shapes), 2, replace=False)
        if shapes.labels is not None:
            others = (shapes.labels != shapes.labels[first]).nonzero()[0]
            last = generator.choice(others) if len(others) else last
        pairs.append((int(first), int(last)))
    return pairs


def _between_shapes(model: PointVAE, shapes: CloudSet, first: int, last: int) -> Ends:
    points = shapes.batch([first, last], min(model.points, shapes.points.shape[1]), "interpolate")
    start, end = model.latents(points)
    return (shapes.ids[first], start), (shapes.ids[last], end)


def _between_draws(model: PointVAE, count: int, seed: int) -> list[Ends]:
    generator = keyed_generator("interpolation draws", seed)
    draws = torch.randn(count, 2, model.latent_dim, generator=generator)
    return [
        ((f"draw {2 * pair + 1}", start), (f"draw {2 * pair + 2}", end))
        for pair, (start, end) in enumerate(draws)
    ]
