"""Damaged clouds of every format and layout: a sentence that names one, or valid clouds."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import cloud_writers as write
from helpers.bare_cards import card
from helpers.fuzzing import damaged, fuzz_files, fuzz_folder
from helpers.good_clouds import GOOD
from helpers.tiny_hdf5 import write_hdf5
from pc_crvae.data.clouds import normalize
from pc_crvae.data.formats.cloud_files import load_points, load_points_and_normals
from pc_crvae.data.items import Listing, RawItems, Sample
from pc_crvae.data.readers import (
    modelnet_hdf5,
    modelnet_resampled,
    scanobjectnn,
    shapenet_hdf5,
    shapenet_part,
)

SEEDS = st.integers(0, 2**32 - 1)
CASES = 2000
FORMATS = sorted({Path(name).suffix.lower() for name in GOOD})


def by_format(suffix: str) -> dict[str, bytes]:
    return {name: content for name, content in GOOD.items() if name.lower().endswith(suffix)}


def wreck_inside(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file; of an ``.npz`` often what is packed, packed anew so that check sums hold."""
    if not content.startswith(b"PK") or rng.random() < 0.4:
        return damaged(content, rng)
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in archive.namelist():
            other.writestr(name, damaged(archive.read(name), rng))
    return stream.getvalue()


def check_cloud(points: np.ndarray) -> None:
    unit = normalize(points[None])
    assert np.isfinite(unit).all()
    np.testing.assert_allclose(np.linalg.norm(unit[0], axis=1).max(), 1, rtol=1e-5)


def check_sample(sample: Sample) -> None:
    assert sample.points.shape == (16, 3)
    check_cloud(sample.points)
    if sample.normals is not None:
        np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=1), 1)


def check_raw(raw: RawItems) -> None:
    for points in raw.array:
        check_cloud(points)
    assert raw.labels is not None
    assert raw.labels.dtype == np.int64
    assert len(raw.array) == len(raw.labels) == len(raw.ids) == len(set(raw.ids))
    assert all(0 <= label < len(raw.classes) for label in raw.labels)


def check_items(listed: Listing) -> None:
    items, classes, _ = listed
    assert len({item.id for item in items}) == len(items) > 0
    assert all(item.label in range(len(classes)) for item in items)


def load(path: Path) -> Sample:
    return load_points(path, 16, np.random.default_rng(0))


def load_with_normals(path: Path) -> Sample:
    return load_points_and_normals(path, 16, np.random.default_rng(0))


NORMALS = {
    "commas.txt": write.text(np.random.default_rng(0).normal(size=(30, 6)), ","),
    "blanks.txt": write.text(np.random.default_rng(0).normal(size=(30, 7))),
}


ROWS = write.text(np.random.default_rng(1).normal(size=(30, 6)).round(3), ",")
HEADED = {
    "named.csv": b'"R","G","B","Points:0","Points:1","Points:2"\n' + ROWS,
    "pandas.csv": b"0,1,2,3,4,5\n" + ROWS,
    "comment.txt": b"//R,G,B,X,Y,Z\n30\n" + ROWS,
}


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_damaged_cloud_is_refused_or_valid(tmp_path_factory: pytest.TempPathFactory, seed: int):
    folder = tmp_path_factory.getbasetemp()
    fuzz_files(GOOD, load, check_sample, folder, seed=seed, wreck=wreck_inside)
    fuzz_files(HEADED, load, check_sample, folder, seed=seed)
    fuzz_files(NORMALS, load_with_normals, check_sample, folder, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_thousands_of_damaged_clouds_are_refused_or_valid(tmp_path: Path, suffix: str):
    survived = fuzz_files(
        by_format(suffix),
        load,
        check_sample,
        tmp_path,
        seed=1,
        cases=CASES,
        wreck=wreck_inside,
    )
    assert 0 < survived < CASES


@pytest.mark.slow
def test_thousands_of_damaged_normals_are_refused_or_valid(tmp_path: Path):
    survived = fuzz_files(NORMALS, load_with_normals, check_sample, tmp_path, seed=1, cases=CASES)
    assert 0 < survived < CASES


@dataclass(frozen=True)
class Layout:
    """A small set of a layout, the files to damage, and how it is read."""

    make: Callable[[Path], None]
    read: Callable[[Path], object]
    check_valid: Callable[..., None]


def write_clouds(path: Path, count: int = 3, **options: object) -> None:
    rng = np.random.default_rng(count)
    with h5py.File(path, "w") as file:
        points = rng.normal(size=(count, 8, 3)).astype(np.float32)
        file.create_dataset("data", data=points, **options)
        file["label"] = np.arange(count, dtype=np.uint8)[:, None] % 3


def make_shapenet(root: Path) -> None:
    root.mkdir()
    write_clouds(root / "train0.h5")
    write_clouds(root / "train1.h5", chunks=(2, 8, 3), compression="gzip", shuffle=True)
    (root / "train1_id2file.json").write_text(json.dumps(["02691156/a", "02691156/b", "x/c.ply"]))
    (root / "train1_id2name.json").write_text(json.dumps(["bed", "chair", "bed"]))
    (root / "train_files.txt").write_text("train0.h5\ntrain1.h5\n")
    (root / "shape_names.txt").write_text("chair\nbed\nbathtub\n")


def make_scanobjectnn(root: Path) -> None:
    (root / "main_split").mkdir(parents=True)
    write_clouds(root / "main_split" / "training_objectdataset.h5", chunks=(1, 8, 3))


def make_resampled(root: Path) -> None:
    for name in ("bed", "night_stand"):
        (root / name).mkdir(parents=True)
    (root / "modelnet40_shape_names.txt").write_text("bed\nnight_stand\n")
    (root / "modelnet40_train.txt").write_text("bed_0001\nnight_stand_0001\nbed_0002\n")


def make_part(root: Path) -> None:
    (root / "train_test_split").mkdir(parents=True)
    (root / "synsetoffset2category.txt").write_text("Airplane\t02691156\nBag\t02773838\n")
    entries = [
        f"shape_data/{synset}/{name}" for synset in ("02691156", "02773838") for name in "ab"
    ]
    path = root / "train_test_split" / "shuffled_train_file_list.json"
    path.write_text(json.dumps(entries))


MODELNET = card("bathtub", "bed", "chair")
SCANNED = card("bag", "bin", "box", variant="obj_bg")
RESAMPLED = card("bed", "night_stand", variant="modelnet40")
PARTS = card("Airplane", "Bag")
LAYOUTS = {
    "modelnet_hdf5": Layout(
        write_hdf5, lambda root: modelnet_hdf5.read_split(root, "train", MODELNET), check_raw
    ),
    "shapenet_hdf5": Layout(
        make_shapenet, lambda root: shapenet_hdf5.read_split(root, "train", MODELNET), check_raw
    ),
    "scanobjectnn": Layout(
        make_scanobjectnn, lambda root: scanobjectnn.read_split(root, "train", SCANNED), check_raw
    ),
    "modelnet_resampled": Layout(
        make_resampled,
        lambda root: modelnet_resampled.list_items(root, "train", RESAMPLED),
        check_items,
    ),
    "shapenet_part": Layout(
        make_part, lambda root: shapenet_part.list_items(root, "train", PARTS), check_items
    ),
}


def fuzz_layout(name: str, root: Path, seed: int, cases: int) -> int:
    layout = LAYOUTS[name]
    if not root.exists():
        layout.make(root)
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "test" not in path.name
    }
    return fuzz_folder(
        root, files, lambda: layout.read(root), layout.check_valid, seed=seed, cases=cases
    )


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(LAYOUTS)), seed=SEEDS)
def test_a_damaged_set_is_refused_or_valid(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
):
    fuzz_layout(name, tmp_path_factory.getbasetemp() / f"fuzz_{name}", seed, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_thousands_of_damaged_sets_are_refused_or_valid(tmp_path: Path, name: str):
    survived = fuzz_layout(name, tmp_path / "set", 1, CASES)
    assert 0 < survived < CASES
