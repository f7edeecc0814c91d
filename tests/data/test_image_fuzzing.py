"""Damaged files of every image layout: a sentence that names one, or a valid set; nothing else."""

import gzip
import io
import resource
import signal
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_images import (
    CIFAR_CLASSES,
    encoded,
    image_card,
    write_celeba,
    write_cifar,
    write_mnist,
    write_omniglot,
)

from pc_crvae.data.cards import Card
from pc_crvae.data.images import ImageSet, RawImages
from pc_crvae.data.layouts import reader_of
from pc_crvae.errors import UserError

MEMORY = 1 << 30
"""What a case may take beyond what is in use, in bytes: the largest image of all takes 0.4 GiB."""

SECONDS = 20
"""What a case may take at most, on a machine however busy."""


@dataclass(frozen=True)
class Layout:
    """A layout to damage: a small set of it, and the files of its training split."""

    card: Card
    write: Callable[[Path], object]
    files: tuple[str, ...]


def write_images(root: Path, *, turned: bool) -> None:
    exif = bytes.fromhex("45786966000049492a00080000000100120103000100000006000000")
    colours = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), np.uint8)
    files = {
        "cat/a.png": encoded(colours[0]),
        "cat/b.png": encoded(colours[1], mode="P"),
        "dog/c.jpg": encoded(colours[2], "JPEG"),
    }
    # The camera's note of how it was held comes right behind the start of the file.
    start, rest = files["dog/c.jpg"][:2], files["dog/c.jpg"][2:]
    note = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    if turned:
        files["dog/c.jpg"] = start + note + rest
    for name, content in files.items():
        (root / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "train" / name).write_bytes(content)


def own_card(**fields: object) -> Card:
    return image_card("image_folder", folder=None, manual_steps=None, **fields)


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
    "celeba zip": Layout(
        image_card("celeba"),
        lambda root: write_celeba(root, packed=True),
        ("img_align_celeba.zip", "list_eval_partition.txt"),
    ),
    "celeba folder": Layout(
        image_card("celeba"),
        lambda root: write_celeba(root, packed=False),
        ("img_align_celeba/000001.jpg", "list_eval_partition.txt"),
    ),
    "image_folder": Layout(
        own_card(image={"channels": 3, "height": 5, "width": 4}),
        lambda root: write_images(root, turned=True),
        ("train/cat/a.png", "train/cat/b.png", "train/dog/c.jpg"),
    ),
    "image_folder as it is": Layout(
        own_card(), lambda root: write_images(root, turned=False), ("train/cat/a.png",)
    ),
}


@st.composite
def changed(draw: st.DrawFn, content: bytes) -> bytes:
    """Damage as disks, networks and mischief do it."""
    data = bytearray(content)
    position = st.integers(0, max(len(data) - 1, 0))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(
            st.sampled_from(["flip", "byte", "number", "cut", "remove", "repeat", "insert"])
        )
        at = draw(position)
        span = draw(st.integers(1, 40))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and at < len(data):
            data[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == "number":
            order = draw(st.sampled_from(["big", "little"]))
            number = draw(st.sampled_from([0, 1, 2**16, 2**30, 2**31 - 1, 2**31, 2**32 - 1]))
            data[at : at + 4] = number.to_bytes(4, order)
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + span]
        elif kind == "repeat":
            data[at:at] = data[at : at + span]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=40))
    return bytes(data)


@st.composite
def damaged(draw: st.DrawFn, name: str, content: bytes) -> bytes:
    """Damage a file, or what is packed in it, packed anew so that its check sums hold."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    if draw(st.booleans()):
        return draw(changed(content))
    if name.endswith(".gz"):
        return gzip.compress(draw(changed(gzip.decompress(content))), compresslevel=1)
    if name.endswith(".zip"):
        return draw(zip_with_damage(content))
    if name.endswith(".png"):
        return draw(png_with_damage(content))
    return draw(changed(content))


@st.composite
def zip_with_damage(draw: st.DrawFn, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    changes = draw(st.sampled_from(["content", "name", "checked content"]))
    if changes == "name":
        text = draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
        members[f"{name[: draw(st.integers(0, len(name)))]}{text}"] = members.pop(name)
    elif changes == "content" or not name.endswith(".png"):
        members[name] = draw(changed(members[name]))
    else:
        members[name] = draw(png_with_damage(members[name]))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, part in members.items():
            archive.writestr(zipfile.ZipInfo(each), part, zipfile.ZIP_DEFLATED)
    return file.getvalue()


@st.composite
def png_with_damage(draw: st.DrawFn, content: bytes) -> bytes:
    """Damage one chunk of a PNG file and mend its check sum."""
    chunks = []
    at = 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    chosen = draw(st.integers(0, len(chunks) - 1))
    kind, data = chunks[chosen]
    if kind == b"IDAT" and draw(st.booleans()):
        data = zlib.compress(draw(changed(zlib.decompress(data))))
    else:
        data = draw(changed(data))
    chunks[chosen] = (draw(st.sampled_from([kind, kind, b"tRNS", b"eXIf", b"zTXt"])), data)
    return content[:8] + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in chunks
    )


@contextmanager
def bounds() -> Iterator[None]:
    """Stop what takes more memory or time than a damaged file may cost."""

    def stop(*_: object) -> None:
        raise AssertionError(f"a case took more than {SECONDS} seconds")

    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


def read(root: Path, card: Card) -> RawImages | UserError:
    """Read the training split: a valid set or one sentence."""
    try:
        with bounds():
            raw = reader_of(card).read_split(root, "train", card)
    except UserError as error:
        return error
    assert isinstance(raw, RawImages)
    return raw


def check(outcome: RawImages | UserError, root: Path) -> None:
    if isinstance(outcome, UserError):
        assert "\n" not in str(outcome)
        assert str(root) in str(outcome)
        return
    images = ImageSet(name="a", split="train", **vars(outcome))
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


def damage_and_read(layout: Layout, root: Path, data: st.DataObject) -> None:
    path = root / data.draw(st.sampled_from(layout.files))
    content = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(path.name, content)))
        check(read(root, layout.card), root)
    finally:
        path.write_bytes(content)


ANY_TIME = {
    "deadline": None,
    "suppress_health_check": [
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
    "database": None,
}


def test_the_sets_are_valid_before_they_are_damaged(written: tuple[Layout, Path]):
    layout, root = written
    assert isinstance(read(root, layout.card), RawImages)


@settings(max_examples=60, **ANY_TIME)
@given(data=st.data())
def test_a_damaged_file_is_told_or_read(written: tuple[Layout, Path], data: st.DataObject):
    damage_and_read(*written, data)


@pytest.mark.slow
@settings(max_examples=2500, **ANY_TIME)
@given(data=st.data())
def test_thousands_of_damaged_files_are_told_or_read(
    written: tuple[Layout, Path], data: st.DataObject
):
    damage_and_read(*written, data)
