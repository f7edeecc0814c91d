import gzip
import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from helpers.tiny_hdf5 import write_hdf5
from pc_crvae.data.cache import sealed_files
from pc_crvae.data.cards import load_card
from pc_crvae.data.fetching.record import FetchedFile, FetchRecord, write_record
from pc_crvae.data.inspection import checks
from pc_crvae.data.inspection.checks import Check, check
from pc_crvae.data.inspection.summaries import summarize
from pc_crvae.errors import UserError

NAMES = ("bathtub", "bed", "chair")


def _card(folder: Path, like: str, **changes: object) -> Path:
    path = folder / "tiny.yaml"
    values = load_card(like).model_dump(mode="json") | {"name": "tiny"} | changes
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def _clouds_card(folder: Path, **changes: object) -> Path:
    counts = {split: {"count": _count(folder, split)} for split in ("train", "test")}
    values = {"classes": list(NAMES), "splits": counts, "sources": []}
    return _card(folder, "modelnet40", **values | changes)


def _count(folder: Path, split: str) -> int:
    files = sorted((folder / "small_hdf5").glob(f"ply_data_{split}*.h5"))
    return sum(len(h5py.File(path, "r")["label"]) for path in files)


def _sentences(found: Check, subject: str) -> list[tuple[str, bool]]:
    return [(f.sentence, f.defect) for f in found.findings if f.subject == subject]


def _change(path: Path, key: str, change) -> None:
    with h5py.File(path, "r+") as file:
        values = file[key][()]
        change(values)
        file[key][...] = values


def test_a_set_as_its_card_says_has_no_findings(hdf5_root: Path, tmp_path: Path):
    found = check(_clouds_card(tmp_path), root=hdf5_root, strict=True)
    assert found.findings == ()
    assert found.counts == {split: _count(tmp_path, split) for split in ("train", "test")}


def test_generated_shapes_are_checked_without_files(tmp_path: Path):
    splits = {"train": {"count": 40, "seed": 0}, "test": {"count": 20, "seed": 1}}
    found = check(_card(tmp_path, "shapes", splits=splits, points=64))
    assert found.folder is None
    assert found.findings == ()


def test_the_same_seed_for_both_splits_is_told(tmp_path: Path):
    splits = {"train": {"count": 40, "seed": 0}, "test": {"count": 20, "seed": 0}}
    told, near = check(_card(tmp_path, "shapes", splits=splits, points=64)).findings
    assert told.defect
    assert told.sentence.startswith("items of test that train has as well: 20 (")
    assert near.sentence.startswith("items of test of which train has a near-copy: 20 of 20 (")


def test_near_copies_across_splits_are_a_note_with_their_labels(hdf5_root: Path, tmp_path: Path):
    with h5py.File(hdf5_root / "ply_data_train0.h5", "r") as file:
        points, labels = file["data"][()], file["label"][()]
    assert labels[:3, 0].tolist() == [0, 1, 2]

    def copy(clouds: np.ndarray) -> None:
        clouds[0] = points[0] + np.float32(1e-4) * points[1]  # of its own class
        clouds[2] = points[4, ::-1] * np.float32(1.5)  # of another

    _change(hdf5_root / "ply_data_test0.h5", "data", copy)
    told: list[str] = []
    found = check(_clouds_card(tmp_path), root=hdf5_root, strict=True, say=told.append)
    assert "looking for near-copies" in told
    ((sentence, defect),) = _sentences(found, "near_copies")
    assert not defect
    assert sentence.startswith("items of test of which train has a near-copy: 2 of 3 (root mean ")
    assert "nearest of 16 points, as the shapes are, below 0.012)" in sentence
    assert "they make 2 pairs, 1 of them with different labels, the first " in sentence
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_MOST_COMPARED", 9)
        found = check(_clouds_card(tmp_path), root=hdf5_root, strict=True)
    ((sentence, _),) = _sentences(found, "near_copies")
    assert "a near-copy: 1 of the 1 that were compared (" in sentence


def test_a_cut_set_is_told_and_is_a_defect_only_if_strict(hdf5_root: Path, tmp_path: Path):
    card = _clouds_card(tmp_path, splits={"train": {"count": 3991}, "test": {}})
    count = _count(tmp_path, "train")
    sentence = f"train has {count} of 3,991 items: a cut of the set"
    assert _sentences(check(card, root=hdf5_root), "count") == [(sentence, False)]
    assert _sentences(check(card, root=hdf5_root, strict=True), "count") == [(sentence, True)]


def test_more_items_than_published_are_told(hdf5_root: Path, tmp_path: Path):
    card = _clouds_card(tmp_path, splits={"train": {"count": 1}})
    ((sentence, defect),) = _sentences(check(card, root=hdf5_root), "count")
    assert sentence.endswith("more than the card's set has")
    assert not defect


def test_classes_without_items_are_told(hdf5_root: Path, tmp_path: Path):
    card = _clouds_card(tmp_path, classes=[*NAMES, "desk", "sofa"])
    sentence = "classes without items: 2 of 5 (desk, sofa)"
    assert _sentences(check(card, root=hdf5_root), "classes") == [(sentence, False)]
    assert _sentences(check(card, root=hdf5_root, strict=True), "classes") == [(sentence, True)]


def test_a_class_of_the_test_split_alone_is_told(tmp_path: Path):
    write_hdf5(tmp_path / "small_hdf5")
    root = tmp_path / "small_hdf5"
    for path in root.glob("ply_data_train*.h5"):
        _change(path, "label", lambda labels: labels.__setitem__(labels == 2, 0))
    with h5py.File(root / "ply_data_test0.h5", "r") as file:
        assert 2 in file["label"][()]
    found = check(_clouds_card(tmp_path), root=root, strict=True)
    told = ("classes of test without items in train: 1 (chair)", False)
    assert told in _sentences(found, "classes")


def test_damage_is_told_and_the_other_split_still_looked_at(hdf5_root: Path, tmp_path: Path):
    def spoil(points: np.ndarray) -> None:
        points[0, 0, 0] = np.nan

    _change(hdf5_root / "ply_data_test0.h5", "data", spoil)
    card = _clouds_card(tmp_path)
    found = check(card, root=hdf5_root)
    ((sentence, defect),) = _sentences(found, "reading")
    assert defect
    assert sentence.startswith("test cannot be read: ")
    assert "ply_data_test0.h5" in sentence
    assert set(found.counts) == {"train"}


def test_values_are_looked_at_even_where_loading_let_them_pass(
    hdf5_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from dataclasses import replace

    from pc_crvae.data import load

    def spoilt(name, split, **where):
        items = load(name, split, **where)
        points = np.array(items.points)
        points[1, 0, 0] = np.nan
        points[2] *= 1.01
        labels = items.labels.copy()
        labels[0] = 3
        return replace(items, points=points, labels=labels)

    card = _clouds_card(tmp_path)
    monkeypatch.setattr(checks, "load", spoilt)
    found = check(card, root=hdf5_root)
    values = _sentences(found, "values")
    assert [defect for _, defect in values] == [True, True]
    assert values[0][0] == "clouds of train not finite or not of radius 1: 2 (train0_1, train0_2)"
    assert _sentences(found, "classes")[0][0].startswith("labels of train that name no class: 1, ")


def test_copies_across_the_splits_are_a_defect_and_within_one_are_told(
    hdf5_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checks, "_ITEMS_AT_ONCE", 1)
    with h5py.File(hdf5_root / "ply_data_train0.h5", "r") as file:
        cloud, label = file["data"][0], file["label"][0]

    def copy(points: np.ndarray) -> None:
        points[1] = points[2] = 2 * cloud  # the same cloud once it is normalised

    def relabel(labels: np.ndarray) -> None:
        labels[1] = label
        labels[2] = (label + 1) % 3

    _change(hdf5_root / "ply_data_test0.h5", "data", copy)
    _change(hdf5_root / "ply_data_test0.h5", "label", relabel)
    found = check(_clouds_card(tmp_path), root=hdf5_root)
    told = _sentences(found, "duplicates")
    assert [defect for _, defect in told] == [False, True, True]
    assert told[0][0] == "exact copies within test: 1 (test0_1 = test0_2)"
    assert told[1][0] == "items of test that train has as well: 2 (test0_1 = train0_0)"
    assert told[2][0].startswith("copies with different labels: 1 (")


def _write_off(path: Path, side: float, *, broken: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    corners = "0 0 0\n{0} 0 0\n0 {0} 0\n0 0 {0}\n".format("x" if broken else side)
    path.write_text(f"OFF\n4 4 0\n{corners}3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n")


def test_meshes_are_checked_by_their_files(tmp_path: Path):
    root = tmp_path / "mine"
    for number in range(3):
        _write_off(root / "cog" / "train" / f"{number}.off", 1 + number)
    _write_off(root / "cog" / "test" / "0.off", 2)
    _write_off(root / "cog" / "test" / "1.off", 9)
    _write_off(root / "cog" / "test" / "2.off", 1, broken=True)
    card = _card(tmp_path, "mesh-folder", points=64)
    found = check(card, root=root)
    ((refusal, is_defect),) = _sentences(found, "reading")
    assert is_defect
    assert refusal.startswith(f"1 of 3 files of test cannot be used, the first as {root}")
    sentence = "items of test that train has as well: 1 (cog/test/0 = cog/train/1)"
    assert _sentences(found, "duplicates") == [(sentence, True)]
    assert found.counts == {"train": 3, "test": 2}


def test_meshes_are_measured_in_the_unit_of_their_files(tmp_path: Path):
    root = tmp_path / "mine"
    for number in range(1, 3):
        _write_off(root / "train" / f"{number}.off", 1000.0 * number)
        _write_off(root / "test" / f"{number}.off", number)
    summary = summarize(_card(tmp_path, "mesh-folder", points=1024), root=root, up="y")
    extents = {split: part["extent"] for split, part in summary["splits"].items()}
    assert extents["train"]["greatest"] == pytest.approx(2000, rel=0.1)
    assert extents["test"]["least"] == pytest.approx(1, rel=0.1)
    assert summary["splits"]["test"]["per_class"] is None


def test_a_fetched_archive_is_held_against_what_was_noted(hdf5_root: Path, tmp_path: Path):
    source = {"file": "a.zip", "urls": ["https://a.org/a.zip"], "sha256": None, "size": None}
    card = _clouds_card(tmp_path, sources=[source | {"unpack": True}])
    (hdf5_root / "a.zip").write_bytes(b"first")
    assert _sentences(check(card, root=hdf5_root), "sources") == []
    file = FetchedFile(sha256=hashlib.sha256(b"first").hexdigest())
    write_record(hdf5_root, FetchRecord(files={"a.zip": file}))
    assert _sentences(check(card, root=hdf5_root), "sources") == []
    (hdf5_root / "a.zip").write_bytes(b"other")
    ((sentence, defect),) = _sentences(check(card, root=hdf5_root), "sources")
    assert defect
    assert "a.zip is not the file that was fetched: its SHA-256 is " in sentence


def _idx_set(folder: Path, *, train: int = 6, test: int = 3) -> Path:
    root = folder / "idx"
    root.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (train + test, 28, 28), dtype=np.uint8)
    for prefix, part in (("train", pixels[:train]), ("t10k", pixels[train:])):
        header = b"".join(n.to_bytes(4, "big") for n in (2051, len(part), 28, 28))
        (root / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(header + part.tobytes(), mtime=0)
        )
        labels = bytes(i % 10 for i in range(len(part)))
        header = b"".join(n.to_bytes(4, "big") for n in (2049, len(part)))
        (root / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(header + labels, mtime=0)
        )
    return root


def _idx_card(folder: Path, root: Path, train: int = 6, test: int = 3) -> Path:
    sources = []
    for source in load_card("mnist").model_dump(mode="json")["sources"]:
        content = (root / source["file"]).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        sources.append(source | {"sha256": digest, "size": len(content)})
    counts = {"train": {"count": train}, "test": {"count": test}}
    classes = [str(digit) for digit in range(10)]
    return _card(folder, "mnist", sources=sources, splits=counts, classes=classes)


def _spoil_unseen(path: Path) -> None:
    """Flip a bit so that only the digest tells."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("verified_at_once", [0, 2**20])
def test_a_damaged_array_of_what_was_prepared_is_named_and_prepared_anew(
    hdf5_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verified_at_once: int
):
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", verified_at_once)
    card = _clouds_card(tmp_path)
    assert check(card, root=hdf5_root).findings == ()
    (entry,) = (tmp_path / "cache").glob("tiny-test-*-*")
    _spoil_unseen(entry / "points.npy")
    (told,) = check(card, root=hdf5_root).findings
    sentence = f"{entry} is damaged (points.npy is not as it was written), and was removed"
    assert (told.subject, told.sentence, told.defect) == ("prepared", sentence, True)
    assert check(card, root=hdf5_root).findings == ()


def test_archives_are_held_against_the_published_checksums(tmp_path: Path):
    root = _idx_set(tmp_path)
    card = _idx_card(tmp_path, root, train=6, test=3)
    assert _sentences(check(card, root=root), "sources") == []
    path = root / "train-labels-idx1-ubyte.gz"
    # Other labels in as many bytes; the archive's time of packing goes into its bytes 4 to 7.
    changed = bytearray(path.read_bytes())
    changed[4] ^= 1
    path.write_bytes(bytes(changed))
    ((sentence, defect),) = _sentences(check(card, root=root), "sources")
    assert defect
    assert sentence.startswith(f"{path} is not the published file: its SHA-256 is ")
    path.write_bytes(path.read_bytes() + b"\0")
    ((sentence, _),) = _sentences(check(card, root=root), "sources")
    assert "bytes, not " in sentence


def test_archives_of_a_cut_set_differ_and_that_is_no_defect(tmp_path: Path):
    root = _idx_set(tmp_path)
    card = _idx_card(tmp_path, root, train=60, test=3)
    path = root / "train-labels-idx1-ubyte.gz"
    changed = bytearray(path.read_bytes())
    changed[4] ^= 1
    path.write_bytes(bytes(changed))
    assert [defect for _, defect in _sentences(check(card, root=root), "sources")] == [False]
    strict = check(card, root=root, strict=True)
    assert [defect for _, defect in _sentences(strict, "sources")] == [True]


def test_an_archive_beside_the_folder_is_found(hdf5_root: Path, tmp_path: Path):
    source = {"file": "a.zip", "urls": ["https://a.org/a.zip"], "sha256": "0" * 64}
    card = _clouds_card(tmp_path, sources=[source | {"size": None, "unpack": True}])
    assert _sentences(check(card, root=hdf5_root), "sources") == []
    (tmp_path / "a.zip").write_bytes(b"other")
    ((sentence, defect),) = _sentences(check(card, root=hdf5_root), "sources")
    assert defect
    assert str(tmp_path / "a.zip") in sentence


def test_a_set_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="not there"):
        check("modelnet40", root=tmp_path / "nowhere")


def test_a_summary_counts_classes_points_and_extents(hdf5_root: Path, tmp_path: Path):
    def repeat(points: np.ndarray) -> None:
        points[0, :2] = [[0, 0, 0], [8, 0, 0]]
        points[0, 2:] = points[0, 0]

    _change(hdf5_root / "ply_data_test0.h5", "data", repeat)
    summary = summarize(_clouds_card(tmp_path), root=hdf5_root)
    test = summary["splits"]["test"]
    assert summary["classes"] == list(NAMES)
    alone = summarize(_clouds_card(tmp_path), root=hdf5_root, splits=["test"])
    assert alone["splits"] == {"test": test}
    assert test["count"] == sum(test["per_class"].values()) == _count(tmp_path, "test")
    assert test["distinct_points"]["least"] == 2
    assert test["distinct_points"]["greatest"] == test["points"]
    assert test["extent"]["greatest"] == 8


def test_a_summary_of_images_tells_sizes_and_values(tmp_path: Path):
    root = _idx_set(tmp_path)
    summary = summarize(_idx_card(tmp_path, root), root=root)["splits"]["train"]
    pixels = gzip.decompress((root / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    values = np.frombuffer(pixels, np.uint8)
    assert (summary["channels"], summary["height"], summary["width"]) == (1, 28, 28)
    assert summary["values"]["mean"] == pytest.approx(values.mean())
    assert (summary["values"]["least"], summary["values"]["greatest"]) == (0, 255)
    assert summary["per_class"]["0"] == 1
