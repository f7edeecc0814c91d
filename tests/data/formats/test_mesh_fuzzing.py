"""Mesh files that are damaged at random are refused by name or leave a surface."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import mesh_writers as write
from helpers.fuzzing import damaged, fuzz_files
from helpers.surfaces import save
from pc_crvae.data.formats.meshes import Surface, load_points, read_surface
from pc_crvae.data.formats.registry import MESH_SUFFIXES


def wreck_scene(content: bytes, rng: np.random.Generator) -> bytes:
    """Change values of a scene's JSON, which damage to its bytes mostly makes unreadable."""
    parts = json.loads(content)
    for _ in range(rng.integers(1, 4)):
        holder: Any = parts
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = keys[int(rng.integers(len(keys)))]
            if isinstance(holder[key], dict | list) and rng.random() < 0.9:
                holder = holder[key]
                continue
            values: list[Any] = [
                0,
                -1,
                1,
                2,
                5,
                6,
                5125,
                2**31,
                10**12,
                0.5,
                None,
                "",
                [],
                {},
                [0] * 16,
            ]
            if rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = values[int(rng.integers(len(values)))]
            break
    return json.dumps(parts).encode()


def wreck_glb(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.5:
        return damaged(content, rng)
    size = int.from_bytes(content[12:16], "little")
    text, binary = content[20 : 20 + size], content[28 + size :]
    return write.glb_of(json.loads(wreck_scene(text, rng)), binary)


def wreck_3mf(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.3:
        return damaged(content, rng)
    text = damaged(write.model_text().encode(), rng)
    return write.threemf(text.decode("latin-1"))


WRECKS = {
    ".3mf": wreck_3mf,
    ".gltf": lambda content, rng: (damaged if rng.random() < 0.3 else wreck_scene)(content, rng),
    ".glb": wreck_glb,
}
IN_A_PROCESS = (".step", ".stp", ".iges", ".igs")
"""Fuzzed where they are tested, as each file takes a process."""
FUZZED_SUFFIXES = [suffix for suffix in MESH_SUFFIXES if suffix not in IN_A_PROCESS]
FUZZED = {**write.ONE_PYRAMID, **write.CONCAVE, **write.ODD, "scene.glb": write.glb()}


def is_valid(surface: Surface) -> None:
    assert np.isfinite(surface.vertices).all()
    assert 0 <= surface.faces.min() <= surface.faces.max() < len(surface.vertices)
    assert all(count > 0 for count in surface.repairs.values())


def read_and_draw(path: Path) -> Surface:
    surface = read_surface(path)
    sample = load_points(path, 16, np.random.default_rng(0))
    assert np.isfinite(sample.points).all()
    np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=1), 1.0)
    return surface


def fuzz(folder: Path, suffix: str, seed: int, cases: int) -> None:
    import trimesh.exchange.gltf  # noqa: F401 - before memory is bounded

    read_surface(save(folder, "concave.off", write.CONCAVE["concave.off"]))  # so is what compiles

    files = {name: content for name, content in FUZZED.items() if name.endswith(suffix)}
    wreck = WRECKS.get(suffix, damaged)
    fuzz_files(files, read_and_draw, is_valid, folder, seed=seed, cases=cases, wreck=wreck)


@pytest.mark.parametrize("suffix", FUZZED_SUFFIXES)
@given(seed=st.integers(0, 2**63))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_damage_is_refused_by_name_or_leaves_a_surface(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    fuzz(folder, suffix, seed, cases=5)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FUZZED_SUFFIXES)
def test_much_damage_is_refused_by_name_or_leaves_a_surface(tmp_path: Path, suffix: str):
    fuzz(tmp_path, suffix, seed=1, cases=4000)
