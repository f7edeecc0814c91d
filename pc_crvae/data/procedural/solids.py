"""Triangle meshes of simple solids.

A mesh is a triangle soup: nothing here needs shared vertices, orientation or watertightness,
so parts are joined by concatenation and may overlap.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pc_crvae.data.surface_sampling import Mesh

Points = NDArray[np.float64]
"""Points in the plane (K, 2) or in space (K, 3)."""

X, Y = 0, 1


def loft(rings: Points, *, capped: bool = True) -> Mesh:
    """Skin a sequence of closed cross-sections.

    Args:
        rings: (K, S, 3), K cross-sections of S points each; point s of one is joined to point s
            of the next.
        capped: close the first and the last ring with a fan about their centroids, which must
            see every point of the ring.
    """
    following = rings[:, np.arange(1, rings.shape[1] + 1) % rings.shape[1]]
    skin = [
        np.stack((rings[:-1], following[:-1], following[1:]), axis=2),
        np.stack((rings[:-1], following[1:], rings[1:]), axis=2),
    ]
    if capped:
        ends, ends_following = rings[[0, -1]], following[[0, -1]]
        centroids = np.broadcast_to(ends.mean(axis=1, keepdims=True), ends.shape)
        skin.append(np.stack((ends, ends_following, centroids), axis=2))
    return np.concatenate([triangles.reshape(-1, 3, 3) for triangles in skin])


def prism(outline: Points, bottom: float, top: float) -> Mesh:
    """Extrude an outline (S, 2) in the x-y plane along z."""
    rings = np.empty((2, len(outline), 3))
    rings[..., :2] = outline
    rings[..., 2] = [[bottom], [top]]
    return loft(rings)


_UNIT_BOX = prism(np.array([(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)]), 0.0, 1.0)


def box(size: ArrayLike, base: ArrayLike) -> Mesh:
    """Box of ``size`` (depth, width, height) whose lowest face is centred on ``base``."""
    return moved(_UNIT_BOX * np.asarray(size), base)


def frustum(
    bottom: tuple[float, float, float],
    top: tuple[float, float, float],
    heights: tuple[float, float],
) -> Mesh:
    """Six-sided block between two level rectangles, each (rear x, front x, width about y = 0)."""
    rings = np.empty((2, 4, 3))
    for ring, (rear, front, width), z in zip(rings, (bottom, top), heights, strict=True):
        ring[:, 0] = front, rear, rear, front
        ring[:, 1] = np.array((1, 1, -1, -1)) * width / 2
        ring[:, 2] = z
    return loft(rings)


def revolve(profile: ArrayLike, *, segments: int = 24) -> Mesh:
    """Turn a profile (K, 2) of (radius, z) about the z axis; ends of radius > 0 stay open."""
    radius, z = np.asarray(profile, dtype=np.float64).T
    circle = superellipse(2.0, 2.0, samples=segments)
    rings = np.empty((len(radius), segments, 3))
    rings[..., :2] = radius[:, None, None] * circle
    rings[..., 2] = z[:, None]
    return loft(rings, capped=False)


def cylinder(radius: float, bottom: float, top: float) -> Mesh:
    """Closed upright cylinder about the z axis."""
    return revolve([(0.0, bottom), (radius, bottom), (radius, top), (0.0, top)])


def ellipsoid(radii: ArrayLike, center: ArrayLike) -> Mesh:
    """Ellipsoid with semi-axes ``radii`` (x, y, z)."""
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, 11)
    unit_sphere = revolve(np.stack((np.cos(latitudes), np.sin(latitudes)), axis=1), segments=16)
    return moved(unit_sphere * np.asarray(radii), center)


def tube(path: ArrayLike, radius: ArrayLike, *, sides: int = 8, capped: bool = True) -> Mesh:
    """Sweep a regular polygon along a path (K, 3); four sides make a square bar.

    Args:
        path: (K, 3), straight or curved in a plane that holds or is crossed at right angles by
            a coordinate axis, so that the section does not twist.
        radius: the radius of the polygon's corners, one for all or one per point of the path (K,).
        sides: corners of the polygon.
        capped: close both ends.
    """
    path = np.asarray(path, dtype=np.float64)
    tangents = np.gradient(path, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    reference = np.eye(3)[np.abs(tangents).max(axis=0).argmin()]
    across = np.cross(tangents, reference)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    upward = np.cross(across, tangents)

    # Half a step of phase lays the faces, not the corners, of a square bar along the axes.
    angles = (np.arange(sides) + 0.5) * (2 * np.pi / sides)
    section = np.cos(angles)[:, None] * across[:, None] + np.sin(angles)[:, None] * upward[:, None]
    radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(path))
    return loft(path[:, None] + radii[:, None, None] * section, capped=capped)


def rod(start: ArrayLike, end: ArrayLike, radius: ArrayLike, *, sides: int = 8) -> Mesh:
    """Straight bar; ``radius`` is one number or (at the start, at the end)."""
    return tube(np.array([start, end]), radius, sides=sides)


def superellipse(depth: float, width: float, *, exponent: float = 2.0, samples: int = 24) -> Points:
    """Outline (samples, 2): |2x / depth|^exponent + |2y / width|^exponent = 1.

    Exponent 2 is an ellipse, 5 a rectangle with round corners.
    """
    angles = np.arange(samples) * (2 * np.pi / samples)
    direction = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    outline: Points = np.sign(direction) * np.abs(direction) ** (2 / exponent)
    outline *= (depth / 2, width / 2)
    return outline


def arc(radius: float, start: float, end: float, *, samples: int = 9) -> Points:
    """Arc of a circle (samples, 2) about the origin, angles in degrees from the first axis."""
    angles = np.radians(np.linspace(start, end, samples))
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)


def smooth(polyline: ArrayLike, *, rounds: int = 2) -> Points:
    """Cut the corners of an open polyline (K, D), keeping its end points (Chaikin, 1974)."""
    line = np.asarray(polyline, dtype=np.float64)
    for _ in range(rounds):
        starts, ends = line[:-1], line[1:]
        cuts = np.stack((0.75 * starts + 0.25 * ends, 0.25 * starts + 0.75 * ends), axis=1)
        line = np.concatenate((line[:1], cuts.reshape(-1, line.shape[1]), line[-1:]))
    return line


def join(*parts: Mesh) -> Mesh:
    """One mesh of several parts."""
    return np.concatenate(parts)


def moved(mesh: Mesh, offset: ArrayLike) -> Mesh:
    """The mesh shifted by (x, y, z)."""
    return mesh + np.asarray(offset, dtype=np.float64)


def mirrored(mesh: Mesh, axis: int) -> Mesh:
    """The mesh together with its reflection, ``axis`` being the coordinate that changes sign."""
    reflection = np.ones(3)
    reflection[axis] = -1.0
    return np.concatenate((mesh, mesh * reflection))


def leaned(mesh: Mesh, slope: float) -> Mesh:
    """Shear a mesh backwards: x falls by ``slope`` times the height above z = 0."""
    sheared = mesh.copy()
    sheared[..., 0] -= slope * mesh[..., 2]
    return sheared
