"""Which axis points up: as said, else by the format's own rules, else by the card."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from pc_crvae.data import from_folder, load
from pc_crvae.data.clouds import turn_z_up
from pc_crvae.data.facing import up_in_full, up_of_file
from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.embedding.index import About
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import parse_up


@pytest.mark.parametrize(
    ("name", "said", "card", "axis"),
    [
        ("a.glb", None, "z", "y"),
        ("a.GLTF", None, "x", "y"),
        ("a.stl", None, "x", "x"),
        ("a.step", None, "z", "z"),
        ("a.3mf", None, "y", "z"),
        ("a.dae", None, "x", "x"),  # there is no such file to say it
        ("a.dae", "dae=x", "z", "x"),
        ("a.glb", "z", "x", "z"),
        ("a.glb", "stl=x", "z", "y"),
        ("a.stl", "stl=x", "z", "x"),
        ("a.glb", "glb=z,stl=y", "x", "z"),
        ("a.off", "glb=z,stl=y", "x", "x"),
        ("a.off", "y, .GLB=z", "x", "y"),
        ("a.glb", "y,glb=z", "x", "z"),
    ],
)
def test_what_is_said_goes_before_the_format_and_the_format_before_the_card(
    name: str, said: str | None, card: str, axis: str
):
    assert up_of_file(Path(name), said, card) == axis


@pytest.mark.parametrize(
    "text", ["", "q", "z,y", "glb", "glb=", "=z", "glb=q", "glb=z,glb=y", "glb=z,y", "own"]
)
def test_what_is_no_axis_is_refused(text: str):
    with pytest.raises(
        UserError, match=r"up is x, y or z, not .*, or axes by suffix, such as glb=y,stl=z"
    ):
        parse_up(text)


def test_in_full_nothing_is_left_to_defaults():
    assert up_in_full(None) == "z,dae=own,glb=y,gltf=y"
    assert up_in_full("y") == "y"
    assert up_in_full("glb=z") == "z,dae=own,gltf=y"
    assert up_in_full(None, base="z") == "z"
    assert up_in_full("glb=y", base="z") == "z,glb=y"
    assert up_in_full(up_in_full("x,stl=y"), "z") == "x,stl=y"


def test_queries_face_as_the_index_was_made_also_before_formats_told():
    old = About(model_sha256="0" * 64, points=8, up="z")
    assert old.for_queries().up == "z"  # its glTF files were taken as z up
    new = old.model_copy(update={"up": up_in_full(None)})
    assert up_of_file(Path("a.glb"), new.for_queries().up) == "y"
    assert new.for_queries("glb=x").up == "z,dae=own,glb=x,gltf=y"
    with pytest.raises(ValueError, match="up is x, y or z"):
        About(model_sha256="0" * 64, points=8, up="q")


def figure() -> trimesh.Trimesh:
    """Tall, with an arm to one side and a foot to the front, z up."""
    parts = [trimesh.creation.box(extents=size) for size in ((1, 1, 6), (3, 1, 1), (1, 2, 0.5))]
    for part, place in zip(parts, ((0, 0, 3), (1.5, 0, 5), (0, -1, 0.25)), strict=True):
        part.apply_translation(place)
    return trimesh.util.concatenate(parts)


def save_both(folder: Path) -> None:
    """The same figure z up as STL and, as its specification says, y up as GLB."""
    folder.mkdir(parents=True)
    mesh = figure()
    mesh.export(folder / "a.stl")
    upright = mesh.copy()
    upright.vertices = np.stack(
        [mesh.vertices[:, 0], mesh.vertices[:, 2], -mesh.vertices[:, 1]], axis=1
    )
    upright.export(folder / "b.glb")


def spread(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def test_one_figure_faces_alike_in_both_formats(tmp_path: Path):
    save_both(tmp_path / "set")
    shapes = [load_shape(tmp_path / "set" / name, 2000) for name in ("a.stl", "b.glb")]
    np.testing.assert_allclose(spread(shapes[0]), spread(shapes[1]), atol=0.05)
    lying = load_shape(tmp_path / "set" / "b.glb", 2000, "z")
    assert np.abs(spread(lying) - spread(shapes[0])).max() > 0.5


def test_a_prepared_set_turns_each_file_as_its_format_says(tmp_path: Path):
    for part in ("train", "test"):
        save_both(tmp_path / "set" / part)
    both = from_folder(tmp_path / "set", "train")
    np.testing.assert_allclose(spread(both.points[0]), spread(both.points[1]), atol=0.05)
    said = load("mesh-folder", "train", root=tmp_path / "set", up="glb=z")
    np.testing.assert_array_equal(said.points[0], both.points[0])
    np.testing.assert_allclose(turn_z_up(said.points[1], "y"), both.points[1], atol=1e-6)


def test_axes_by_suffix_are_for_sets_of_a_file_a_shape(hdf5_root: Path):
    with pytest.raises(UserError, match="have one kind, so up is one axis, not 'h5=y'"):
        load("modelnet40", "test", root=hdf5_root, up="h5=y")
