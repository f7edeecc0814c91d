"""Strips of clouds rendered by Open3D without a screen, or by matplotlib where it cannot.

Open3D renders in a child process: ``python -m pc_crvae.visualization.offscreen IN.npz OUT.npz``.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ImageColor

from pc_crvae.errors import UserError
from pc_crvae.visualization import open3d_scene
from pc_crvae.visualization.child import ChildFailedError, run_with_open3d
from pc_crvae.visualization.contact_sheet import CARD, Tile, contact_sheet
from pc_crvae.visualization.view import FIELD_OF_VIEW_DEGREES, as_clouds, largest_radius

_SIDE = 560
_TIME_LIMIT_SECONDS = 60
_ATTEMPTS = 2


def render_strip(
    clouds: Sequence[np.ndarray],
    path: Path | str,
    titles: Sequence[str],
    *,
    renderer: Literal["auto", "open3d", "matplotlib"] = "auto",
) -> str:
    """Write a picture of clouds side by side, at one scale, seen by one camera.

    Args:
        clouds: Clouds ``(N, 3)``, z up, about the origin.
        path: The picture to write; its suffix chooses the format.
        titles: A title for each cloud.
        renderer: ``open3d`` (lit balls that cast shadows), ``matplotlib``, or ``auto``: Open3D
            where it works, else matplotlib.

    Returns:
        Which renderer made the picture and, if it is not the one preferred, why.

    Raises:
        ValueError: A cloud is not ``(N, 3)`` and finite, or the titles are too many or few.
        UserError: Open3D was demanded and cannot render here, or the picture could not be
            written.
    """
    items: Sequence[np.ndarray] = as_clouds(clouds)
    how = "rendered by matplotlib"
    if renderer != "matplotlib":
        try:
            images = _cropped(_on_white(_render_in_child(items)))
            items = [*_on_card(images).transpose(0, 3, 1, 2)]
            how = "rendered by Open3D"
        except ChildFailedError as error:
            if renderer == "open3d":
                raise UserError(
                    f"Open3D cannot render {path}: {error}; mend that or choose another renderer"
                ) from error
            how += f": {error}"
    tiles = [Tile(title, item) for title, item in zip(titles, items, strict=True)]
    contact_sheet([tiles], path, width=_SIDE // 2)
    return how


def _render_in_child(clouds: Sequence[np.ndarray]) -> np.ndarray:
    """Return Open3D's images ``(len(clouds), H, W, 3)`` uint8."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "clouds.npz"), Path(folder, "images.npz")
        np.savez(source, *clouds)
        run_with_open3d(
            __name__, source, target, time_limit=_TIME_LIMIT_SECONDS, attempts=_ATTEMPTS
        )
        with np.load(target, allow_pickle=False) as arrays:
            images: np.ndarray = arrays["images"]
            return images


def _on_white(images: np.ndarray) -> np.ndarray:
    """Brighten images ``(n, H, W, 3)`` uint8 until the lit floor, seen at their edges, is white."""
    edges = np.concatenate([images[:, :, 0], images[:, :, -1], images[:, -1]], axis=1)
    floor = np.median(edges, axis=(0, 1))
    brightened: np.ndarray = np.minimum(images * (260 / floor), 255).astype(np.uint8)
    return brightened


def _on_card(images: np.ndarray) -> np.ndarray:
    """Give what is white in images ``(n, H, W, 3)`` uint8 the colour behind a tile."""
    return (images * (np.array(ImageColor.getrgb(CARD)) / 255)).astype(np.uint8)


def _cropped(images: np.ndarray) -> np.ndarray:
    """Cut images ``(n, H, W, 3)`` uint8 to the part that is not white in all of them."""
    drawn = np.any(images < 250, axis=(0, 3))
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if len(rows) == 0:
        return images
    margin = images.shape[1] // 40
    return images[
        :,
        max(0, rows[0] - margin) : rows[-1] + margin,
        max(0, columns[0] - margin) : columns[-1] + margin,
    ]


def _render(source: Path, target: Path) -> None:
    """Render every cloud of ``source`` and write the images to ``target``."""
    open3d = open3d_scene.import_open3d()
    with np.load(source, allow_pickle=False) as arrays:
        clouds = [arrays[f"arr_{index}"] for index in range(len(arrays.files))]
    renderer = open3d.visualization.rendering.OffscreenRenderer(_SIDE, _SIDE)
    open3d_scene.light_scene(renderer.scene)
    open3d_scene.add_clouds(renderer.scene, clouds)
    renderer.setup_camera(FIELD_OF_VIEW_DEGREES, *open3d_scene.camera_pose(largest_radius(clouds)))
    images = []
    for index in range(len(clouds)):
        open3d_scene.show_instead(renderer.scene, index, previous=index - 1 if index else None)
        images.append(np.asarray(renderer.render_to_image()).copy())
    np.savez(target, images=np.stack(images))


if __name__ == "__main__":
    _render(Path(sys.argv[1]), Path(sys.argv[2]))
