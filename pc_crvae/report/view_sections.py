"""The sections of what a model makes of items: reconstructions, the map, paths, samples."""

from collections.abc import Mapping

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from pc_crvae.geometry import chamfer_distance
from pc_crvae.report.page import paragraph, tile_rows
from pc_crvae.report.views import Views
from pc_crvae.visualization.contact_sheet import Tile
from pc_crvae.visualization.embedding_map import MOST_POINTS, map_element, project_codes


def reconstructions(views: Views) -> Markup:
    """Items shown, and below each what the model makes of it."""
    given = [
        _tile(views, views.inputs[row], views.items.ids[row], views.items.class_of(row))
        for row in views.shown
    ]
    inputs = views.inputs[list(views.shown)]
    if views.items.holds == "points":
        tensors = (torch.from_numpy(views.reconstructions), torch.from_numpy(inputs))
        errors = chamfer_distance(*tensors).tolist()
        name, meaning = "Chamfer", "Chamfer distance: squared, the sum of both directions"
    else:
        squares = np.square(views.reconstructions - inputs).reshape(len(inputs), -1)
        errors = np.sqrt(squares.mean(axis=1)).tolist()
        name, meaning = "RMSE", "RMSE: of pixels in [0, 1]"
    made = [
        _tile(views, one, f"{name} {error:.4f}")
        for one, error in zip(views.reconstructions, errors, strict=True)
    ]
    rows = tile_rows([given, made], ["inputs", "reconstructions"])
    return rows + paragraph(
        f"Of the {views.items.split} split of {views.items.name}, drawn at random, one of each "
        f"class first. {meaning}.",
        "quiet",
    )


def embedding_map(views: Views, misclassified: Mapping[str, str], seed: int) -> Markup:
    """The map of embeddings; what the probe got wrong has a ring."""
    items, count = views.items, len(views.items)
    projections = project_codes(views.codes)
    if not projections:
        return paragraph(
            f"The embeddings of all {count:,} items drawn coincide: the posterior does not depend "
            "on its input (it has collapsed), so there is no map.",
            "damaged",
        )
    wrong = [misclassified.get(item) for item in items.ids]
    ring = " Dark rings: items that the probe's classifier got wrong." if any(wrong) else ""
    told = (
        f"{count:,} items of the {items.split} split of {items.name}, drawn at random; posterior "
        f"means.{ring}"
    )
    # More of a cloud, where the model is given few of its points.
    points = min(MOST_POINTS, items.array.shape[1])
    shown = items.batch(range(count), points, "report map", seed)
    element = map_element(
        projections, shown, items.ids, wrong, labels=items.labels, classes=items.classes
    )
    return element + paragraph(told, "quiet")


def interpolation(views: Views) -> Markup:
    """What is decoded along paths between items shown."""
    if not views.paths:
        return paragraph("A path needs two items to join.", "missing")
    rows, titles = [], []
    for path in views.paths:
        first, last = (views.shown[end] for end in path.ends)
        names = [views.items.ids[row] for row in (first, last)]
        between = [f"{share:.0%}" for share in np.linspace(0, 1, len(path.steps))]
        rows.append(
            [_tile(views, step, name) for step, name in zip(path.steps, between, strict=True)]
        )
        titles.append(f"{names[0]} to {names[1]}, {path.kind}")
    return tile_rows(rows, titles) + paragraph(
        "Decoded along paths between the latents of items above.", "quiet"
    )


def samples(views: Views) -> Markup:
    """What is decoded of draws of the prior."""
    if views.samples is None:
        return paragraph("A plain auto-encoder has no prior to draw from.", "missing")
    tiles = [_tile(views, one, f"draw {n}") for n, one in enumerate(views.samples, start=1)]
    return tile_rows([tiles], [""])


def _tile(views: Views, of: NDArray[np.float32], caption: str, note: str = "") -> Tile:
    return Tile(caption, of if views.items.holds == "points" else np.clip(of, 0, 1), note)
