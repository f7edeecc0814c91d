"""A map of embeddings in two dimensions, whose items show themselves under the pointer."""

import colorsys
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image

from pc_crvae.visualization.contact_sheet import pixels_of
from pc_crvae.visualization.view import eye_distance, palette_colors, point_radius, view_axes
from pc_crvae.visualization.web_page import element, encoded

MOST_POINTS = 256
"""Of a cloud under the pointer."""

_WIDTH, _HEIGHT, _MARGIN = 720, 520, 16  # of the map, in its own units
_PICTURE = 64  # pixels that an image under the pointer has, at most
_PIXELS = 400 * _PICTURE**2  # of all of them, which keeps the page small enough to be sent
_LOSSLESS = 32  # pixels a side up to which it is kept as it is
_PERPLEXITY = 30.0
FEWEST = 5  # items that neighbours can be preserved among

# Told apart by hue and by lightness too.
_COLORS = [
    *("#2f67b1", "#e07b39", "#3f9b57", "#c23b4b", "#7d5ba6", "#8c6d46", "#d678ae", "#6d7178"),
    *("#b5a82f", "#3aa7b8", "#93b6e0", "#f3b98b", "#98cf9f", "#e99aa2", "#bda9d8", "#c4ad8d"),
    *("#efbfd9", "#b4b7bd", "#dcd587", "#9ad9e2"),
]
_ALONE = "#2f67b1"


@dataclass(frozen=True)
class Projection:
    """Where items lie in a plane.

    Attributes:
        name: the name of the method.
        note: what it keeps, in a sentence.
        places: (n, 2).
    """

    name: str
    note: str
    places: NDArray[np.float64]


def project_codes(codes: NDArray[np.floating]) -> list[Projection]:
    """Project codes by t-SNE and by PCA.

    Nothing is drawn: t-SNE starts from PCA, and runs on one thread, so that the digits are the
    same again.

    Args:
        codes: (n, D), finite.

    Returns:
        Of fewer than five items PCA alone; of codes that all coincide none.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    centered = np.asarray(codes, dtype=np.float64) - np.mean(codes, axis=0, dtype=np.float64)
    reach = np.abs(centered).max(initial=0.0)
    if reach <= 1e-6 * np.abs(codes).max(initial=0.0) or reach == 0:
        return []
    centered /= reach
    with threadpool_limits(1):
        pca = PCA(min(2, *centered.shape), svd_solver="full").fit(centered)
        flat = pca.transform(centered)
        flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
        kept = float(pca.explained_variance_ratio_.sum())
        found = [Projection("PCA", f"two directions that keep {kept:.0%} of the variance", flat)]
        if len(centered) >= FEWEST:
            note = (
                f"neighbours stay neighbours (perplexity {_perplexity(centered):g}); distances "
                "between groups mean little"
            )
            found.insert(0, Projection("t-SNE", note, tsne(centered, flat, method="exact")))
    return found


def tsne(
    codes: NDArray[np.float64], start: NDArray[np.float64], **options: Any
) -> NDArray[np.float64]:
    """Lay codes out in the plane by t-SNE, nothing of which is drawn.

    Args:
        codes: (n, D), of at least `FEWEST` items.
        start: (n, 2) their places along two directions, from which it starts.
        options: other options of scikit-learn's ``TSNE``.

    Returns:
        (n, 2), turned, which changes no distance: the longest way across lies across the page.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    small = start / max(float(np.std(start[:, 0])), 1e-12) * 1e-4
    made = TSNE(perplexity=_perplexity(codes), init=small, random_state=0, **options)
    places = np.asarray(made.fit_transform(codes), dtype=np.float64)
    turned: NDArray[np.float64] = PCA(2, svd_solver="full").fit_transform(places)
    return turned


def _perplexity(codes: NDArray[np.float64]) -> float:
    return min(_PERPLEXITY, (len(codes) - 1) / 3)


def class_colors(count: int) -> list[str]:
    """Return one colour per class, as different as so many can be."""
    if count <= len(_COLORS):
        return _COLORS[:count]
    golden = 0.618034
    return [
        to_hex(colorsys.hls_to_rgb(place * golden % 1, (0.36, 0.52, 0.68)[place % 3], 0.55))
        for place in range(count)
    ]


def map_element(
    projections: Sequence[Projection],
    items: NDArray[np.floating],
    ids: Sequence[str],
    misclassified: Sequence[str | None],
    *,
    labels: NDArray[np.int64] | None,
    classes: Sequence[str] = (),
) -> Markup:
    """Return the map as an element of a page, which the page's script brings to life.

    Args:
        projections: the projections of the items, at least one; the first is shown first.
        items: (n, N, 3) clouds, of which at most `MOST_POINTS` points are kept, or (n, C, H, W)
            images in [0, 1].
        ids: the n names of the shapes.
        misclassified: n classes that a probe took items for; None where it was right, or not
            asked.
        labels: (n,), indices into ``classes``; None of items without any.
        classes: names.
    """
    present = [] if labels is None else sorted(set(labels.tolist()))
    colors = dict(zip(present, class_colors(len(present)), strict=True))
    of_items = [0] * len(items) if labels is None else labels.tolist()
    names = ["" if labels is None else classes[label] for label in of_items]
    of_clouds = items.ndim == 3
    places = [_on_the_map(projection.places) for projection in projections]
    content = {
        "maps": [
            {"note": projection.note, "places": of_map.tolist()}
            for projection, of_map in zip(projections, places, strict=True)
        ],
        "items": [
            {"id": item, "class": name, **({"guess": guess} if guess else {})}
            for item, name, guess in zip(ids, names, misclassified, strict=True)
        ],
        **(_clouds(items) if of_clouds else {}),
    }
    named = zip(ids, names, misclassified, strict=True)
    return element(
        __file__,
        "embedding_map.html",
        projections=projections,
        width=_WIDTH,
        height=_HEIGHT,
        dots=[
            (*place, label, colors.get(label, _ALONE), *of_item)
            for place, label, of_item in zip(places[0], of_items, named, strict=True)
        ],
        legend=[(label, colors[label], classes[label]) for label in present],
        sprite=None if of_clouds else _sprite(items),
        content=content,
    )


def _on_the_map(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale both axes alike to the map's units, rounded to what can be told apart."""
    low, high = places.min(axis=0), places.max(axis=0)
    size = np.array([_WIDTH, _HEIGHT])
    scale = float(((size - 2 * _MARGIN) / np.maximum(high - low, 1e-12)).min())
    moved = (places - (low + high) / 2) * scale * [1, -1] + size / 2
    on_the_map: NDArray[np.float64] = np.round(moved, 1)
    return on_the_map


def _clouds(clouds: NDArray[np.floating]) -> dict[str, object]:
    """Some points of each cloud, in 127ths of its radius, and the camera of every picture."""
    kept = min(MOST_POINTS, clouds.shape[1])
    levels = np.rint(np.clip(clouds[:, :kept], -1, 1) * 127).astype(np.int8)
    return {
        "clouds": {
            "points": kept,
            "data": encoded(levels),
            "axes": np.round(view_axes(), 5).tolist(),
            "distance": round(eye_distance(1.0), 4),
            "ball": round(point_radius(kept), 4),
            "colors": palette_colors(),
        }
    }


def _sprite(images: NDArray[np.floating]) -> dict[str, object]:
    """All images in one, that the script cuts out again."""
    pictures = [Image.fromarray(np.ascontiguousarray(pixels_of(image))) for image in images]
    width, height = pictures[0].size
    all_of_them = len(pictures) * width * height
    shrink = min(1.0, _PICTURE / max(width, height), (_PIXELS / all_of_them) ** 0.5)
    width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
    columns = int(np.ceil(np.sqrt(len(pictures))))
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height))
    for place, picture in enumerate(pictures):
        small = picture.resize((width, height), Image.Resampling.LANCZOS) if shrink < 1 else picture
        sheet.paste(small, (place % columns * width, place // columns * height))
    buffer = io.BytesIO()
    kind = "png" if max(width, height) <= _LOSSLESS else "jpeg"
    sheet.save(buffer, kind, quality=85)
    data = buffer.getvalue()
    return {"width": width, "height": height, "columns": columns, "data": data, "kind": kind}
