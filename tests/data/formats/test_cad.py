"""STEP and IGES: the same parts in both, their unit and axes, and what is refused or bounded."""

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from helpers.fuzzing import fuzz_files
from helpers.iges_writers import bracket_iges
from helpers.step_writers import L_DEPTH, bracket, plate
from pc_crvae.data import from_folder
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.formats import cad
from pc_crvae.data.formats.meshes import Surface, read_surface
from pc_crvae.data.formats.other_kinds import tell_passed_over
from pc_crvae.data.surface_sampling import surface_areas
from pc_crvae.errors import MissingPackageError, UserError

needs_cascadio = pytest.mark.skipif(
    cad.cascadio_folder() is None, reason="cascadio is not installed"
)


def save(folder: Path, content: bytes, name: str = "a.step") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def volume(surface: Surface) -> float:
    return float(np.linalg.det(surface.vertices[surface.faces]).sum() / 6)


@needs_cascadio
@pytest.mark.parametrize("unit", ["mm", "m", "inch"])
@pytest.mark.parametrize("suffix", [".step", ".STP", ".igs", ".iges"])
def test_a_part_keeps_its_axes_and_is_in_millimetres(tmp_path: Path, unit: str, suffix: str):
    is_step = suffix.lower().startswith(".st")
    if unit == "m" and not is_step:
        unit = "mm"
    content = bracket(unit) if is_step else bracket_iges(unit)
    surface = read_surface(save(tmp_path, content, f"a{suffix}"))
    scale = {"mm": 1, "m": 1000, "inch": 25.4}[unit]
    # Long in z, shorter in x, and the foot of the L is at the bottom and to the right.
    size = scale * np.array([60, L_DEPTH, 100])
    np.testing.assert_allclose(surface.vertices.min(axis=0), 0, atol=1e-4 * scale)
    np.testing.assert_allclose(surface.vertices.max(axis=0), size, rtol=1e-6)
    right = surface.vertices[surface.vertices[:, 0] > 11 * scale]
    assert right[:, 2].max() == pytest.approx(10 * scale)
    area = surface_areas(surface.vertices[surface.faces]).sum()
    assert area == pytest.approx(9400 * scale**2, rel=1e-6)
    if is_step:  # patches of IGES have no inside
        assert volume(surface) == pytest.approx(30_000 * scale**3, rel=1e-6)


def test_z_is_up_as_in_cad_unless_a_user_says_otherwise():
    for name in ("a.step", "a.stp", "a.igs", "a.iges"):
        assert up_of_file(Path(name), None) == "z"
        assert up_of_file(Path(name), None, "y") == "y"
    assert up_of_file(Path("a.step"), "step=x") == "x"


@needs_cascadio
def test_a_round_hole_is_as_fine_as_its_points_need(tmp_path: Path):
    surface = read_surface(save(tmp_path, plate(radius=10)))
    hole = math.pi * 10**2
    area = 2 * (6000 - hole) + 5 * (320 + 2 * math.pi * 10)
    mesh = surface.vertices[surface.faces]
    assert surface_areas(mesh).sum() == pytest.approx(area, rel=2e-3)
    assert volume(surface) == pytest.approx(5 * (6000 - hole), rel=1e-3)
    inside = surface.vertices[np.hypot(*surface.vertices[:, :2].T) < 20]
    np.testing.assert_allclose(np.hypot(*inside[:, :2].T), 10, atol=1e-5)
    again = read_surface(tmp_path / "a.step")
    np.testing.assert_array_equal(again.vertices, surface.vertices)
    np.testing.assert_array_equal(again.faces, surface.faces)


@needs_cascadio
def test_a_set_of_meshes_takes_parts_in_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "parts").mkdir()
    for number in range(5):
        save(tmp_path / "parts", plate(radius=2.0 + number), f"{number}.stp")
    found = from_folder(tmp_path / "parts", split="train")
    assert len(found) == 4
    assert np.ptp(found.points[0], axis=0).argmin() == 2


@needs_cascadio
@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.step", b"", "does not start as STEP files do"),
        ("a.step", b"solid cube", "does not start as STEP files do"),
        ("a.step", plate()[:-900], "unexpected end of file"),
        ("a.step", plate().replace(b"CIRCLE(", b"CIRCLET("), "1 of its 7 faces cannot"),
        ("a.step", plate().replace(b"SHELL(", b"SHELF("), "7 of its 7 faces|no surface"),
        ("a.igs", b"", "does not start as IGES files do"),
        ("a.igs", bracket_iges()[:-800], "its end is missing"),
        ("a.igs", bracket_iges().replace(b"\n", b"\n\n", 1)[82 * 8 :], "its end counts|not start"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
):
    path = save(tmp_path, content, name)
    with pytest.raises(UserError, match=sentence) as refusal:
        read_surface(path)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


@needs_cascadio
def test_lines_missing_from_an_iges_file_are_noticed(tmp_path: Path):
    lines = bracket_iges().splitlines(keepends=True)
    less = [line for line in lines if line[72:80] != b"P      6"]
    with pytest.raises(UserError, match=r"its end counts .* lines of the section P"):
        read_surface(save(tmp_path, b"".join(less), "a.igs"))


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cad, "cascadio_folder", lambda: None)
    with pytest.raises(MissingPackageError, match=r'pip install "pc-crvae\[cad\]"'):
        read_surface(save(tmp_path, bracket()))


@needs_cascadio
def test_a_file_has_so_much_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def slow(command: list[str], **settings: object) -> None:
        assert settings["timeout"] == cad.MOST_SECONDS
        raise subprocess.TimeoutExpired(command, cad.MOST_SECONDS)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(UserError, match="more than the 120 seconds"):
        read_surface(save(tmp_path, bracket()))


@needs_cascadio
def test_a_process_that_asks_for_too_much_memory_or_time_ends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cad, "MOST_BYTES", 100 * 2**20)
    with pytest.raises(UserError, match=r"a\.step is damaged or no \.step file"):
        read_surface(save(tmp_path, bracket()))


def test_parts_are_no_longer_named_among_what_is_not_read():
    told = tell_passed_over({"of another kind": [Path("a.sldprt"), Path("b.fbx")]})
    assert "export as STEP" in told[0]


def is_valid(surface: Surface) -> None:
    assert np.isfinite(surface.vertices).all()
    assert 0 <= surface.faces.min() <= surface.faces.max() < len(surface.vertices)


def fuzz(folder: Path, cases: int) -> None:
    files = {"a.step": plate(), "b.igs": bracket_iges()}
    fuzz_files(files, read_surface, is_valid, folder, seed=0, cases=cases)


@needs_cascadio
def test_damage_is_refused_by_name_or_leaves_a_surface(tmp_path: Path):
    fuzz(tmp_path, 6)


@needs_cascadio
@pytest.mark.slow
def test_much_damage_is_refused_by_name_or_leaves_a_surface(tmp_path: Path):
    fuzz(tmp_path, 200)
