"""Small valid image sets in the official layouts, and cards that describe them."""

import gzip
import io
import tarfile
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


CIFAR_FILES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
CIFAR_CLASSES = ("airplane", "automobile", "bird")


def cifar_members() -> dict[str, bytes]:
    """The folder of CIFAR-10's binary version, two records a file, of three classes."""
    folder = "cifar-10-batches-bin"
    names = [name for names in CIFAR_FILES.values() for name in names]
    records = np.random.default_rng(0).integers(0, 256, (len(names), 2, 3073), np.uint8)
    records[..., 0] = np.arange(2 * len(names)).reshape(-1, 2) % len(CIFAR_CLASSES)
    members = {
        f"{folder}/{name}": part.tobytes() for name, part in zip(names, records, strict=True)
    }
    return members | {f"{folder}/batches.meta.txt": ("\n".join(CIFAR_CLASSES) + "\n\n").encode()}


def write_cifar(root: Path, members: dict[str, bytes] | None = None) -> None:
    """Write CIFAR-10's archive."""
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in (cifar_members() if members is None else members).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


CELEBA_PARTITION = {
    "000001.jpg": 0,
    "000002.jpg": 0,
    "000003.jpg": 1,
    "000004.jpg": 2,
    "000005.jpg": 2,
    "000006.jpg": 0,
}


def face(seed: int) -> np.ndarray:
    """An image of CelebA's size, (218, 178, 3), smooth enough to pass through JPEG unharmed."""
    y, x = np.mgrid[:218, :178]
    colours = np.stack([y * 255 // 217, x * 255 // 177, np.full_like(y, 40 * (seed % 6))], axis=-1)
    return colours.astype(np.uint8)


def write_celeba(root: Path, *, packed: bool) -> None:
    """Write CelebA's list and its images, in their archive or in their folder."""
    root.mkdir(parents=True)
    lines = "".join(f"{name} {number}\n" for name, number in CELEBA_PARTITION.items())
    (root / "list_eval_partition.txt").write_text(lines)
    images = {
        f"img_align_celeba/{name}": encoded(face(seed), "JPEG")
        for seed, name in enumerate(CELEBA_PARTITION, 1)
    }
    if packed:
        write_zip(root / "img_align_celeba.zip", {"img_align_celeba/": b""} | images)
    else:
        (root / "img_align_celeba").mkdir()
        for name, content in images.items():
            (root / name).write_bytes(content)
