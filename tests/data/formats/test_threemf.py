"""3MF: what is built, where it is placed, in which unit, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from helpers import mesh_writers as write
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.formats import threemf
from pc_crvae.data.formats.meshes import Surface, read_surface
from pc_crvae.errors import UserError


def read(folder: Path, content: bytes) -> Surface:
    path = folder / "a.3mf"
    path.write_bytes(content)
    return read_surface(path)


def corners(surface: Surface) -> list[list[float]]:
    return np.unique(surface.vertices.round(9), axis=0).tolist()


@pytest.mark.parametrize(
    ("unit", "scale"), [("micron", 1e-3), ("inch", 25.4), ("meter", 1e3), ("centimeter", 10)]
)
def test_vertices_are_in_millimetres(tmp_path: Path, unit: str, scale: float):
    surface = read(tmp_path, write.threemf(write.model_text(attributes=f'unit="{unit}"')))
    np.testing.assert_allclose(np.ptp(surface.vertices, axis=0), scale * np.array([2, 1, 1.5]))


def test_z_is_up_unless_a_user_says_otherwise():
    assert up_of_file(Path("a.3mf"), None, "y") == "z"
    assert up_of_file(Path("a.3mf"), "3mf=x") == "x"


def test_parts_within_parts_are_placed_by_all_their_transforms(tmp_path: Path):
    # Rows are multiplied: the quarter turn takes x to y, and what is placed outside comes last.
    turn, move = "0 1 0 -1 0 0 0 0 1 10 0 0", "1 0 0 0 1 0 0 0 1 0 0 5"
    objects = (
        write.mesh_object(1)
        + f'<object id="2"><components><component objectid="1" transform="{turn}"/></components>'
        "</object>"
    )
    build = f'<item objectid="2" transform="{move}"/>'
    surface = read(tmp_path, write.threemf(write.model_text(objects, build)))
    expected = np.stack(
        [10 - write.VERTICES[:, 1], write.VERTICES[:, 0], write.VERTICES[:, 2] + 5], axis=1
    )
    assert corners(surface) == np.unique(expected, axis=0).tolist()


def test_a_part_that_is_built_twice_and_mirrored_keeps_its_outside(tmp_path: Path):
    build = '<item objectid="1"/><item objectid="1" transform="-1 0 0 0 1 0 0 0 1 -5 0 0"/>'
    surface = read(tmp_path, write.threemf(write.model_text(build=build)))
    mesh = surface.vertices[surface.faces]
    assert np.linalg.det(mesh).sum() / 6 == pytest.approx(2.0)


def test_what_is_not_built_is_no_part_of_it(tmp_path: Path):
    objects = write.mesh_object(1) + write.mesh_object(2).replace('x="2.0"', 'x="200"')
    surface = read(tmp_path, write.threemf(write.model_text(objects)))
    assert surface.vertices.max() == 2


def test_objects_in_other_parts_of_the_archive_are_read(tmp_path: Path):
    # As slicers save plates: the object of the root has its meshes in files of their own.
    objects = (
        '<object id="7"><components>'
        '<component objectid="1" p:path="/3D/first.model"/>'
        '<component objectid="1" p:path="/3D/second.model" transform="1 0 0 0 1 0 0 0 1 9 0 0"/>'
        "</components></object>"
    )
    model = write.model_text(objects, '<item objectid="7"/>', 'requiredextensions="p"')
    inner = write.model_text(build="")
    surface = read(tmp_path, write.threemf(model, first=inner, second=inner))
    assert surface.vertices[:, 0].max() == 11
    assert len(surface.faces) == 12


def component(number: int) -> str:
    return f'<component objectid="{number}"/>'


def nested(levels: int) -> str:
    """Each object holds the one before ten times: a short text of 10 ** levels pyramids."""
    return write.mesh_object(1) + "".join(
        f'<object id="{level}"><components>{component(level - 1) * 10}</components></object>'
        for level in range(2, levels + 2)
    )


ENTITIES = '<!DOCTYPE model [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (write.model_text(nested(12), '<item objectid="13"/>'), "places more than 200000 parts"),
        (
            write.model_text(
                '<object id="1"><components><component objectid="1"/></components></object>'
            ),
            "holds itself",
        ),
        (write.model_text(build='<item objectid="5"/>'), "an object 5, which is not there"),
        (write.model_text(build=""), "it builds nothing"),
        (write.model_text(attributes='unit="ell"'), "its unit is ell"),
        (write.model_text(attributes='requiredextensions="q"'), "needs the extension q"),
        (
            write.model_text(attributes='xmlns:s="http://x.org/cut" requiredextensions="s"'),
            "needs the extension http://x.org/cut",
        ),
        (write.model_text(build='<item objectid="1" transform="1 2"/>'), "not twelve numbers"),
        (write.model_text().replace('x="2.0"', 'x="two"'), "could not convert string to float"),
        (write.model_text().replace(' v2="', ' w2="', 1), "a triangle of it has no v2"),
        (write.model_text().replace('v1="0"', 'v1="9"', 1), "a vertex that is not there"),
        (write.model_text(write.mesh_object() * 2), "two objects of it have the id 1"),
        (write.model_text()[:-20], "no whole XML"),
        (write.model_text().replace("<model", ENTITIES + "<model", 1), "declares a document type"),
        (write.model_text('<object id="1">' + "<a>" * 300), "nested more than 200 deep"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, model: str, sentence: str):
    with pytest.raises(UserError, match=sentence) as refusal:
        read(tmp_path, write.threemf(model))
    assert str(tmp_path / "a.3mf") in str(refusal.value)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bomb = write.threemf(write.model_text() + " " * 10_000_000)
    assert len(bomb) < 30_000
    assert len(read(tmp_path, bomb).faces) == 6
    monkeypatch.setattr(threemf, "MOST_UNPACKED", 1_000_000)
    with pytest.raises(UserError, match=r"at most .* are expected"):
        read(tmp_path, bomb)


def test_an_archive_of_something_else_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "b.3mf", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"no _rels/\.rels"):
        read_surface(tmp_path / "b.3mf")
    with pytest.raises(UserError, match="not a whole 3MF file"):
        read(tmp_path, b"PK\x03\x04")


def test_trimesh_writes_what_is_read(tmp_path: Path):
    pytest.importorskip("lxml")
    surface = read(tmp_path, write.scene().export(file_type="3mf"))
    whole = write.scene().to_mesh()
    np.testing.assert_allclose(
        np.sort(surface.vertices, axis=0),
        np.sort(np.unique(whole.vertices, axis=0), axis=0),
        atol=1e-6,
    )
