import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_images import idx, image_card, write_gz, write_mnist
from pc_crvae.data.readers.mnist_idx import read_split, source_paths
from pc_crvae.errors import UserError

DIGITS = tuple("0123456789")
CARD = image_card("mnist_idx", DIGITS)
IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_mnist(tmp_path / "mnist")
    return tmp_path / "mnist"


@pytest.mark.parametrize(("split", "count"), [("train", 5), ("test", 3)])
def test_images_and_labels_come_in_the_order_of_the_files(tmp_path: Path, split: str, count: int):
    images = write_mnist(tmp_path / "mnist")
    raw = read_split(tmp_path / "mnist", split, CARD)
    np.testing.assert_array_equal(raw.array, images[split][:, None])
    assert raw.array.dtype == np.uint8
    assert raw.labels.tolist() == list(range(count))
    assert raw.labels.dtype == np.int64
    assert raw.classes == DIGITS
    assert raw.ids == tuple(f"{split}/{row}" for row in range(count))


def test_unpacked_files_load_the_same(root: Path):
    packed = read_split(root, "train", CARD)
    for path in list(root.glob("train-*.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    unpacked = read_split(root, "train", CARD)
    np.testing.assert_array_equal(unpacked.array, packed.array)
    assert unpacked.ids == packed.ids


def test_sources_are_both_files_packed_or_not(root: Path):
    names = [path.name for path in source_paths(root, "test", CARD)]
    assert sorted(names) == [
        "t10k-images-idx3-ubyte",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
        "t10k-labels-idx1-ubyte.gz",
    ]


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_missing_file_is_named(root: Path, name: str):
    (root / f"{name}.gz").unlink()
    with pytest.raises(UserError, match=rf"{name}\.gz is missing"):
        read_split(root, "train", CARD)


def header(*lengths: int, magic: bytes | None = None) -> bytes:
    magic = bytes([0, 0, 8, len(lengths)]) if magic is None else magic
    return magic + np.array(lengths, ">u4").tobytes()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not an idx file"),
        (header(5, 28), "not an idx file of unsigned bytes in 3 dimensions"),
        (header(5, 28, 28)[:-1], "not an idx file"),
        (header(5, 28, 28, magic=bytes([0, 0, 13, 3])), "not an idx file"),
        (header(5, 32, 32) + bytes(5 * 1024), "32x32 pixels, not 28x28"),
        (header(0, 28, 28), "promises 0 items"),
        (header(5, 28, 28) + bytes(5 * 784 - 1), "holds 3919 bytes where its header promises 3920"),
        (header(5, 28, 28) + bytes(5 * 784 + 1), "holds more than 3920 bytes"),
        (header(4, 28, 28) + bytes(4 * 784), "holds 4 images where .* holds 5 labels"),
        (header(2**32 - 1, 28, 28), "promises 4294967295 items"),
        (header(10**6, 28, 28), "too short for the 784000000 bytes that its header promises"),
        # As lengths of the other byte order.
        (bytes([0, 0, 8, 3]) + np.array([5, 28, 28], "<u4").tobytes(), "pixels, not 28x28"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_unusable_images_are_told_in_one_sentence(
    root: Path, content: bytes, problem: str, packed: bool
):
    path = root / f"{IMAGES}.gz"
    if packed:
        write_gz(path, content)
    else:
        path.unlink()
        (root / IMAGES).write_bytes(content)
    with pytest.raises(UserError, match=problem) as caught:
        read_split(root, "train", CARD)
    assert IMAGES in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_without_a_class_is_named(root: Path):
    with pytest.raises(
        UserError, match=r"the label 3 in row 3 is out of range, as .* names 3 classes"
    ):
        read_split(root, "train", image_card("mnist_idx", ("a", "b", "c")))


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-4],
        lambda content: b"<html>404</html>",
        lambda content: flipped(content, len(content) // 2),
        lambda content: content + b"more",
        lambda content: flipped(content, -5),
        lambda content: content[:10] + b"\xff" * 20,
    ],
    ids=[
        "half",
        "no length",
        "a web page",
        "flipped inside",
        "something behind",
        "check sum",
        "nothing to unpack",
    ],
)
@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_damaged_gzip_file_is_named(root: Path, name: str, damage: Callable[[bytes], bytes]):
    path = root / f"{name}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=rf"{name}\.gz (cannot be read or is damaged|is too short)"):
        read_split(root, "train", CARD)


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_goes(root: Path):
    write_gz(root / f"{IMAGES}.gz", header(5, 28, 28) + bytes(100_000_000))
    tracemalloc.start()
    with pytest.raises(UserError, match="holds more than 3920 bytes"):
        read_split(root, "train", CARD)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_labels_are_those_of_idx(root: Path):
    write_gz(root / f"{LABELS}.gz", idx(np.array([7, 0, 9, 9, 1])))
    assert read_split(root, "train", CARD).labels.tolist() == [7, 0, 9, 9, 1]


def test_the_real_set_loads(data_root: Path):
    if not (data_root / "mnist").is_dir():
        pytest.skip(f"{data_root} has no folder mnist")
    train = read_split(data_root / "mnist", "train", CARD)
    test = read_split(data_root / "mnist", "test", CARD)
    assert train.array.shape == (42_000, 1, 28, 28)
    assert test.array.shape == (7_000, 1, 28, 28)
    assert np.bincount(train.labels, minlength=10).min() > 3_000
    # Digits are light strokes in the middle of a dark square.
    assert train.array[..., :3].mean() < 1
    assert train.array[..., 10:18, 10:18].mean() > 80
