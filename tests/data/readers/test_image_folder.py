import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.tiny_images import encoded, image_card
from pc_crvae.data.readers import image_folder
from pc_crvae.data.readers.image_folder import read_split, source_paths
from pc_crvae.errors import UserError

CARD = image_card("image_folder", folder=None, manual_steps=None)
GENERATOR = np.random.default_rng(0)


def card_of(channels: int, height: int, width: int) -> object:
    return image_card(
        "image_folder",
        folder=None,
        manual_steps=None,
        image={"channels": channels, "height": height, "width": width},
    )


def grey(height: int = 6, width: int = 5) -> np.ndarray:
    return GENERATOR.integers(0, 256, (height, width), np.uint8)


def colour(height: int = 6, width: int = 5) -> np.ndarray:
    return GENERATOR.integers(0, 256, (height, width, 3), np.uint8)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, grey, 6x5; the last of the training images is ``train/dog/b.PNG``."""
    names = ["train/cat/a.png", "train/dog/a.png", "train/dog/b.PNG", "test/cat/c.png"]
    return write(tmp_path / "images", {name: encoded(grey()) for name in names})


def test_images_come_with_the_classes_of_their_folders(root: Path):
    raw = read_split(root, "train", CARD)
    assert raw.array.shape == (3, 1, 6, 5)
    assert raw.array.dtype == np.uint8
    assert raw.labels.tolist() == [0, 1, 1]
    assert raw.labels.dtype == np.int64
    assert raw.classes == ("cat", "dog")
    assert raw.ids == ("train/cat/a", "train/dog/a", "train/dog/b")
    assert read_split(root, "test", CARD).ids == ("test/cat/c",)


def test_png_images_come_as_they_are(tmp_path: Path):
    pixels = {"train/a.png": colour(), "train/b.png": colour()}
    write(tmp_path, {name: encoded(image) for name, image in pixels.items()})
    raw = read_split(tmp_path, "train", CARD)
    assert raw.labels is None
    assert raw.classes == ()
    np.testing.assert_array_equal(raw.array, np.stack(list(pixels.values())).transpose(0, 3, 1, 2))


def test_jpeg_images_load(tmp_path: Path):
    write(tmp_path, {f"train/{i}.jpeg": encoded(colour(16, 16), "JPEG") for i in range(2)})
    assert read_split(tmp_path, "train", CARD).array.shape == (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3)]
)
def test_every_way_of_storing_eight_bits_loads(tmp_path: Path, mode: str, channels: int):
    checks = np.kron([[0, 255], [255, 0]], np.ones((4, 4))).astype(np.uint8)
    content = encoded(np.stack([checks] * 3, axis=-1), mode=mode)
    assert Image.open(io.BytesIO(content)).mode == mode
    write(tmp_path, {"train/a.png": content})
    images = read_split(tmp_path, "train", CARD).array
    np.testing.assert_array_equal(images, np.broadcast_to(checks, (1, channels, 8, 8)))


def test_the_shape_of_the_card_is_brought_about(tmp_path: Path):
    pixels = np.zeros((40, 20, 3), np.uint8)
    pixels[:20, :10] = (255, 0, 0)
    write(tmp_path, {"train/a.png": encoded(pixels), "train/b.png": encoded(grey(9, 9))})
    images = read_split(tmp_path, "train", card_of(3, 4, 6)).array
    assert images.shape == (2, 3, 4, 6)
    assert images[0, 0, 0, 0] > 200
    assert images[0, 0, -1].max() == images[0, 0, :, -1].max() == images[0, 1:].max() == 0
    assert (images[1] == images[1, :1]).all()
    images = read_split(tmp_path, "train", card_of(1, 4, 6)).array
    assert images.shape == (2, 1, 4, 6)
    # Luma of red, ITU-R 601.
    assert 60 <= images[0, 0, 0, 0] <= 76


def test_fine_checks_are_averaged_not_sampled(tmp_path: Path):
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    write(tmp_path, {"train/a.png": encoded(checks)})
    images = read_split(tmp_path, "train", card_of(1, 16, 16)).array
    assert 120 <= images.min() <= images.max() <= 135


def test_a_photograph_is_turned_as_its_camera_notes(tmp_path: Path):
    image = Image.fromarray(np.kron([[255, 0, 0]], np.ones((8, 8))).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    write(tmp_path, {"train/a.jpg": file.getvalue()})
    images = read_split(tmp_path, "train", CARD).array
    assert images.shape == (1, 1, 24, 8)
    assert images[0, 0, :8].min() > 200
    assert images[0, 0, 8:].max() < 50


def test_sources_are_the_folders_and_the_files(root: Path):
    paths = source_paths(root, "train", CARD)
    assert {root, root / "train" / "dog", root / "train" / "dog" / "b.PNG"} < set(paths)


def see_through() -> bytes:
    return encoded(np.dstack([colour(), np.full((6, 5), 254, np.uint8)]))


def with_transparent_grey(mode: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((6, 5), np.uint8)).convert(mode).save(file, "PNG", transparency=0)
    return file.getvalue()


def deep() -> bytes:
    return encoded(np.arange(30, dtype=np.uint16).reshape(6, 5))


def of_four_inks() -> bytes:
    return encoded(colour(), "JPEG", mode="CMYK")


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def without_palette() -> bytes:
    content = encoded(colour(), mode="P")
    start, rest = content.split(b"PLTE", 1)
    return start[:-4] + rest[int.from_bytes(start[-4:], "big") + 4 :]


def with_many_transparent_colours() -> bytes:
    """A palette PNG that says of more colours than there can be how see-through they are."""
    content = encoded(colour(), mode="P")
    at = content.index(b"IDAT") - 4
    return content[:at] + chunk(b"tRNS", bytes(300)) + content[at:]


def promising(width: int, height: int) -> bytes:
    """A grey PNG whose header says another size."""
    content = encoded(grey())
    lengths = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return content[:8] + chunk(b"IHDR", lengths + content[24:29]) + content[33:]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not a PNG or JPEG image"),
        (encoded(grey(), "GIF"), "is not a PNG or JPEG image"),
        (encoded(grey())[:60], "is a damaged image"),
        (encoded(grey(7, 5)), r"has 5x7 pixels where .*cat/a\.png has 5x6"),
        (encoded(grey(5, 6)), r"has 6x5 pixels where .*cat/a\.png has 5x6"),
        (encoded(colour()), r"is in colour where .*cat/a\.png is grey"),
        (see_through(), "is see-through in places"),
        (with_transparent_grey("L"), "is see-through in places"),
        (with_transparent_grey("1"), "is see-through in places"),
        (with_transparent_grey("P"), "is see-through in places"),
        (without_palette(), "is a damaged image .it has no palette"),
        (with_many_transparent_colours(), "is a damaged image"),
        (deep(), "is neither grey nor RGB of 8 bits, its pixels are I;16"),
        (of_four_inks(), "is neither grey nor RGB of 8 bits, its pixels are CMYK"),
        (promising(60_000, 60_000), "has more than the 33554432 pixels that are read"),
        (promising(12_000, 12_000), "has 12000x12000 pixels, more than the 33554432 that"),
        (promising(5_000, 5_000), r"has 5000x5000 pixels, more than its \d+ bytes can hold"),
    ],
)
def test_an_unusable_image_is_named(root: Path, content: bytes, problem: str):
    (root / "train/dog/b.PNG").write_bytes(content)
    with pytest.raises(UserError, match=rf"train/dog/b\.PNG {problem}") as caught:
        read_split(root, "train", CARD)
    assert "\n" not in str(caught.value)


def test_an_image_of_more_pixels_than_are_read_is_named(root: Path):
    (root / "train/dog/b.PNG").write_bytes(encoded(np.zeros((5000, 7000), np.uint8)))
    with pytest.raises(UserError, match=r"b\.PNG has 7000x5000 pixels, more than the 33554432"):
        read_split(root, "train", card_of(1, 8, 8))


def test_a_file_of_more_bytes_than_are_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_folder, "_MOST_FILE_BYTES", 2000)
    (root / "train/dog/b.PNG").write_bytes(bytes(2001))
    with pytest.raises(UserError, match=r"b\.PNG has .* bytes, more than the 2000"):
        read_split(root, "train", CARD)


def test_a_set_larger_than_memory_is_refused_before_it_is_allocated(tmp_path: Path):
    write(tmp_path, {f"train/{i}.png": encoded(grey()) for i in range(3)})
    with pytest.raises(UserError, match=r"the 3 images of .* take 84 GiB at 100000x100000 pixels"):
        read_split(tmp_path, "train", card_of(3, 100_000, 100_000))


def test_channels_that_no_image_has_are_refused(root: Path):
    with pytest.raises(UserError, match="states 2 channels, where images have 1 or 3"):
        read_split(root, "train", card_of(2, 6, 5))


def test_a_class_that_the_card_lacks_is_named(root: Path):
    card = image_card("image_folder", ("cat",), folder=None, manual_steps=None)
    with pytest.raises(UserError, match="has a class folder dog"):
        read_split(root, "train", card)


def test_a_link_to_nowhere_is_named(root: Path):
    (root / "train/dog/z.png").symlink_to(root / "gone.png")
    with pytest.raises(UserError, match=r"z\.png is a link to .*gone\.png, which is missing"):
        read_split(root, "train", CARD)


def test_a_folder_without_images_is_told(tmp_path: Path):
    write(tmp_path, {"train/notes.txt": b""})
    with pytest.raises(UserError, match=r"holds no file that ends in \.jpeg, \.jpg, \.png"):
        read_split(tmp_path, "train", CARD)
