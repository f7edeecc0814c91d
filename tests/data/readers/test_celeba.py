from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.tiny_images import CELEBA_PARTITION, encoded, face, image_card, write_celeba, write_zip
from pc_crvae.data.readers import celeba
from pc_crvae.data.readers.celeba import read_split, source_paths
from pc_crvae.errors import UserError

CARD = image_card("celeba")
LARSEN = CARD.model_copy(update={"variant": "larsen"})
FIRST = "img_align_celeba/000001.jpg"


@pytest.fixture(params=[True, False], ids=["archive", "folder"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_celeba(tmp_path / "celeba", packed=request.param)
    return tmp_path / "celeba"


@pytest.fixture
def folder_root(tmp_path: Path) -> Path:
    write_celeba(tmp_path / "celeba", packed=False)
    return tmp_path / "celeba"


def replace_first(root: Path, content: bytes) -> None:
    """Replace the first image, in the archive or in the folder."""
    archive = root / "img_align_celeba.zip"
    if archive.is_file():
        members = {
            f"img_align_celeba/{name}": encoded(face(seed), "JPEG")
            for seed, name in enumerate(CELEBA_PARTITION, 1)
        }
        write_zip(archive, members | {FIRST: content})
    else:
        (root / FIRST).write_bytes(content)


@pytest.mark.parametrize(
    ("split", "numbers"),
    [("train", ["000001", "000002", "000006"]), ("test", ["000004", "000005"])],
)
def test_the_list_says_which_images_are_of_a_split(root: Path, split: str, numbers: list[str]):
    raw = read_split(root, split, CARD)
    assert raw.ids == tuple(numbers)
    assert raw.array.shape == (len(numbers), 3, 64, 64)
    assert raw.array.dtype == np.uint8
    assert raw.labels is None
    assert raw.classes == ()
    # Each has its own shade of blue, so they are not mixed up.
    blue = raw.array[:, 2].mean(axis=(1, 2))
    np.testing.assert_allclose(blue, [40 * (int(number) % 6) for number in numbers], atol=6)


@pytest.mark.parametrize(("card", "top"), [(CARD, 35), (LARSEN, 40)])
def test_an_image_is_its_crop_resized(root: Path, card: object, top: int):
    image = read_split(root, "train", card).array[0].astype(float)
    # Red grows with the rows, green with the columns; a new pixel covers 148 / 64 old ones.
    centres = (np.arange(64) + 0.5) * 148 / 64 - 0.5
    rows, columns = (top + centres) * 255 / 217, (15 + centres) * 255 / 177
    np.testing.assert_allclose(image[0], np.broadcast_to(rows[:, None], (64, 64)), atol=5)
    np.testing.assert_allclose(image[1], np.broadcast_to(columns, (64, 64)), atol=5)
    assert abs(np.mean(image[0] - rows[:, None])) < 1.5


def test_another_variant_is_refused(root: Path):
    card = CARD.model_copy(update={"variant": "smith"})
    with pytest.raises(UserError, match="one of none, larsen, not smith"):
        read_split(root, "train", card)


def test_fine_stripes_are_averaged_not_sampled(folder_root: Path):
    stripes = np.zeros((218, 178, 3), np.uint8)
    stripes[::2] = 255
    (folder_root / FIRST).write_bytes(encoded(stripes, "JPEG"))
    image = read_split(folder_root, "train", CARD).array[0]
    assert 100 < image[:, 4:-4].min() <= image[:, 4:-4].max() < 155


def test_the_folder_is_read_where_the_archive_is_there_too(folder_root: Path):
    (folder_root / "img_align_celeba.zip").write_bytes(b"not read")
    assert len(read_split(folder_root, "train", CARD).array) == 3


def test_images_of_the_same_name_elsewhere_in_the_archive_are_not_taken(tmp_path: Path):
    write_celeba(tmp_path / "celeba", packed=True)
    before = read_split(tmp_path / "celeba", "train", CARD).array
    members = {
        f"img_align_celeba/{name}": encoded(face(seed), "JPEG")
        for seed, name in enumerate(CELEBA_PARTITION, 1)
    }
    strays = {"thumbnails/000001.jpg": encoded(face(3), "JPEG"), "000002.jpg": b""}
    write_zip(tmp_path / "celeba" / "img_align_celeba.zip", members | strays)
    np.testing.assert_array_equal(read_split(tmp_path / "celeba", "train", CARD).array, before)


def test_an_image_elsewhere_in_the_archive_is_not_taken(tmp_path: Path):
    write_celeba(tmp_path / "celeba", packed=True)
    write_zip(
        tmp_path / "celeba" / "img_align_celeba.zip", {"000001.jpg": encoded(face(1), "JPEG")}
    )
    with pytest.raises(UserError, match=r"img_align_celeba/000001\.jpg is missing, though"):
        read_split(tmp_path / "celeba", "train", CARD)


def test_a_list_longer_than_any_of_this_layout_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(celeba, "_MOST_LIST_BYTES", 77)
    with pytest.raises(
        UserError, match=r"list_eval_partition\.txt has \d+ bytes, more than the 77"
    ):
        read_split(root, "train", CARD)


def test_sources_are_the_list_and_the_images_as_a_whole(tmp_path: Path):
    names = [path.name for path in source_paths(tmp_path, "test", CARD)]
    assert names == ["list_eval_partition.txt", "img_align_celeba", "img_align_celeba.zip"]


def test_a_missing_image_is_named(root: Path):
    with (root / "list_eval_partition.txt").open("a") as file:
        file.write("000007.jpg 0\n")
    with pytest.raises(UserError, match=r"img_align_celeba/000007\.jpg is missing, though"):
        read_split(root, "train", CARD)


def test_a_root_without_images_is_told(tmp_path: Path):
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(UserError, match=r"img_align_celeba\.zip is missing, and so is the folder"):
        read_split(tmp_path, "train", CARD)


def test_a_root_without_the_list_is_told(root: Path):
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(UserError, match=r"list_eval_partition\.txt is missing"):
        read_split(root, "train", CARD)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "lists no image of this split"),
        (b"000001.jpg 1\n", "lists no image of this split, which has the number 0"),
        (b"000001.jpg 0\n000002.jpg 3\n", "which line 2 does not"),
        (b"000001.jpg\n", "which line 1 does not"),
        (b"../000001.jpg 0\n", "which line 1 does not"),
        (b"000001.jpg 0\n\n000001.jpg 2\n", r"has 000001\.jpg twice, the second time in line 3"),
        (b"\xff\xfe", "cannot be read as text"),
    ],
)
def test_an_unusable_list_is_named(root: Path, text: bytes, problem: str):
    (root / "list_eval_partition.txt").write_bytes(text)
    with pytest.raises(UserError, match=rf"list_eval_partition\.txt .*{problem}"):
        read_split(root, "train", CARD)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a PNG or JPEG image"),
        (b"<html>", "is not a PNG or JPEG image"),
        (encoded(face(1), "JPEG")[:900], "is a damaged image"),
        (encoded(face(1)[:, :170], "JPEG"), "has 170x218 pixels, not 178x218"),
        (encoded(face(1).transpose(1, 0, 2), "JPEG"), "has 218x178 pixels, not 178x218"),
        (encoded(face(1), "JPEG", mode="L"), "is not a colour image: its pixels are L"),
        (bytes((1 << 20) + 1), "1048576"),
    ],
)
def test_an_unusable_image_is_named(root: Path, content: bytes, problem: str):
    replace_first(root, content)
    with pytest.raises(UserError, match=rf"img_align_celeba/000001\.jpg.*{problem}") as caught:
        read_split(root, "train", CARD)
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_is_named(tmp_path: Path):
    write_celeba(tmp_path / "celeba", packed=True)
    path = tmp_path / "celeba" / "img_align_celeba.zip"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"img_align_celeba\.zip cannot be read or is not a whole"):
        read_split(tmp_path / "celeba", "train", CARD)


def test_an_image_cropped_is_as_pillow_crops_the_middle(folder_root: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (218, 178, 3), np.uint8)
    (folder_root / FIRST).write_bytes(encoded(pixels))
    middle = Image.fromarray(pixels[35:183, 15:163]).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(
        read_split(folder_root, "train", CARD).array[0].transpose(1, 2, 0), np.asarray(middle)
    )
