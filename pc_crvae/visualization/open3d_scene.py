"""Clouds as lit balls in an Open3D scene, the same for pictures and windows."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.visualization import view

_WHITE = (1.0, 1.0, 1.0, 1.0)


def import_open3d() -> ModuleType:
    """Return the module ``open3d``.

    Raises:
        UserError: Open3D is not installed, or a system library that it needs is missing.
    """
    try:
        import open3d
    except ModuleNotFoundError as error:
        raise UserError(f'{error.msg}: install Open3D by pip install "pc-crvae[viz]"') from error
    except (ImportError, OSError) as error:
        raise UserError(f"Open3D does not load, install its system library: {error}") from error
    return open3d


def light_scene(scene: Any) -> None:
    """Give an ``Open3DScene`` a white background and a sun above the camera's left shoulder."""
    right, _, backward = view.view_axes()
    sun_direction = -(0.25 * backward - 0.4 * right + [0, 0, 1.2])
    scene.set_background(_WHITE)
    scene.set_lighting(scene.LightingProfile.MED_SHADOWS, sun_direction)


def add_clouds(scene: Any, clouds: Sequence[np.ndarray]) -> None:
    """Add clouds ``(N, 3)``, each with a floor under it, all hidden: see `show_instead`."""
    from open3d.visualization.rendering import MaterialRecord

    balls, floor = MaterialRecord(), MaterialRecord()
    balls.shader = floor.shader = "defaultLit"
    balls.base_roughness, balls.base_reflectance = 0.6, 0.4
    floor.base_roughness, floor.base_reflectance = 1.0, 0.0
    for index, cloud in enumerate(clouds):
        scene.add_geometry(f"balls {index}", _ball_mesh(cloud), balls)
        scene.add_geometry(f"floor {index}", _floor_mesh(cloud), floor)
        _set_visible(scene, index, False)


def show_instead(scene: Any, index: int, previous: int | None) -> None:
    """Show the cloud ``index`` of `add_clouds` and hide ``previous``."""
    if previous is not None:
        _set_visible(scene, previous, False)
    _set_visible(scene, index, True)


def camera_pose(radius: float) -> np.ndarray:
    """Return centre, eye and up, as float32 rows ``(3, 3)``, that show a ball of ``radius``."""
    eye = 1.3 * view.eye_distance(radius) * view.view_axes()[2]
    return np.array([[0, 0, 0], eye, [0, 0, 1]], dtype=np.float32)


def _ball_mesh(cloud: np.ndarray) -> Any:
    """Return one ``TriangleMesh`` with a ball for every point of a cloud ``(N, 3)``."""
    from open3d.geometry import TriangleMesh
    from open3d.utility import Vector3dVector, Vector3iVector

    ball = TriangleMesh.create_icosahedron().subdivide_loop(1)
    normals = np.array(ball.vertices)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    count, corners = len(cloud), len(normals)
    places = cloud[:, None] + view.point_radius(count) * normals
    first_corner = corners * np.arange(count)[:, None, None]
    mesh = TriangleMesh(
        Vector3dVector(places.reshape(-1, 3)),
        Vector3iVector((first_corner + np.asarray(ball.triangles)).reshape(-1, 3)),
    )
    mesh.vertex_normals = Vector3dVector(np.tile(normals, (count, 1)))
    linear_colors = view.height_colors(cloud) ** 1.9  # near linear light: the tone mapping darkens
    mesh.vertex_colors = Vector3dVector(np.repeat(linear_colors, corners, axis=0))
    return mesh


def _set_visible(scene: Any, index: int, visible: bool) -> None:
    scene.show_geometry(f"balls {index}", visible)
    scene.show_geometry(f"floor {index}", visible)


def _floor_mesh(cloud: np.ndarray) -> Any:
    from open3d.geometry import TriangleMesh
    from open3d.utility import Vector3dVector, Vector3iVector

    z = cloud[:, 2].min() - view.point_radius(len(cloud))
    side = 10.0
    corners = [[-side, -side, z], [side, -side, z], [side, side, z], [-side, side, z]]
    mesh = TriangleMesh(Vector3dVector(corners), Vector3iVector([[0, 1, 2], [0, 2, 3]]))
    mesh.compute_vertex_normals()
    return mesh
