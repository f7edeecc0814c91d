"""``interpolate``: shapes along paths between latents, as a strip, a page or a window."""

import argparse
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_model_arguments, open_saved
from pc_crvae.errors import MissingPackageError, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from pc_crvae.data import CloudSet
    from pc_crvae.models.points.vae import PointVAE

DESCRIPTION = "Walk between two shapes' latents, as a picture strip, a web page or a window."


@dataclass(frozen=True)
class Pair:
    """Two latents (D,) to walk between, and their names."""

    names: tuple[str, str]
    start: "Tensor"
    end: "Tensor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        "--from",
        dest="start",
        metavar="ID",
        default=argparse.SUPPRESS,
        help="test shape to start from (default: shapes of different classes, drawn by --seed)",
    )
    parser.add_argument(
        "--to",
        dest="end",
        metavar="ID",
        default=argparse.SUPPRESS,
        help="test shape to end at (default: see --from)",
    )
    parser.add_argument(
        "--pairs", type=int, default=2, help="pairs of test shapes, where none is named"
    )
    parser.add_argument(
        "--random",
        type=int,
        default=argparse.SUPPRESS,
        help="pairs of latents drawn from the prior (default: 1, or 0 where shapes are named or "
        "the model is a plain auto-encoder, which has no prior)",
    )
    parser.add_argument("--steps", type=int, default=9, help="shapes a path, both ends included")
    parser.add_argument(
        "--kind",
        choices=("spherical", "linear"),
        default="spherical",
        help="path through the latent space",
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes what is drawn")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder of the pictures and the page (default: interpolation in --ckpt's folder)",
    )
    parser.add_argument(
        "--renderer",
        choices=("auto", "open3d", "matplotlib"),
        default="auto",
        help="what draws the strip; auto: Open3D where it can, else matplotlib",
    )
    parser.add_argument("--view", action="store_true", help="also open an Open3D window")


def run(options: argparse.Namespace) -> None:
    """Interpolate."""
    out: Path = getattr(options, "out", options.ckpt / "interpolation")
    start, end = getattr(options, "start", None), getattr(options, "end", None)
    if (start is None) != (end is None):
        raise UserError("--from and --to go together: name both shapes, or neither")
    if options.steps < 2:
        raise UserError(f"--steps must be at least 2, both ends included, not {options.steps}")
    if options.pairs < 0 or getattr(options, "random", 0) < 0:
        raise UserError("--pairs and --random must not be negative")

    saved = open_saved(options)
    model = saved.point_model
    shapes = saved.clouds("test")
    if start is not None and end is not None:
        chosen = [(_index_of(shapes, start), _index_of(shapes, end))]
    else:
        chosen = _different_pairs(shapes, options.pairs, options.seed)
    pairs = [_between_shapes(model, shapes, first, last) for first, last in chosen]
    has_prior = model.posterior_kind == "gaussian"
    random: int = getattr(options, "random", int(has_prior and start is None))
    if random and not has_prior:
        raise UserError(f"{saved.folder} is a plain auto-encoder: it has no prior for --random")
    pairs += _between_draws(model, random, options.seed)
    if not pairs:
        raise UserError("nothing to interpolate: --pairs and --random are both 0")

    from pc_crvae.latents.interpolation import interpolate_latents
    from pc_crvae.visualization.offscreen import render_strip
    from pc_crvae.visualization.pages import InterpolationPath, interpolation_page

    paths = []
    for pair in pairs:
        title = " to ".join(pair.names)
        try:
            latents = interpolate_latents(pair.start, pair.end, options.steps, options.kind)
        except ValueError:
            raise UserError(
                f"{title}: the latents point in opposite directions, which no single great circle "
                "joins: use --kind linear"
            ) from None
        shares = [step / (options.steps - 1) for step in range(options.steps)]
        labels = [pair.names[0], *(f"{share:.0%}" for share in shares[1:-1]), pair.names[1]]
        clouds = model.decode(latents).numpy()
        paths.append(InterpolationPath(title, clouds, labels))

    renderer = options.renderer
    for number, path in enumerate(paths, start=1):
        strip = out / f"strip-{number}.png"
        how = render_strip(list(path.clouds), strip, path.labels, renderer=renderer)
        print(f"strip: {strip} ({how})")
        if "matplotlib" in how:
            renderer = "matplotlib"  # what failed once is not waited for again
    page = out / "interpolation.html"
    try:
        interpolation_page(paths, page)
        print(f"page: {page}")
    except MissingPackageError as error:
        print(f"left out: {error}")
    if options.view:
        from pc_crvae.visualization.window import show_interpolation

        show_interpolation(paths)


def _index_of(shapes: "CloudSet", name: str) -> int:
    if name in shapes.ids:
        return shapes.ids.index(name)
    near = difflib.get_close_matches(name, shapes.ids, n=1, cutoff=0.0)
    raise UserError(
        f"the test split of {shapes.name} has no shape {name}: did you mean {near[0]}? "
        f"ids run from {shapes.ids[0]} to {shapes.ids[-1]}"
    )


def _different_pairs(shapes: "CloudSet", count: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of random shapes, of different classes where there are labels."""
    from pc_crvae.randomness.keys import keyed_numpy_generator

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


def _between_shapes(model: "PointVAE", shapes: "CloudSet", first: int, last: int) -> Pair:
    points = shapes.batch([first, last], min(model.points, shapes.points.shape[1]), "interpolate")
    start, end = model.embed(points)
    return Pair((shapes.ids[first], shapes.ids[last]), start, end)


def _between_draws(model: "PointVAE", count: int, seed: int) -> list[Pair]:
    """Pairs of draws from the prior."""
    import torch

    from pc_crvae.randomness.draws import keyed_generator

    generator = keyed_generator("interpolation draws", seed)
    draws = torch.randn(count, 2, model.latent_dim, generator=generator)
    return [
        Pair((f"draw {2 * pair + 1}", f"draw {2 * pair + 2}"), start, end)
        for pair, (start, end) in enumerate(draws)
    ]
