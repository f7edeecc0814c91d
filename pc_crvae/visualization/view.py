"""The one camera, palette and point size that every picture of clouds shares.

The camera looks at the origin from in front, to the right and above (three-quarter view, z up).
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex

AZIMUTH_DEGREES = -58.0
ELEVATION_DEGREES = 24.0
FIELD_OF_VIEW_DEGREES = 30.0
PALETTE = LinearSegmentedColormap.from_list(
    "height", ["#3d348b", "#2f67b1", "#2a9d9a", "#8ccb6e", "#f9d65c"]
)


def as_clouds(clouds: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the clouds as float64 arrays ``(N, 3)``, each with its own N.

    Raises:
        ValueError: There is no cloud, or one is not ``(N, 3)`` with N > 0, or not finite.
    """
    arrays = [np.asarray(cloud, dtype=np.float64) for cloud in clouds]
    if not arrays:
        raise ValueError("expected at least one cloud, got none")
    for index, cloud in enumerate(arrays):
        if cloud.ndim != 2 or cloud.shape[1] != 3 or len(cloud) == 0:
            raise ValueError(f"cloud {index} must have shape (N, 3), N > 0, got {cloud.shape}")
        if not np.isfinite(cloud).all():
            raise ValueError(f"cloud {index} holds values that are not finite")
    return arrays


def largest_radius(clouds: Sequence[np.ndarray]) -> float:
    """Return the largest distance of any point from the origin, at least 1e-6."""
    return max(1e-6, *(float(np.linalg.norm(cloud, axis=1).max()) for cloud in clouds))


def height_colors(points: np.ndarray) -> np.ndarray:
    """Return colours ``(N, 3)``, sRGB in [0, 1], from the cloud's lowest point to its highest.

    A cloud flatter than a quarter of its radius keeps to the palette's beginning, so that the
    noise of a flat one is not spread over all colours.
    """
    heights = points[:, 2] - points[:, 2].min()
    colors: np.ndarray = PALETTE(heights / max(heights.max(), 0.25 * largest_radius([points])))
    return colors[:, :3]


def palette_colors() -> list[str]:
    """Return the palette as 32 colours of HTML, the lowest first, for pages that draw."""
    return [to_hex(PALETTE(share)) for share in np.linspace(0, 1, 32).tolist()]


def point_radius(count: int) -> float:
    """Return the radius at which ``count`` balls on a shape of radius 1 almost touch."""
    return float(np.clip(0.95 / np.sqrt(count), 0.008, 0.05))


def ball_on_page(count: int) -> float:
    """Return the radius of ``count`` balls that a page draws, as a share of the picture's side."""
    return point_radius(count) / 2  # half the side shows a little more than the shape's radius


def view_axes() -> np.ndarray:
    """Return the camera's orthonormal right, up and backward axes as rows ``(3, 3)``."""
    azimuth, elevation = np.radians([AZIMUTH_DEGREES, ELEVATION_DEGREES])
    backward = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return np.stack([right, np.cross(backward, right), backward])


def project(points: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Project points as a camera at ``distance`` from the origin sees them.

    Returns:
        Places in the picture plane through the origin ``(N, 2)``, and the magnification
        ``(N,)``: 1 at the origin's depth, larger nearer the camera.
    """
    seen = points @ view_axes().T
    magnification = distance / (distance - seen[:, 2])
    return seen[:, :2] * magnification[:, None], magnification


def eye_distance(radius: float) -> float:
    """Return how far the camera stands for a ball of ``radius`` to fill the field of view."""
    return radius / float(np.sin(np.radians(FIELD_OF_VIEW_DEGREES / 2)))
