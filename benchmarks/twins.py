"""How often a shape's like is found first, and among five, in a folder of classes.

    python -m benchmarks.twins FOLDER --ckpt pretrained-so3

Each file of FOLDER/CLASS/ asks for the others by the cosine of the vectors, as ``search`` does. In
the labelled Princeton benchmark of two meshes a class a shape's like is its one twin.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pc_crvae
from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Embed the folder and print the two counts."""
    parser = argparse.ArgumentParser(description="Count likes found first, and among five.")
    parser.add_argument("folder", type=Path, help="holds a folder of meshes for each class")
    parser.add_argument("--ckpt", default=DEFAULT_MODEL, help="a model, as of pc-crvae embed")
    parser.add_argument("--average-over", default=None, help="as of pc-crvae embed")
    options = parser.parse_args(arguments)
    try:
        index = pc_crvae.embed(
            options.folder, model=options.ckpt, average_over=options.average_over
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    classes = np.array([Path(one).parts[0] for one in index.ids])
    first, among_five = found(index.vectors, classes)
    print(f"{len(classes)} shapes: {first} find their like first, {among_five} among five")
    return 0


def found(vectors: NDArray[np.floating], classes: NDArray[np.str_]) -> tuple[int, int]:
    """Count the rows whose nearest other is of their class, and that have one among five.

    Args:
        vectors: (n, D) finite.
        classes: (n,) names.
    """
    units = unit_rows(vectors)
    likeness = units @ units.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :5]
    alike = classes[nearest] == classes[:, None]
    return int(alike[:, 0].sum()), int(alike.any(axis=1).sum())


if __name__ == "__main__":
    sys.exit(main())
