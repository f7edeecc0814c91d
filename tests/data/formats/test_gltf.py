"""Scenes of glTF: parts placed by nodes, buffers beside them, and promises that are refused."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import mesh_writers as write
from helpers.surfaces import area, save, sorted_triangles, triangles, volume
from pc_crvae.data.formats.meshes import read_surface
from pc_crvae.errors import UserError


def test_a_scene_is_put_together_with_its_transforms(tmp_path: Path):
    surface = read_surface(save(tmp_path, "scene.glb", write.glb()))
    oracle = write.scene().to_mesh()
    np.testing.assert_allclose(
        sorted_triangles(triangles(surface)), sorted_triangles(oracle.triangles), atol=1e-6
    )
    assert volume(surface) == pytest.approx(9.0)  # a mirrored part is not inside out


def test_nodes_below_nodes_and_beside_cameras_are_placed(tmp_path: Path):
    nodes = [
        {"children": [1, 3], "translation": [10, 0, 0], "camera": 0},
        {"children": [2], "rotation": [0, 0, np.sqrt(0.5), np.sqrt(0.5)]},
        {"mesh": 0, "scale": [1, 2, 3]},
        {"mesh": 0, "matrix": np.diag([1.0, 1, 1, 1]).ravel().tolist()},
    ]
    parts = write.gltf_bytes(nodes=nodes, cameras=[{"type": "perspective", "perspective": {}}])
    mesh = triangles(read_surface(save(tmp_path, "a.gltf", parts)))
    turned = write.VERTICES[:, [1, 0, 2]] * (-2, 1, 3) + (10, 0, 0)
    expected = [turned[write.FACES], write.VERTICES[write.FACES] + np.array((10, 0, 0))]
    np.testing.assert_allclose(
        sorted_triangles(mesh), sorted_triangles(np.concatenate(expected)), atol=1e-6
    )


def test_a_deep_chain_of_nodes_takes_no_time(tmp_path: Path):
    depth = 20_000
    nodes: list[dict[str, Any]] = [{"children": [row + 1]} for row in range(depth)]
    path = save(tmp_path, "a.gltf", write.gltf_bytes(nodes=[*nodes, {"mesh": 0}]))
    assert len(read_surface(path).faces) == 6


def test_triangle_strips_are_read(tmp_path: Path):
    parts = write.gltf_bytes(mode=5, indices=[0, 1, 3, 2, 4])
    assert len(read_surface(save(tmp_path, "a.gltf", parts)).faces) == 3


def test_the_parts_of_a_scene_that_have_no_surface_are_passed_over(tmp_path: Path):
    parts = write.gltf()
    primitives = parts["meshes"][0]["primitives"]
    primitives += [{**primitives[0], "mode": mode} for mode in (0, 1, 3)]
    assert len(read_surface(save(tmp_path, "a.gltf", json.dumps(parts))).faces) == 6


def test_a_buffer_beside_the_scene_is_read(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    for name, content in write.pyramid().scene().export(file_type="gltf").items():
        save(tmp_path / "sub", name, content)
    assert area(read_surface(tmp_path / "sub" / "model.gltf")) == pytest.approx(write.AREA)


@pytest.mark.parametrize(
    "uri", ["../secret.bin", "http://example.org/a.bin", "file:///etc/passwd", "%2e%2e/secret.bin"]
)
def test_a_buffer_elsewhere_is_not_touched(tmp_path: Path, uri: str):
    save(tmp_path, "secret.bin", bytes(1000))
    (tmp_path / "sub").mkdir()
    parts = write.gltf_bytes(buffers=[{"byteLength": 96, "uri": uri}])
    with pytest.raises(UserError, match=r"lies outside its own folder|is not there"):
        read_surface(save(tmp_path / "sub", "a.gltf", parts))


def test_materials_and_textures_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = {"uri": "wood.png"}
    parts = write.gltf(
        images=[image], textures=[{"source": 0}], materials=[{"name": "wood"}], samplers=[{}]
    )
    files = [
        save(tmp_path, "a.gltf", json.dumps(parts)),
        save(tmp_path, "a.obj", write.obj()),
        save(
            tmp_path,
            "a.ply",
            write.ply().replace(b"element", b"comment TextureFile wood.png\nelement", 1),
        ),
    ]
    for name in ("wood.png", "none.mtl"):
        os.mkfifo(tmp_path / name)  # whoever opens one waits for ever
    for path in files:
        assert len(read_surface(path).faces) == 6


def with_part(kind: str, row: int, **changes: object) -> bytes:
    parts = write.gltf()
    parts[kind][row] |= changes
    return json.dumps(parts).encode()


def compressed() -> bytes:
    parts = write.gltf()
    parts["meshes"][0]["primitives"][0]["extensions"] = {"KHR_draco_mesh_compression": {}}
    return json.dumps(parts).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (with_part("accessors", 0, count=10**9), "promises 1000000000 items"),
        (with_part("accessors", 1, count=10**9), "promises 1000000000 items"),
        (with_part("accessors", 0, count=-1), "impossible numbers"),
        (with_part("accessors", 0, byteOffset=-4), "impossible numbers"),
        (with_part("accessors", 0, sparse={}), "sparsely or by an extension"),
        (with_part("accessors", 0, normalized=True), "fractions"),
        (with_part("accessors", 0, componentType=1), "damaged"),
        (with_part("bufferViews", 0, byteLength=10**9), "more than its buffers hold"),
        (with_part("bufferViews", 0, byteOffset=-1), "more than its buffers hold"),
        (with_part("bufferViews", 0, byteStride=1), "impossible numbers"),
        (with_part("bufferViews", 0, byteStride=10**9), "promises 5 items"),
        (compressed(), "KHR_draco_mesh_compression"),
    ],
)
def test_a_scene_that_promises_more_than_it_holds_is_refused(
    tmp_path: Path, content: bytes, problem: str
):
    with pytest.raises(UserError, match=problem):
        read_surface(save(tmp_path, "a.gltf", content))


def test_a_scene_that_multiplies_its_parts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pc_crvae.data.formats.placed_parts.MOST_TRIANGLES", 100)
    parts = write.gltf(nodes=[{"children": [1] * 20}, {"mesh": 0}])
    parts["nodes"] = [{"children": list(range(1, 21))}, *[{"mesh": 0}] * 20]
    with pytest.raises(UserError, match="more than 100 triangles"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))


@pytest.mark.parametrize(
    "name",
    [
        "EXT_mesh_gpu_instancing",
        "EXT_meshopt_compression",
        "KHR_draco_mesh_compression",
        "KHR_node_visibility",
        "ACME_anything",
    ],
)
def test_extensions_that_change_the_geometry_are_refused_by_name(tmp_path: Path, name: str):
    parts = write.gltf(extensionsRequired=["KHR_materials_unlit", name])
    for file, content in (("a.gltf", json.dumps(parts)), ("a.glb", write.glb_of(parts))):
        with pytest.raises(UserError, match=f"needs the extension {name}, which is not read"):
            read_surface(save(tmp_path, file, content))


def test_instances_are_refused_where_they_are_not_required_either(tmp_path: Path):
    parts = write.gltf(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {}}}])
    with pytest.raises(UserError, match="EXT_mesh_gpu_instancing"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))


def test_extensions_of_materials_and_lights_do_no_harm(tmp_path: Path):
    names = ["KHR_materials_unlit", "KHR_texture_transform", "KHR_lights_punctual"]
    names += ["KHR_mesh_quantization", "EXT_texture_webp"]
    parts = write.gltf_bytes(extensionsRequired=names, extensionsUsed=names)
    assert len(read_surface(save(tmp_path, "a.gltf", parts)).faces) == 6


def test_a_part_of_a_scene_is_as_precise_as_it_is_stored_and_no_less(tmp_path: Path):
    place = [431_000.0, 100.0, 5_400_000.0]
    near = write.gltf_bytes(nodes=[{"mesh": 0, "translation": place}])
    assert area(read_surface(save(tmp_path, "a.gltf", near))) == pytest.approx(write.AREA, rel=1e-6)
    parts = write.gltf()
    far = (write.VERTICES + place).astype("<f4").tobytes()
    content = far + write.FACES.astype("<u2").tobytes()
    uri = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
    parts["buffers"] = [{"byteLength": len(content), "uri": uri}]
    with pytest.raises(UserError, match="steps along its longest side"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))
