"""Files of meshes, and what the surface that is read of them measures."""

from pathlib import Path

import numpy as np

from pc_crvae.data.formats.meshes import Surface
from pc_crvae.data.surface_sampling import surface_areas


def save(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def triangles(surface: Surface) -> np.ndarray:
    return surface.vertices[surface.faces]


def area(surface: Surface) -> float:
    return float(surface_areas(triangles(surface)).sum())


def sorted_triangles(mesh: np.ndarray) -> np.ndarray:
    """Triangles in an order, and each from a corner, of their own."""
    lowest = [np.lexsort(corners.T)[0] for corners in mesh]
    turned = [np.roll(corners, -at, axis=0) for corners, at in zip(mesh, lowest, strict=True)]
    flat = np.array(turned).reshape(-1, 9)
    return flat[np.lexsort(flat.T)]


def volume(surface: Surface) -> float:
    mesh = triangles(surface)
    return float(np.linalg.det(mesh).sum() / 6)
