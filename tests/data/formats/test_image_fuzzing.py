"""Damaged files of every image layout: a sentence that names one, or a valid set; nothing else."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.fuzzing import damaged, fuzz_folder
from helpers.tiny_images import (
    CIFAR_CLASSES,
    encoded,
    image_card,
    write_celeba,
    write_cifar,
    write_mnist,
    write_omniglot,
)
from pc_crvae.data.cards import Card
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import RawItems
from pc_crvae.data.layouts import reader_of


@dataclass(frozen=True)
class Layout:
    """A layout to damage: a small set of it, and the files of its training split."""

    card: Card
    write: Callable[[Path], object]
    files: tuple[str, ...]

    def read(self, root: Path) -> RawItems:
        return reader_of(self.card).read_split(root, "train", self.card)


def write_images(root: Path, *, turned: bool) -> None:
    """Write a folder of PNG and JPEG images, one of which may say that its camera was turned."""
    colours = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)
    photograph = encoded(colours[2], "JPEG")
    if turned:
        note = bytes.fromhex("45786966000049492a00080000000100120103000100000006000000")
        start, rest = photograph[:2], photograph[2:]
        photograph = start + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + rest
    files = {
        "cat/a.png": encoded(colours[0]),
        "cat/b.png": encoded(colours[1], mode="P"),
        "dog/c.jpg": photograph,
    }
    for name, content in files.items():
        (root / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "train" / name).write_bytes(content)


def own_card(**fields: object) -> Card:
    return image_card("image_folder", folder=None, manual_steps=None, **fields)


OWN_FILES = ("train/cat/a.png", "train/cat/b.png", "train/dog/c.jpg")
LAYOUTS = {
    "mnist_idx": Layout(
        image_card("mnist_idx", tuple("0123456789")),
        write_mnist,
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ),
    "omniglot_zip": Layout(
        image_card("omniglot_zip", ("Greek", "N_Ko")), write_omniglot, ("images_background.zip",)
    ),
    "cifar10_binary": Layout(
        image_card("cifar10_binary", CIFAR_CLASSES), write_cifar, ("cifar-10-binary.tar.gz",)
    ),
    "celeba, packed": Layout(
        image_card("celeba"),
        lambda root: write_celeba(root, packed=True),
        ("img_align_celeba.zip", "list_eval_partition.txt"),
    ),
    "celeba, unpacked": Layout(
        image_card("celeba"),
        lambda root: write_celeba(root, packed=False),
        ("img_align_celeba/000001.jpg", "list_eval_partition.txt"),
    ),
    "image_folder, of any size": Layout(
        own_card(image={"channels": 3, "height": 5, "width": 4}),
        lambda root: write_images(root, turned=True),
        OWN_FILES,
    ),
    "image_folder, of one size": Layout(
        own_card(), lambda root: write_images(root, turned=False), OWN_FILES
    ),
}


def wreck_inside(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file, or often what is packed in it, packed anew so that its check sums hold."""
    if rng.random() < 0.4:
        return damaged(content, rng)
    if content.startswith(b"\x1f\x8b"):
        return gzip.compress(damaged(gzip.decompress(content), rng), compresslevel=1)
    if content.startswith(b"PK"):
        return wreck_member(content, rng)
    if content.startswith(b"\x89PNG"):
        return wreck_chunk(content, rng)
    return damaged(content, rng)


def wreck_member(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a member of a zip archive, or its name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(rng.choice(sorted(members)))
    if rng.random() < 0.3:
        members[damaged(name.encode(), rng).decode("latin-1") or "a"] = members.pop(name)
    else:
        members[name] = wreck_inside(members[name], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for each, part in members.items():
            archive.writestr(zipfile.ZipInfo(each), part, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def wreck_chunk(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a chunk of a PNG file, what is packed in it, or its kind."""
    chunks = []
    at = 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    row = int(rng.integers(len(chunks)))
    kind, data = chunks[row]
    if kind == b"IDAT" and rng.random() < 0.5:
        data = zlib.compress(damaged(zlib.decompress(data), rng))
    elif rng.random() < 0.7:
        data = damaged(data, rng)
    if rng.random() < 0.3:
        kind = bytes(rng.choice([b"tRNS", b"eXIf", b"zTXt", b"iCCP", b"PLTE", b"gAMA", b"acTL"]))
    chunks[row] = (kind, data)
    return content[:8] + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks
    )


def check_raw(raw: RawItems) -> None:
    assert isinstance(raw, RawItems)
    images = ImageSet(
        name="a",
        split="train",
        images=raw.array,
        labels=raw.labels,
        classes=raw.classes,
        ids=raw.ids,
    )
    assert len(images) > 0
    if images.labels is not None:
        assert 0 <= images.labels.min() <= images.labels.max() < len(images.classes)


@pytest.fixture(scope="module", params=list(LAYOUTS))
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Layout, Path]:
    layout = LAYOUTS[request.param]
    root = tmp_path_factory.mktemp("fuzz") / "set"
    layout.write(root)
    return layout, root


def fuzz(layout: Layout, root: Path, seed: int, cases: int) -> int:
    return fuzz_folder(
        root,
        {name: (root / name).read_bytes() for name in layout.files},
        lambda: layout.read(root),
        check_raw,
        seed=seed,
        cases=cases,
        wreck=wreck_inside,
    )


def test_the_sets_are_valid_before_they_are_damaged(written: tuple[Layout, Path]):
    layout, root = written
    check_raw(layout.read(root))


@settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_is_told_or_read(written: tuple[Layout, Path], seed: int):
    fuzz(*written, seed, cases=1)


@pytest.mark.slow
def test_thousands_of_damaged_files_are_told_or_read(written: tuple[Layout, Path]):
    read = fuzz(*written, seed=0, cases=3000)
    # Some damage does no harm, and most does.
    assert 0 < read < 2000
