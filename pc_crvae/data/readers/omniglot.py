"""Reader of OMNIGLOT's layout: two zip archives of drawn characters, read in place.

A root holds ``images_background.zip`` (the training split, 30 alphabets) and
``images_evaluation.zip`` (the test split, 20 others), with members such as
``images_background/Greek/character07/0427_03.png``: black ink on white, 105x105, by the third of
20 drawers (B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum, Human-level concept learning through
probabilistic program induction, Science 2015).

No alphabet is in both archives, so a classifier fitted on the classes of one split says nothing
about the other: a linear probe has to split one of them.
"""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.images import RawImages
from pc_crvae.data.readers.image_files import decode_image
from pc_crvae.data.readers.zip_members import member_name, open_zip, read_member
from pc_crvae.errors import UserError

SIDE = 28
"""Pixels, once an image is resized."""

CHARACTERS = "characters"
"""The variant of a card whose classes are characters, not alphabets."""

_SIDE_ON_DISK = 105
_MOST_BYTES = 1 << 16
_FOLDER: dict[Split, str] = {"train": "images_background", "test": "images_evaluation"}
_NAME = re.compile(
    r"(?P<id>(?P<character>(?P<alphabet>[^/]+)/character\d+)/\d{4}_\d{2})\.png", re.ASCII
)


def read_split(root: Path, split: Split, card: Card) -> RawImages:
    """Read one split: images (n, 1, 28, 28) uint8, in the order of their names.

    Ink is 255 and paper 0. An image is resized by area: a pixel is the mean of the square of 3.75
    by 3.75 pixels that it covers, rounded to 1/255. The images of Y. Burda, R. Grosse and
    R. Salakhutdinov (Importance weighted autoencoders, 2016), as their ``chardata.mat`` holds
    them, have this size too, but differ in detail and in how they are cut into splits.

    The classes are those of this split alone, sorted: its alphabets, or where the card's variant
    is ``characters``, its characters (``Greek/character07``). The two splits share none. Ids are
    paths within the archive (``Greek/character07/0427_03``); the last two digits are the drawer.

    Raises:
        UserError: the archive is missing or damaged, an image has another size, or an alphabet is
            none of the card's classes; the sentence names the member. The card has another variant.
    """
    of_characters = card.variant == CHARACTERS
    if card.variant is not None and not of_characters:
        raise UserError(
            f"{card.name} has the variant {card.variant}, where there is only {CHARACTERS}"
        )
    with open_zip(_archive(root, split)) as archive:
        drawings = _list_drawings(archive, _FOLDER[split])
        _check_alphabets(archive, drawings, card)
        images = np.empty((len(drawings), 1, SIDE, SIDE), np.uint8)
        for row, drawing in enumerate(drawings):
            images[row, 0] = _shrink(_read_ink(archive, drawing.member))
    names = [drawing.character if of_characters else drawing.alphabet for drawing in drawings]
    classes = tuple(sorted(set(names)))
    label_of = {name: label for label, name in enumerate(classes)}
    return RawImages(
        images=images,
        labels=np.array([label_of[name] for name in names], np.int64),
        classes=classes,
        ids=tuple(drawing.id for drawing in drawings),
    )


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    return [_archive(root, split)]


@dataclass(frozen=True)
class _Drawing:
    id: str
    alphabet: str
    character: str
    member: zipfile.ZipInfo


def _archive(root: Path, split: Split) -> Path:
    return root / f"{_FOLDER[split]}.zip"


def _list_drawings(archive: zipfile.ZipFile, folder: str) -> list[_Drawing]:
    """Return the drawings of an archive by name; what is no PNG, or hidden, is none."""
    drawings = {}
    for member in archive.infolist():
        parts = PurePosixPath(member.filename).parts
        if not member.filename.endswith(".png") or any(part.startswith(".") for part in parts):
            continue
        found = _NAME.fullmatch(member.filename.removeprefix(f"{folder}/"))
        if found is None or parts[0] != folder:
            raise UserError(
                f"{member_name(archive, member)} is not laid out as "
                f"{folder}/ALPHABET/CHARACTER/0000_00.png: is it the archive of another set?"
            )
        if found["id"] in drawings:
            raise UserError(f"{member_name(archive, member)} is there twice: download it again")
        drawings[found["id"]] = _Drawing(found["id"], found["alphabet"], found["character"], member)
    if not drawings:
        raise UserError(f"{archive.filename} holds no drawings: download it again")
    return [drawings[name] for name in sorted(drawings)]


def _check_alphabets(archive: zipfile.ZipFile, drawings: list[_Drawing], card: Card) -> None:
    for drawing in drawings:
        if drawing.alphabet not in card.classes:
            raise UserError(
                f"{member_name(archive, drawing.member)} is of an alphabet that is no class of "
                f"{card.name}"
            )


def _read_ink(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.float32]:
    """Return a drawing, (105, 105) in [0, 1], ink at 1."""
    content = read_member(archive, member, _MOST_BYTES)
    name = member_name(archive, member)
    image = decode_image(content, name, (_SIDE_ON_DISK, _SIDE_ON_DISK))
    if image.mode not in ("1", "L"):
        raise UserError(f"{name} is not black and white: its pixels are {image.mode}")
    return 1 - np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _shrink(ink: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Resize by area: (105, 105) in [0, 1] to (28, 28) uint8."""
    return np.rint(255 * (_WEIGHTS @ ink @ _WEIGHTS.T)).astype(np.uint8)


def _area_weights(before: int, after: int) -> NDArray[np.float32]:
    """Return the share of each old pixel in each new one along one side: (after, before)."""
    edges = np.arange(after + 1) * before / after
    starts = np.arange(before)
    ends = np.minimum(edges[1:, None], starts + 1)
    overlaps = np.clip(ends - np.maximum(edges[:-1, None], starts), 0, None)
    weights: NDArray[np.float32] = (overlaps * after / before).astype(np.float32)
    return weights


_WEIGHTS = _area_weights(_SIDE_ON_DISK, SIDE)
