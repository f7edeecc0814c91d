"""What a camera sees of a cloud: the points that no surface hides, without knowing the surface.

The hidden point removal of Katz, Tal & Basri ("Direct Visibility of Point Sets", SIGGRAPH 2007):
every point is mirrored in a large sphere around the camera, p to p + 2 (R - |p|) p / |p|, and
those on the convex hull of the mirrored points and the camera are the visible ones.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

CAMERA_DISTANCE = 10.0
"""From the origin, in radii of the shape: near to a view in parallel, which sees half a sphere."""

SPHERE_RADIUS = 100.0
"""R, in distances of the farthest point. The larger, the more counts as seen: here hollows wider
than a tenth of a shape's radius do, and what lies behind 1,024 points of a thin wall does not."""

_FLAT = 1e-9  # extent, relative to the largest, below which mirrored points span no dimension


def visible_points(points: NDArray[np.floating], camera: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which points of a cloud are seen from a place.

    Args:
        points: (N, 3), N > 0, computed on in float64.
        camera: (3,), where none of the points is.

    Returns:
        (N,) True where seen; points at one place are seen together or not at all.
    """
    places, place_of = np.unique(points.astype(np.float64), axis=0, return_inverse=True)
    from_camera = places - camera.astype(np.float64)
    distances = np.linalg.norm(from_camera, axis=1, keepdims=True)
    mirrored = from_camera * (2 * SPHERE_RADIUS * distances.max() / distances - 1)
    on_hull = _on_hull(np.vstack([mirrored, np.zeros(3)]))[:-1]
    return on_hull[place_of.reshape(-1)]


def camera_at(elevation: float, azimuth: float) -> NDArray[np.float64]:
    """Return a camera's place (3,), looking at the origin from `CAMERA_DISTANCE`.

    Args:
        elevation: above the horizon, in degrees; 90 is straight above.
        azimuth: about the vertical, in degrees from x towards y.
    """
    up, around = np.deg2rad(elevation), np.deg2rad(azimuth)
    direction = [np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)]
    return CAMERA_DISTANCE * np.array(direction)


def _on_hull(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of distinct points (N, 3), the last at 0, are corners of their convex hull.

    A flat cloud seen edge on spans a plane with the camera, and one in line with it a line.
    """
    _, extents, directions = np.linalg.svd(points, full_matrices=False)
    rank = int((extents > _FLAT * extents[0]).sum())
    within = points @ directions[:rank].T  # the same points in the space that they span
    corners = (
        np.array([within[:, 0].argmin(), within[:, 0].argmax()])
        if rank == 1
        else ConvexHull(points if rank == 3 else within).vertices
    )
    found = np.zeros(len(points), dtype=np.bool_)
    found[corners] = True
    return found
