"""What readers read of the same files is the same as ever, or says so by another version.

Prepared sets are kept for as long as the format of the cache and the version of their reader stay.
So who changes what is read has to raise one of them, and these tests notice who forgets.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml

from helpers import cloud_writers, mesh_writers, tiny_hdf5, tiny_images
from helpers.good_clouds import GOOD
from pc_crvae.data import load
from pc_crvae.data.cache import preparation, store, workers
from pc_crvae.data.cards import load_card
from pc_crvae.data.formats import cloud_files, meshes
from pc_crvae.data.layouts import LAYOUTS as TABLE
from pc_crvae.data.layouts import has_a_file_a_shape, reader_of, shape_reader_of

READERS = {
    "shapes": (1, "3246c7da03077fb5"),
    "programs": (1, "276367028ac2d5bf"),
    "modelnet_hdf5": (2, "3f59f2a25d2c3b50"),
    "shapenet_hdf5": (2, "354d5b1e7e61601b"),
    "shapenet_15k": (2, "4a96a850846c66c5"),
    "shapenet_part": (1, "c8b7726555dd86ae"),
    "scanobjectnn": (2, "beac4dd31b4c6c74"),
    "modelnet_off": (2, "e6cca34fc5752c80"),
    "shapenet_obj": (2, "b8460be2727c7079"),
    "mesh_folder": (2, "f99707f3d05ba197"),
    "cloud_folder": (2, "a7405f5015b33bed"),
    "modelnet_resampled": (1, "9ae7b4aece65001c"),
    "mnist_idx": (1, "4488ef34a9d2c0b8"),
    "omniglot_zip": (1, "0eb317502bfff4b1"),
    "cifar10_binary": (1, "0f08e7c51628883f"),
    "celeba": (1, "daea7a3517f08300"),
    "digits": (1, "9a4fa7de1d61f62e"),
    "image_folder": (2, "5ee7933f0f487cc4"),
}
"""Of each layout, the version of its reader and the digest of what it reads of the test's files."""

FORMAT = 6
"""Of the cache, when the following was recorded."""

FILES = {
    "mesh .3mf": "3d7f99111b4c547e",
    "mesh .dae": "4cef557e2f49cc6d",
    "mesh .glb": "766f076c121109ba",
    "mesh .gltf": "766f076c121109ba",
    "mesh .obj": "fc1750e380f6d828",
    "mesh .off": "5d373d9e7ba6c8c1",
    "mesh .ply": "e6d7996238f0fd62",
    "mesh .stl": "a0d2da69fe87aaab",
    "cloud .csv": "dfd93d7b662a38ea",
    "cloud .npy": "a0ddb7ba8729d4fb",
    "cloud .npz": "a0e51e3e2aad321a",
    "cloud .pcd": "2197109045173b74",
    "cloud .ply": "1f39c3bad0f88b22",
    "cloud .pts": "05a35082be8ffb2e",
    "cloud .txt": "05a35082be8ffb2e",
    "cloud .xyz": "a0e51e3e2aad321a",
}
"""The digest of the points that are drawn from the test's files of each kind and suffix."""

POINTS = np.random.default_rng(0).normal(size=(4, 48, 3)).astype(np.float32)


@dataclass(frozen=True)
class Layout:
    """A layout whose reader is watched.

    Attributes:
        card: the name of a card that has it.
        write: makes the small files of a training split in a folder.
        changes: what the test's card says otherwise.
        normals: whether normals are read as well.
    """

    card: str
    write: Callable[[Path], None]
    changes: dict[str, Any]
    normals: bool = False


def write_clouds(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = POINTS, np.arange(4) % 3


def write_shapenet_hdf5(root: Path) -> None:
    root.mkdir()
    write_clouds(root / "train0.h5")


def write_scanobjectnn(root: Path) -> None:
    (root / "main_split").mkdir(parents=True)
    write_clouds(root / "main_split" / "training_objectdataset.h5")


def write_files(root: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def write_shapenet_15k(root: Path) -> None:
    files = {f"02691156/train/{row}.npy": cloud_writers.npy(POINTS[row]) for row in range(2)}
    write_files(root, files | {"03001627/train/c.npy": cloud_writers.npy(POINTS[2])})


def table(row: int, delimiter: str = " ") -> bytes:
    """Points with a vector each, which becomes a unit normal."""
    numbers = np.hstack([POINTS[row], POINTS[(row + 1) % 4]]).astype(np.float64)
    return cloud_writers.text(numbers, delimiter)


def write_shapenet_part(root: Path) -> None:
    names = ["02691156/a", "02773838/b"]
    entries = json.dumps([f"shape_data/{name}" for name in names]).encode()
    files = {f"{name}.txt": table(row) for row, name in enumerate(names)}
    files["train_test_split/shuffled_train_file_list.json"] = entries
    files["synsetoffset2category.txt"] = b"Airplane\t02691156\nBag\t02773838\n"
    write_files(root, files)


def write_modelnet_resampled(root: Path) -> None:
    names = ["bed_0001", "night_stand_0002"]
    files = {f"{name[:-5]}/{name}.txt": table(row, ",") for row, name in enumerate(names)}
    files["modelnet40_shape_names.txt"] = b"bed\nnight_stand\n"
    files["modelnet40_train.txt"] = "\n".join(names).encode()
    write_files(root, files)


def write_modelnet_off(root: Path) -> None:
    names = ["bed/train/bed_0001.off", "chair/train/chair_0001.off"]
    write_files(root, dict.fromkeys(names, mesh_writers.off()))


def write_shapenet_obj(root: Path) -> None:
    rows = "id,synsetId,subSynsetId,modelId,split\n0,02691156,0,a,train\n1,03001627,0,b,test\n"
    mesh = {"02691156/a/models/model_normalized.obj": mesh_writers.obj()}
    write_files(root, {"all.csv": rows.encode()} | mesh)


def write_mesh_folder(root: Path) -> None:
    write_files(
        root, {f"train/cog/{name}": content for name, content in mesh_writers.ONE_PYRAMID.items()}
    )


def write_cloud_folder(root: Path) -> None:
    write_files(root, {f"train/cog/{name}": content for name, content in GOOD.items()})


def write_image_folder(root: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), np.uint8)
    files = {f"train/cat/{row}.png": tiny_images.encoded(pixels[row]) for row in range(2)}
    write_files(root, files | {"train/dog/a.bmp": tiny_images.encoded(pixels[2], "BMP")})


def write_mnist(root: Path) -> None:
    tiny_images.write_mnist(root)


def write_celeba(root: Path) -> None:
    tiny_images.write_celeba(root, packed=True)


def write_nothing(root: Path) -> None:
    pass


LAYOUTS = {
    "shapes": Layout(
        "shapes",
        write_nothing,
        {"points": 64, "splits": {"train": {"count": 40, "seed": 0}}},
    ),
    "programs": Layout(
        "programs",
        write_nothing,
        {"points": 64, "splits": {"train": {"count": 40, "seed": 0}}},
    ),
    "modelnet_hdf5": Layout("modelnet40", tiny_hdf5.write_hdf5, {"classes": tiny_hdf5.CLASSES}),
    "shapenet_hdf5": Layout("shapenetcore_v2_hdf5", write_shapenet_hdf5, {}),
    "shapenet_15k": Layout("shapenetcore_v2_15k", write_shapenet_15k, {"points": 32}),
    "shapenet_part": Layout("shapenetpart", write_shapenet_part, {"points": 32}, True),
    "scanobjectnn": Layout("scanobjectnn_obj_bg", write_scanobjectnn, {}),
    "modelnet_off": Layout("modelnet10_off", write_modelnet_off, {"points": 32}, True),
    "shapenet_obj": Layout("shapenetcore_v2", write_shapenet_obj, {"points": 32}, True),
    "mesh_folder": Layout("mesh-folder", write_mesh_folder, {"points": 32}, True),
    "cloud_folder": Layout("cloud-folder", write_cloud_folder, {"points": 32}),
    "modelnet_resampled": Layout(
        "modelnet40_resampled", write_modelnet_resampled, {"points": 32}, True
    ),
    "mnist_idx": Layout("mnist", write_mnist, {}),
    "omniglot_zip": Layout("omniglot", tiny_images.write_omniglot, {}),
    "cifar10_binary": Layout(
        "cifar10", tiny_images.write_cifar, {"classes": tiny_images.CIFAR_CLASSES}
    ),
    "celeba": Layout("celeba", write_celeba, {}),
    "digits": Layout("digits", write_nothing, {}),
    "image_folder": Layout("image-folder", write_image_folder, {}),
}


@pytest.fixture(autouse=True)
def files_are_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was prepared before, and no worker takes time to start."""
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))

    def draw_shapes(tasks: list[workers.Task], *how: Any) -> Iterator[object]:
        yield from ((task, workers.draw_shape(task, *how[:2])) for task in tasks)

    monkeypatch.setattr(preparation, "draw_shapes", draw_shapes)


def test_every_layout_is_watched():
    assert set(LAYOUTS) == set(READERS) == set(TABLE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_reader_reads_what_its_version_promises(tmp_path: Path, name: str):
    layout = LAYOUTS[name]
    root = tmp_path / "small"
    layout.write(root)
    values = load_card(layout.card).model_dump(mode="json") | {"name": "small"} | layout.changes
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values | {"classes": list(values["classes"])}))
    card = load_card(path)
    assert card.layout == name
    items = load(path, "train", root=root if card.reads_files else None, normals=layout.normals)
    digest = hashlib.sha256(f"{items.fingerprint()} {items.classes}".encode())
    if layout.normals:
        digest.update(np.ascontiguousarray(items.normals, "<f4").data)
    reader = shape_reader_of(card) if has_a_file_a_shape(card) else reader_of(card)
    found = (reader.VERSION, digest.hexdigest()[:16])
    assert found == READERS.get(name), (
        f"{reader.__name__} reads other things of the same files than before: raise its VERSION "
        f"(or FORMAT in {store.__name__} where every layout is read otherwise), and record in "
        f'READERS "{name}": {found}'
    )


def suffix_of(name: str) -> str:
    return Path(name).suffix.lower()


MESHES = {
    suffix: {n: c for n, c in mesh_writers.ONE_PYRAMID.items() if suffix_of(n) == suffix}
    for suffix in sorted({suffix_of(name) for name in mesh_writers.ONE_PYRAMID})
}
CLOUDS = {
    suffix: {name: content for name, content in GOOD.items() if suffix_of(name) == suffix}
    for suffix in sorted({suffix_of(name) for name in GOOD})
}


@pytest.mark.parametrize(
    "kind", [f"mesh {suffix}" for suffix in MESHES] + [f"cloud {s}" for s in CLOUDS]
)
def test_a_file_format_is_read_as_the_format_of_the_cache_promises(tmp_path: Path, kind: str):
    what, suffix = kind.split()
    digest = hashlib.sha256()
    for name, content in (MESHES if what == "mesh" else CLOUDS)[suffix].items():
        (tmp_path / name).write_bytes(content)
        module = meshes if what == "mesh" else cloud_files
        points = module.load_points(tmp_path / name, 32, np.random.default_rng(0)).points
        digest.update(np.ascontiguousarray(points, "<f4").data)
    found = digest.hexdigest()[:16]
    assert (store.FORMAT, found) == (FORMAT, FILES.get(kind)), (
        f"{module.__name__} reads other points of the same {suffix} files than before, or FORMAT "
        f"of {store.__name__} was raised: raise it if it was not, and record it here, and in FILES "
        f'"{kind}": "{found}"'
    )
