"""Small valid image sets in the official layouts, and cards that describe them."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from pc_crvae.data.cards import Card

OMNIGLOT_NAMES = {
    "train": ("images_background", ("Greek", "N_Ko")),
    "test": ("images_evaluation", ("Keble", "ULOG")),
}
MNIST_PREFIX = {"train": "train", "test": "t10k"}


def image_card(layout: str, classes: tuple[str, ...] = (), **fields: object) -> Card:
    """A card of an image set; classes are those of the layout's own set unless given."""
    content = {
        "name": f"tiny_{layout}",
        "title": "A tiny set",
        "modality": "images",
        "homepage": None,
        "licence": "none",
        "redistributable": True,
        "gated": False,
        "citation": None,
        "sources": [],
        "manual_steps": None if layout == "digits" else "none",
        "layout": layout,
        "folder": None if layout == "digits" else "tiny",
        "classes": classes,
        "splits": {"train": {}, "test": {}},
        "split_rule": "official",
        "known_defects": [],
        "notes": "",
    }
    return Card.model_validate(content | fields)


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> bytes:
    """The file of an image, (H, W) or (H, W, 3) uint8."""
    image = Image.fromarray(pixels)
    if mode is not None:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes."""
    lengths = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def write_mnist(root: Path, counts: tuple[int, int] = (5, 3)) -> dict[str, np.ndarray]:
    """Write MNIST's four files; return the images of each split, (n, 28, 28)."""
    root.mkdir(parents=True)
    images = {}
    for seed, ((split, prefix), count) in enumerate(zip(MNIST_PREFIX.items(), counts, strict=True)):
        images[split] = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
        write_gz(root / f"{prefix}-images-idx3-ubyte.gz", idx(images[split]))
        write_gz(root / f"{prefix}-labels-idx1-ubyte.gz", idx(np.arange(count) % 10))
    return images


def write_gz(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0))


def drawing(seed: int) -> bytes:
    """An OMNIGLOT drawing: 105x105, of one bit a pixel."""
    ink = np.random.default_rng(seed).integers(0, 105, 4)
    pixels = np.full((105, 105), 255, np.uint8)
    pixels[min(ink[:2]) : max(ink[:2]) + 1, min(ink[2:]) : max(ink[2:]) + 1] = 0
    return encoded(pixels, mode="1")


def omniglot_members(split: str) -> dict[str, bytes]:
    """Two alphabets of one and two characters, each by drawers 1 and 2."""
    folder, (first, second) = OMNIGLOT_NAMES[split]
    names = [f"{first}/character01/0001", f"{second}/character01/0002"]
    names.append(f"{second}/character02/0003")
    return {
        f"{folder}/{name}_{drawer:02d}.png": drawing(10 * row + drawer)
        for row, name in enumerate(names)
        for drawer in (1, 2)
    }


def write_zip(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, packing)


def write_omniglot(root: Path) -> None:
    """Write both of OMNIGLOT's archives."""
    for split, (folder, _) in OMNIGLOT_NAMES.items():
        write_zip(root / f"{folder}.zip", omniglot_members(split))
