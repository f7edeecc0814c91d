"""COLLADA: the scene put together, its unit and axis, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from helpers import mesh_writers as write
from pc_crvae.data.clouds import turn_z_up
from pc_crvae.data.facing import up_in_full, up_of_file
from pc_crvae.data.formats.meshes import Surface, read_surface
from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.errors import UserError

INSTANCE = '<instance_geometry url="#pyramid"/>'


def save(folder: Path, content: bytes, name: str = "a.dae") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(folder: Path, content: bytes) -> Surface:
    return read_surface(save(folder, content))


def corners(surface: Surface) -> np.ndarray:
    return np.unique(surface.vertices.round(9), axis=0)


def test_vertices_are_in_metres(tmp_path: Path):
    inches = write.dae(asset='<unit name="inch" meter="0.0254"/>')
    size = np.ptp(read(tmp_path, inches).vertices, axis=0)
    np.testing.assert_allclose(size, 0.0254 * np.array([2, 1, 1.5]))


@pytest.mark.parametrize(
    ("asset", "axis"),
    [
        ("", "y"),
        ("<up_axis>Y_UP</up_axis>", "y"),
        ("<up_axis>Z_UP</up_axis>", "z"),
        ("<unit meter='1'/><up_axis> X_UP </up_axis>", "x"),
    ],
)
def test_a_file_says_which_axis_points_up(tmp_path: Path, asset: str, axis: str):
    path = save(tmp_path, write.dae(asset=asset))
    assert up_of_file(path, None, "x") == axis
    assert up_of_file(path, up_in_full(None)) == axis
    assert up_of_file(path, "dae=own,obj=x") == axis
    assert up_of_file(path, "x") == up_of_file(path, "z,dae=x") == "x"
    placed = read_surface(path).vertices
    sides = np.ptp(turn_z_up(placed[None], axis)[0], axis=0)
    drawn = np.ptp(load_shape(path, 3000), axis=0)
    np.testing.assert_allclose(drawn / drawn.max(), sides / sides.max(), atol=0.05)


def test_nodes_place_parts_by_all_their_transforms_in_order(tmp_path: Path):
    nodes = (
        "<node><translate>1 2 3</translate><rotate>0 0 1 90</rotate>"
        f"<node><scale>2 1 1</scale>{INSTANCE}</node></node>"
    )
    x, y, z = write.VERTICES.T
    expected = np.stack([1 - y, 2 + 2 * x, 3 + z], axis=1)
    assert np.allclose(corners(read(tmp_path, write.dae(nodes=nodes))), np.unique(expected, axis=0))


def test_a_matrix_is_written_row_by_row(tmp_path: Path):
    nodes = f"<node><matrix>0 -1 0 5 1 0 0 0 0 0 1 0 0 0 0 1</matrix>{INSTANCE}</node>"
    x, y, z = write.VERTICES.T
    expected = np.unique(np.stack([5 - y, x, z], axis=1), axis=0)
    np.testing.assert_allclose(corners(read(tmp_path, write.dae(nodes=nodes))), expected)


def test_looking_along_minus_z_is_to_stay(tmp_path: Path):
    nodes = f"<node><lookat>0 0 7  0 0 0  0 1 0</lookat>{INSTANCE}</node>"
    expected = np.unique(write.VERTICES + np.array([0, 0, 7]), axis=0)
    np.testing.assert_allclose(corners(read(tmp_path, write.dae(nodes=nodes))), expected)


def test_nodes_are_placed_again_by_name_and_mirrors_keep_the_outside(tmp_path: Path):
    nodes = (
        f'<node id="one">{INSTANCE}</node>'
        '<node><scale>-1 1 1</scale><instance_node url="#one"/></node>'
    )
    surface = read(tmp_path, write.dae(nodes=nodes))
    assert len(surface.faces) == 12
    assert np.linalg.det(surface.vertices[surface.faces]).sum() / 6 == pytest.approx(2.0)


def test_a_strip_of_triangles_faces_one_way(tmp_path: Path):
    # Around the apex and the rim: alternate triangles of a strip are turned.
    strip = write.dae_faces("tristrips", [(0, 1, 3, 2)], 1)
    surface = read(tmp_path, write.dae(strip))
    mesh = surface.vertices[surface.faces]
    normals = np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0])
    np.testing.assert_array_equal(np.sign(normals[:, 2]), [1, 1])


def test_lines_and_empty_primitives_are_no_surface(tmp_path: Path):
    lines = '<lines count="1"><input semantic="VERTEX" source="#corners" offset="0"/><p>0 1</p>'
    faces = write.dae_faces("triangles", write.FACES, len(write.FACES))
    both = lines + '</lines><triangles count="0"/>' + faces
    assert len(read(tmp_path, write.dae(both)).faces) == 6


def doubled(levels: int) -> str:
    inner = "".join(
        f'<node id="n{level}">' + f'<instance_node url="#n{level - 1}"/>' * 10 + "</node>"
        for level in range(1, levels)
    )
    return f'<node id="n0">{INSTANCE}</node>{inner}'


ENTITIES = '<!DOCTYPE a [<!ENTITY a "1 1 1 1 1"><!ENTITY b "&a;&a;&a;&a;">]>'
TRIANGLES = write.dae_faces("triangles", write.FACES, 6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (write.dae(before=ENTITIES), "declares a document type"),
        (write.dae(nodes=doubled(9)), "places more than 200000 parts"),
        (write.dae(nodes='<node id="a"><instance_node url="#a"/></node>'), "holds itself"),
        (write.dae(nodes='<node><instance_controller url="#s"/></node>'), "bones or targets"),
        (write.dae(nodes='<node><instance_geometry url="b.dae#c"/></node>'), "another file"),
        (write.dae(nodes='<node><instance_geometry url="#c"/></node>'), "geometry #c, which is no"),
        (write.dae(nodes=f"<node><skew>1 2 3 4 5 6 7</skew>{INSTANCE}</node>"), "skews a node"),
        (write.dae(nodes=f"<node><matrix>1 2</matrix>{INSTANCE}</node>"), "matrix .* 16 numbers"),
        (write.dae(nodes=f"<node><rotate>0 0 0 9</rotate>{INSTANCE}</node>"), "about no axis"),
        (write.dae(nodes=""), "no faces"),
        (write.dae(asset='<unit meter="0"/>'), "its unit is 0.0 metres"),
        (write.dae().replace(b"instance_visual", b"instance_physics"), "it has no scene"),
        (write.dae().replace(b"COLLADA", b"COLLAPSE"), "it is no COLLADA"),
        (write.dae(write.dae_faces("triangles", write.FACES, 7)), "promises 7 faces"),
        (write.dae(write.dae_faces("polylist", [0, 1, 2], 1, [4])), "promises 1 faces"),
        (write.dae(write.dae_faces("polygons", [(0, 1, 2)], 3)), "promises 3 polygons, and has 1"),
        (write.dae(TRIANGLES.replace("<p>0", "<p>9", 1)), "a vertex that is not there"),
        (write.dae(TRIANGLES.replace("<p>0", "<p>0.5", 1)), "no whole number"),
        (write.dae(TRIANGLES.replace("</p>", " 3</p>", 1)), "not a whole number of 2 indices"),
        (write.dae(TRIANGLES.replace("VERTEX", "COLOR")), "has no vertices"),
        (write.dae().replace(b' count="5"', b' count="50"'), "promises 50 places"),
        (write.dae().replace(b'stride="3"', b'stride="2"'), "impossible numbers"),
        (write.dae("<polygons count='1'><ph/></polygons>"), "has no vertices"),
        (write.dae().replace(b">0.0 0.0", b">0.0 x"), "list of its numbers has what is none"),
        (write.dae()[:-9], "no whole XML"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, content: bytes, sentence: str):
    with pytest.raises(UserError, match=sentence) as refusal:
        read(tmp_path, content)
    assert str(tmp_path / "a.dae") in str(refusal.value)


def test_polygons_with_holes_are_refused(tmp_path: Path):
    holed = write.dae_faces("polygons", [(0, 1, 2)], 1).replace("<p>", "<ph><p>")
    with pytest.raises(UserError, match="polygons with holes"):
        read(tmp_path, write.dae(holed.replace("</p>", "</p><h>0 0</h></ph>")))
