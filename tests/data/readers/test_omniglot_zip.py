import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_images import (
    drawing,
    encoded,
    image_card,
    omniglot_members,
    write_omniglot,
    write_zip,
)
from pc_crvae.config import find_config, load_config
from pc_crvae.data.cards import load_card
from pc_crvae.data.loading import item_set
from pc_crvae.data.readers.omniglot_zip import read_split, source_paths
from pc_crvae.data.splits import split_validation
from pc_crvae.errors import UserError

CARD = image_card("omniglot_zip", ("Greek", "Keble", "N_Ko", "ULOG"))
OF_CHARACTERS = CARD.model_copy(update={"variant": "characters"})
OF_BACKGROUND = CARD.model_copy(update={"variant": "background"})
OF_BACKGROUND_CHARACTERS = CARD.model_copy(update={"variant": "background_characters"})
HELD_OUT_OF_60 = (
    *("N_Ko/character01/0002_08", "N_Ko/character01/0002_11", "N_Ko/character02/0003_09"),
    *("N_Ko/character02/0003_12", "N_Ko/character02/0003_13", "N_Ko/character02/0003_20"),
)
FIRST = "images_background/Greek/character01/0001_01.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_omniglot(tmp_path / "omniglot")
    return tmp_path / "omniglot"


def rewrite(root: Path, **changes: bytes | None) -> None:
    """Write the training archive with members changed, added, or left out where None."""
    members = omniglot_members("train") | changes
    kept = {name: content for name, content in members.items() if content is not None}
    write_zip(root / "images_background.zip", kept)


def read_pixels(root: Path, pixels: np.ndarray) -> np.ndarray:
    rewrite(root, **{FIRST: encoded(pixels, mode="1")})
    return read_split(root, "train", CARD).array[0, 0]


def area_mean(pixels: np.ndarray) -> np.ndarray:
    """The textbook form: each old pixel cut into 4x4, each new one the mean of its 15x15."""
    fine = np.repeat(np.repeat(pixels.astype(np.float64), 4, 0), 4, 1)
    return fine.reshape(28, 15, 28, 15).mean(axis=(1, 3))


def test_a_split_has_the_alphabets_of_its_own_archive(root: Path):
    train = read_split(root, "train", CARD)
    test = read_split(root, "test", CARD)
    assert train.classes == ("Greek", "N_Ko")
    assert test.classes == ("Keble", "ULOG")
    assert train.labels.tolist() == test.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert train.labels.dtype == np.int64
    assert train.ids[0] == "Greek/character01/0001_01"
    assert test.ids[-1] == "ULOG/character02/0003_02"


def test_the_variant_of_characters_has_a_class_for_each(root: Path):
    raw = read_split(root, "train", OF_CHARACTERS)
    assert raw.classes == ("Greek/character01", "N_Ko/character01", "N_Ko/character02")
    assert raw.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_another_variant_is_refused(root: Path):
    card = CARD.model_copy(update={"variant": "strokes"})
    with pytest.raises(UserError, match=r"one of none, characters, .*, not strokes"):
        read_split(root, "train", card)


def write_background(root: Path, drawers: int) -> list[str]:
    """Write a background archive of three characters; return the ids, sorted."""
    names = ("Greek/character01/0001", "N_Ko/character01/0002", "N_Ko/character02/0003")
    ids = [f"{name}_{drawer:02d}" for name in names for drawer in range(1, drawers + 1)]
    members = {f"images_background/{each}.png": drawing(row) for row, each in enumerate(ids)}
    write_zip(root / "images_background.zip", members)
    return ids


def test_the_splits_of_the_background_share_it_out(tmp_path: Path):
    ids = write_background(tmp_path, 20)
    parts = {split: read_split(tmp_path, split, OF_BACKGROUND) for split in ("train", "test")}
    assert {split: len(raw.ids) for split, raw in parts.items()} == {"train": 54, "test": 6}
    assert sorted(parts["train"].ids + parts["test"].ids) == ids
    everything = read_split(tmp_path, "train", CARD)
    for raw in parts.values():
        rows = [everything.ids.index(name) for name in raw.ids]
        assert rows == sorted(rows)
        np.testing.assert_array_equal(raw.array, everything.array[rows])
        assert [raw.classes[label] for label in raw.labels] == [
            name.split("/")[0] for name in raw.ids
        ]


def test_which_drawings_are_held_out_is_fixed(tmp_path: Path):
    write_background(tmp_path, 20)
    assert read_split(tmp_path, "test", OF_BACKGROUND).ids == HELD_OUT_OF_60


def test_the_background_is_split_alike_however_the_archive_is_ordered(tmp_path: Path):
    ids = write_background(tmp_path, 20)
    before = read_split(tmp_path, "test", OF_BACKGROUND)
    members = {f"images_background/{each}.png": drawing(row) for row, each in enumerate(ids)}
    write_zip(tmp_path / "images_background.zip", dict(reversed(members.items())))
    after = read_split(tmp_path, "test", OF_BACKGROUND)
    assert before.ids == after.ids
    np.testing.assert_array_equal(before.array, after.array)


def test_the_splits_of_the_background_have_all_its_classes(tmp_path: Path):
    # Of so few drawings one is test, which shows one class.
    write_background(tmp_path, 2)
    for split in ("train", "test"):
        assert read_split(tmp_path, split, OF_BACKGROUND).classes == ("Greek", "N_Ko")
        raw = read_split(tmp_path, split, OF_BACKGROUND_CHARACTERS)
        assert raw.classes == ("Greek/character01", "N_Ko/character01", "N_Ko/character02")
        assert [raw.classes[label] for label in raw.labels] == [
            name.rsplit("/", 1)[0] for name in raw.ids
        ]
    assert len(raw.ids) == 1


def test_the_other_archive_is_no_source_of_the_background(tmp_path: Path):
    write_background(tmp_path, 2)
    for split in ("train", "test"):
        assert source_paths(tmp_path, split, OF_BACKGROUND) == [tmp_path / "images_background.zip"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_background_too_small_to_split_is_told(tmp_path: Path, split: str):
    write_background(tmp_path, 1)
    with pytest.raises(UserError, match=r"images_background\.zip holds 3 drawings, too few"):
        read_split(tmp_path, split, OF_BACKGROUND)


def test_images_come_by_name_however_the_archive_is_ordered(root: Path):
    before = read_split(root, "train", CARD)
    backwards = dict(reversed(omniglot_members("train").items()))
    write_zip(root / "images_background.zip", backwards, zipfile.ZIP_STORED)
    after = read_split(root, "train", CARD)
    assert before.ids == after.ids
    np.testing.assert_array_equal(before.array, after.array)


def test_ink_is_light_and_shrunk_by_area(root: Path):
    pixels = np.random.default_rng(0).integers(0, 2, (105, 105), np.uint8) * 255
    images = read_split(root, "train", CARD).array
    assert images.shape == (6, 1, 28, 28)
    assert images.dtype == np.uint8
    np.testing.assert_allclose(read_pixels(root, pixels), 255 - area_mean(pixels), atol=0.501)


def test_blank_paper_is_0_and_ink_all_over_255(root: Path):
    assert read_pixels(root, np.full((105, 105), 255, np.uint8)).max() == 0
    assert read_pixels(root, np.zeros((105, 105), np.uint8)).min() == 255


def test_a_shrunk_image_is_neither_mirrored_nor_turned(root: Path):
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[:30, 90:] = 0
    shrunk = read_pixels(root, pixels)
    assert shrunk[:8, 24:].min() == 255
    assert shrunk[8:].max() == shrunk[:, :24].max() == 0


def test_folders_hidden_files_and_other_kinds_are_passed_over(root: Path):
    before = read_split(root, "train", CARD)
    extra = ("images_background/", "images_background/.a.png", "__MACOSX/._b.png", "notes.txt")
    rewrite(root, **dict.fromkeys(extra, b""))
    assert read_split(root, "train", CARD).ids == before.ids


def test_sources_are_the_archive(root: Path):
    assert source_paths(root, "test", CARD) == [root / "images_evaluation.zip"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (dict.fromkeys(omniglot_members("train")), "holds no drawings"),
        ({"images_background/Greek/0001_01.png": drawing(0)}, "is not laid out as"),
        ({"images_background/Greek/character01/a.png": drawing(0)}, "is not laid out as"),
        ({"images_evaluation/Greek/character01/0001_01.png": drawing(0)}, "is not laid out as"),
        ({"Greek/character01/0001_03.png": drawing(0)}, "is not laid out as"),
        (
            {"images_background/Elvish/character01/0001_01.png": drawing(0)},
            "belongs to an alphabet that is no class of tiny_omniglot_zip",
        ),
        ({FIRST: b"no image"}, "is not a PNG or JPEG image"),
        ({FIRST: b""}, "is not a PNG or JPEG image"),
        ({FIRST: drawing(0)[:-30]}, "is a damaged image"),
        ({FIRST: encoded(np.zeros((28, 28), np.uint8))}, "has 28x28 pixels, not 105x105"),
        ({FIRST: encoded(np.zeros((105, 104), np.uint8))}, "has 104x105 pixels, not 105x105"),
        ({FIRST: encoded(np.zeros((105, 105, 3), np.uint8))}, "not black and white.*RGB"),
        ({FIRST: bytes(65537)}, "has 65537 bytes, where at most 65536 are expected"),
    ],
)
def test_an_unusable_member_is_named(root: Path, changes: dict[str, bytes | None], problem: str):
    rewrite(root, **changes)
    with pytest.raises(UserError, match=problem) as caught:
        read_split(root, "train", CARD)
    assert "images_background.zip" in str(caught.value)
    assert (len(changes) > 1) or next(iter(changes)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_drawing_that_is_there_twice_is_named(root: Path):
    with zipfile.ZipFile(root / "images_background.zip", "a") as archive:
        archive.writestr(FIRST, drawing(1))
    with pytest.raises(UserError, match=r"0001_01\.png is there twice"):
        read_split(root, "train", CARD)


def test_a_missing_archive_is_named(root: Path):
    (root / "images_background.zip").unlink()
    with pytest.raises(UserError, match=r"images_background\.zip is missing.*leave it packed"):
        read_split(root, "train", CARD)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", None])
def test_a_damaged_archive_is_named(root: Path, content: bytes | None):
    path = root / "images_background.zip"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(UserError, match=r"images_background\.zip cannot be read or is not a whole"):
        read_split(root, "train", CARD)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_bounded_is_refused(root: Path, packing: int):
    write_zip(root / "images_background.zip", omniglot_members("train"), packing)
    with pytest.raises(UserError, match=r"0001_01\.png is neither stored nor deflated"):
        read_split(root, "train", CARD)


def test_a_member_that_unpacks_to_more_than_it_says_is_unpacked_no_further(root: Path):
    """A bomb: 100 MB of zeros that both headers call 200 bytes."""
    path = root / "images_background.zip"
    rewrite(root, **{FIRST: bytes(100_000_000)})
    size = (100_000_000).to_bytes(4, "little")
    content = path.read_bytes()
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (200).to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"0001_01\.png is damaged \(Bad CRC-32"):
        read_split(root, "train", CARD)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_folder_in_place_of_the_archive_is_told(root: Path):
    path = root / "images_background.zip"
    path.unlink()
    path.mkdir()
    with pytest.raises(UserError, match=r"images_background\.zip cannot be read.*Is a directory"):
        read_split(root, "train", CARD)


def test_a_name_that_the_member_itself_disputes_is_told_in_short(root: Path):
    path = root / "images_background.zip"
    content = bytearray(path.read_bytes())
    # The length of the name in front of the first member.
    content[26:28] = (500).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"0001_01\.png is damaged") as caught:
        read_split(root, "train", CARD)
    assert len(str(caught.value)) < 400


def test_a_locked_archive_is_told(root: Path):
    path = root / "images_background.zip"
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    content[6] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"0001_01\.png is locked by a password"):
        read_split(root, "train", CARD)


@pytest.mark.parametrize(
    ("start", "offset", "value"),
    [
        # How it is packed: nonsense where the archive says deflated.
        (b"PK\x03\x04", 30 + len(FIRST), b"\xff\xff\xff"),
        # Which version of zip it takes.
        (b"PK\x01\x02", 6, b"\xff"),
        # Where the member starts.
        (b"PK\x01\x02", 42, b"\xff\xff\xff\x7f"),
        # How long it is when packed.
        (b"PK\x01\x02", 20, b"\x02\x00\x00\x00"),
        # A name that is not what its flag says, UTF-8.
        (b"PK\x01\x02", 8, b"\x00\x08"),
    ],
)
def test_damage_within_an_archive_is_told(root: Path, start: bytes, offset: int, value: bytes):
    path = root / "images_background.zip"
    content = bytearray(path.read_bytes())
    at = content.index(start)
    content[at + offset : at + offset + len(value)] = value
    if value == b"\x00\x08":
        content[at + 46] = 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"images_background\.zip.* (is damaged|is not a whole)"):
        read_split(root, "train", CARD)


def test_a_member_longer_than_the_archive_is_told(root: Path):
    path = root / "images_background.zip"
    write_zip(path, omniglot_members("train"), zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = (60_000).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"0001_01\.png is damaged \(it ends too early\)"):
        read_split(root, "train", CARD)


def test_a_name_of_several_lines_is_told_in_one(root: Path):
    rewrite(root, **{"images_background/a\nb.png": b""})
    with pytest.raises(UserError, match="is not laid out as") as caught:
        read_split(root, "train", CARD)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "count", "alphabets", "characters"),
    [("train", 13_496, 30, 964), ("test", 9_226, 20, 659)],
)
def test_the_real_set_loads(
    data_root: Path, split: str, count: int, alphabets: int, characters: int
):
    folder = data_root / "omniglot"
    if not folder.is_dir():
        pytest.skip(f"{data_root} has no folder omniglot")
    raw = read_split(
        folder, split, load_card("omniglot").model_copy(update={"variant": "characters"})
    )
    assert raw.array.shape == (count, 1, 28, 28)
    assert len(raw.classes) == characters
    assert len({name.split("/")[0] for name in raw.classes}) == alphabets
    # Each character by the same 14 drawers, each of them once.
    drawers = Counter(name[-2:] for name in raw.ids)
    assert drawers == {f"{drawer:02d}": characters for drawer in range(1, 15)}
    assert set(np.bincount(raw.labels)) == {14}
    # Thin light strokes on a dark square, and none without any.
    assert 10 < raw.array.mean() < 40
    assert raw.array.max(axis=(1, 2, 3)).min() > 60


def test_the_cards_agree_on_the_archive_and_its_drawings():
    whole, background = load_card("omniglot"), load_card("omniglot_background")
    assert background.sources == whole.sources[:1]
    assert background.classes == whole.classes[:30]
    counts = {split: part.count for split, part in background.splits.items()}
    assert counts == {"train": 17_280, "test": 2_000}
    assert sum(counts.values()) == whole.splits["train"].count


@pytest.mark.slow
def test_the_real_background_is_split_in_proportion(data_root: Path):
    folder = data_root / "omniglot"
    if not folder.is_dir():
        pytest.skip(f"{data_root} has no folder omniglot")
    card = load_card("omniglot_background")
    train, test = read_split(folder, "train", card), read_split(folder, "test", card)
    assert (len(train.ids), len(test.ids)) == (12_096, 1_400)
    assert not set(train.ids) & set(test.ids)
    assert train.classes == test.classes == card.classes
    # Whatever their class: in every alphabet about the share of the whole.
    shares = np.bincount(test.labels) / (np.bincount(train.labels) + np.bincount(test.labels))
    assert 0.05 < shares.min() < shares.max() < 0.2
    fraction = load_config(find_config(Path("omniglot"))).data.validation_fraction
    images = item_set(card.name, "train", train, None)
    assert abs(len(split_validation(images, fraction)[1]) - 700) < 15
