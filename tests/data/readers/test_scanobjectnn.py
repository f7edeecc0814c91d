from pathlib import Path

import h5py
import numpy as np
import pytest

from helpers.bare_cards import card
from pc_crvae.data.readers.scanobjectnn import VARIANTS, read_split, source_paths
from pc_crvae.errors import UserError

CLASSES = ("bag", "bin", "box")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Every file of the main split, each with points of its own."""
    for number, (folder, end) in enumerate(VARIANTS.values()):
        (tmp_path / folder).mkdir(exist_ok=True)
        for side, count in (("training", 4), ("test", 3)):
            rng = np.random.default_rng([number, count])
            with h5py.File(tmp_path / folder / f"{side}_objectdataset{end}.h5", "w") as file:
                file["data"] = rng.normal(size=(count, 16, 3)).astype(np.float32)
                file["label"] = np.arange(count) % 3
                file["mask"] = np.full((count, 16), -1)
    return tmp_path


@pytest.mark.parametrize(
    ("variant", "file"),
    [
        ("obj_bg", "main_split/test_objectdataset.h5"),
        ("obj_only", "main_split_nobg/test_objectdataset.h5"),
        ("pb_t50_rs", "main_split/test_objectdataset_augmentedrot_scale75.h5"),
    ],
)
def test_the_variant_names_the_file(root: Path, variant: str, file: str):
    one = card(*CLASSES, variant=variant)
    raw = read_split(root, "test", one)
    with h5py.File(root / file, "r") as opened:
        np.testing.assert_array_equal(raw.array, opened["data"][()])
    assert raw.labels.tolist() == [0, 1, 2]
    assert raw.classes == CLASSES
    assert raw.ids[2] == f"{Path(file).stem}/2"
    assert source_paths(root, "test", one) == [root / file]


def test_variants_and_splits_lie_apart(root: Path):
    clouds = [
        read_split(root, split, card(*CLASSES, variant=variant)).array[0].tobytes()
        for variant in VARIANTS
        for split in ("train", "test")
    ]
    assert len(set(clouds)) == 2 * len(VARIANTS) == 12
    assert len(read_split(root, "train", card(*CLASSES, variant="pb_t25")).array) == 4


def test_a_card_without_a_variant_is_told_them(root: Path):
    with pytest.raises(UserError, match=r"one of obj_bg, .*pb_t50_rs, not None"):
        read_split(root, "test", card(*CLASSES))


def test_a_missing_file_is_named(root: Path):
    (root / "main_split" / "training_objectdataset.h5").unlink()
    with pytest.raises(UserError, match=r"training_objectdataset\.h5 is missing: is .* h5_files"):
        read_split(root, "train", card(*CLASSES, variant="obj_bg"))


def test_labels_beyond_the_cards_classes_are_refused(root: Path):
    with pytest.raises(UserError, match="label 2 in row 2 is out of range, as the card small"):
        read_split(root, "test", card("bag", "bin", variant="obj_bg"))
