"""What a data set holds, in numbers: items a class, points, extents, sizes and values of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data import load
from pc_crvae.data.cache.shape_sets import prepare_shapes
from pc_crvae.data.cards import Card, Split, load_card
from pc_crvae.data.clouds import CloudSet, extents
from pc_crvae.data.images import ImageSet
from pc_crvae.data.layouts import has_a_file_a_shape, reader_of
from pc_crvae.data.roots import find_root

_MOST_CLOUDS = 1000
"""That distinct points are counted in, spread evenly over a split."""


def summarize(
    name: str | Path,
    *,
    splits: Sequence[Split] | None = None,
    root: Path | None = None,
    up: str | None = None,
    allow_refused: bool = False,
) -> dict[str, Any]:
    """Summarise a data set in plain values.

    Args:
        name: the name of a card, or the path of one's own.
        splits: those to summarise; every one of the card's by default.
        root: the folder of the files, instead of where they are looked for by default.
        up: the axis that points up in the files, instead of what the card says.
        allow_refused: a set of many files may be short of those that cannot be used.

    Returns:
        ``name``, ``modality``, ``classes`` and, for each split under ``splits``, its ``count``,
        ``per_class`` (counts by class name; None where unlabelled) and either ``points`` (a cloud),
        ``distinct_points`` and ``extent`` (the longest side of the bounding box in the files'
        units) by their least, median and greatest, or ``channels``, ``height``, ``width`` and
        ``values`` (least, mean and greatest, of 0 to 255).

    Raises:
        UserError: the set is missing or cannot be read.
    """
    card = load_card(name)
    summaries = {}
    classes: dict[str, None] = {}  # in order; those of the splits may differ
    for split in splits or card.splits:
        items = load(name, split, root=root, up=up, allow_refused=allow_refused)
        summary: dict[str, Any] = {"count": len(items), "per_class": _per_class(items)}
        if isinstance(items, CloudSet):
            summary |= _of_clouds(items, _raw_extents(card, split, root, up))
        else:
            summary |= _of_images(items)
        summaries[split] = summary
        classes |= dict.fromkeys(items.classes)
    about = {"name": card.name, "modality": card.modality, "classes": list(classes)}
    return about | {"splits": summaries}


def _per_class(items: CloudSet | ImageSet) -> dict[str, int] | None:
    if items.labels is None:
        return None
    counts = np.bincount(items.labels, minlength=len(items.classes))
    return dict(zip(items.classes, counts.tolist(), strict=True))


def _of_clouds(clouds: CloudSet, sides: NDArray[np.float64]) -> dict[str, Any]:
    rows = np.unique(np.linspace(0, len(clouds) - 1, min(len(clouds), _MOST_CLOUDS)).astype(int))
    distinct = np.array([len(np.unique(clouds.points[int(row)], axis=0)) for row in rows])
    points = clouds.points.shape[1]
    return {"points": points, "distinct_points": _spread(distinct), "extent": _spread(sides)}


def _raw_extents(
    card: Card, split: Split, root: Path | None, up: str | None
) -> NDArray[np.float64]:
    """Return the longest side of each cloud as its file has it."""
    folder = find_root(card, root)
    if folder is not None and has_a_file_a_shape(card):
        prepared = prepare_shapes(card, split, folder, up)
        # Turned upright, a bounding box has the same sides.
        return extents(np.asarray(prepared.clouds.points)) * prepared.scales
    return extents(reader_of(card).read_split(folder, split, card).array)


def _of_images(images: ImageSet) -> dict[str, Any]:
    pixels = np.asarray(images.images)
    _, channels, height, width = pixels.shape
    mean = pixels.sum(dtype=np.uint64) / pixels.size
    values = {"least": int(pixels.min()), "mean": float(mean), "greatest": int(pixels.max())}
    return {"channels": channels, "height": height, "width": width, "values": values}


def _spread(values: NDArray[Any]) -> dict[str, float]:
    least, median, greatest = float(values.min()), float(np.median(values)), float(values.max())
    return {"least": least, "median": median, "greatest": greatest}
