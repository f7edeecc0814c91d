"""Reader of OMNIGLOT's layout: two zip archives of drawn characters, read in place.

A root holds ``images_background.zip`` (30 alphabets) and ``images_evaluation.zip`` (20 others),
with members such as ``images_background/Greek/character07/0427_03.png``: black ink on white,
105x105, by the third of 20 drawers (B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum, Human-level
concept learning through probabilistic program induction, Science 2015).

By default the first is the training split and the second the test split, as few-shot work has it.
No alphabet is in both archives, so a classifier fitted on the classes of one says nothing about
the other. Likelihoods are often given for a split of the first archive alone instead, of 16,280
images for training, 1,000 for validation and 2,000 for testing (S. Sinha and A. B. Dieng,
Consistency regularization for variational auto-encoders, 2021). The variant ``background`` draws
2,000 of its 19,280 drawings for testing, whatever their class; validation is cut from the rest as
from every training split. Which drawings the papers hold out is published neither as a list nor
as a rule, so this is a split of the same sizes and not the same split.
"""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.images import decode_image
from pc_crvae.data.items import RawItems
from pc_crvae.data.readers.variants import form_of
from pc_crvae.errors import UserError
from pc_crvae.utils.zip_members import member_name, open_zip, read_member

VERSION = 1

SIDE = 28
"""Pixels, once an image is resized."""

TESTED = (2_000, 19_280)
"""How many drawings the variants of the background alone hold out for testing, of how many."""

_SIDE_ON_DISK = 105
_MOST_BYTES = 1 << 16
_KEY = b"omniglot background: test"
_FOLDER: dict[Split, str] = {"train": "images_background", "test": "images_evaluation"}
_NAME = re.compile(
    r"(?P<id>(?P<character>(?P<alphabet>[^/]+)/character\d+)/\d{4}_\d{2})\.png", re.ASCII
)


_FORMS = {
    None: ("alphabet", False),
    "characters": ("character", False),
    "background": ("alphabet", True),
    "background_characters": ("character", True),
}
"""By variant: what the classes are, and whether both splits come from the background alone."""


def read_split(root: Path, split: Split, card: Card) -> RawItems:
    """Read one split: images (n, 1, 28, 28) uint8, in the order of their names.

    Ink is 255 and paper 0. An image is resized by area: a pixel is the mean of the square of 3.75
    by 3.75 pixels that it covers, rounded to 1/255. The images of Y. Burda, R. Grosse and
    R. Salakhutdinov (Importance weighted autoencoders, 2016), as their ``chardata.mat`` holds
    them, have this size too, but differ in detail and in how they are cut into splits.

    The card's variant says which archives are read and what the classes are:

    - None: ``images_background.zip`` is train and ``images_evaluation.zip`` is test; the classes
      are the alphabets of the split alone, sorted, and the two splits share none.
    - ``characters``: the same images; the classes are characters (``Greek/character07``).
    - ``background``: both splits come from ``images_background.zip``, and both have all of its
      alphabets as classes, sorted. Of n drawings, the first round(n * 2000 / 19280) by a keyed hash
      of their ids are test, so neither the order of the archive nor the platform matters. An
      archive of fewer drawings has the same share of them as test, by and large the same ones.
    - ``background_characters``: the same images; the classes are all characters of the archive, of
      which some may lack images of test.

    Ids are paths within the archive (``Greek/character07/0427_03``); the last two digits are the
    drawer.

    Raises:
        UserError: the archive is missing or damaged, an image has another size, or an alphabet is
            none of the card's classes; the sentence names the member. The card has another
            variant, or the archive has too few drawings to hold any out.
    """
    kind, is_background_alone = form_of(card, _FORMS)
    path = _archive(root, split, card)
    with open_zip(path) as archive:
        drawings = _list_drawings(archive, path.stem)
        _check_alphabets(archive, drawings, card)
        chosen = drawings
        if is_background_alone:
            tested = _tested(archive, drawings)
            chosen = [each for each in drawings if (each.id in tested) == (split == "test")]
        images = np.empty((len(chosen), 1, SIDE, SIDE), np.uint8)
        for row, drawing in enumerate(chosen):
            ink = _read_ink(archive, drawing.member)
            images[row, 0] = np.rint(255 * (_WEIGHTS @ ink @ _WEIGHTS.T))
    classes = tuple(sorted({getattr(drawing, kind) for drawing in drawings}))
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[getattr(drawing, kind)] for drawing in chosen], np.int64)
    return RawItems(images, labels, classes, tuple(drawing.id for drawing in chosen))


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`read_split` looks at, whether it is there or not."""
    return [_archive(root, split, card)]


@dataclass(frozen=True)
class _Drawing:
    id: str
    alphabet: str
    character: str
    member: zipfile.ZipInfo


def _archive(root: Path, split: Split, card: Card) -> Path:
    _, is_background_alone = form_of(card, _FORMS)
    return root / f"{_FOLDER['train' if is_background_alone else split]}.zip"


def _tested(archive: zipfile.ZipFile, drawings: list[_Drawing]) -> set[str]:
    """Return the ids of the drawings that are held out for testing."""
    held_out, of = TESTED
    count = round(len(drawings) * held_out / of)
    if count == 0:
        raise UserError(
            f"{archive.filename} holds {len(drawings)} drawings, too few to hold any out for "
            "testing: download it again"
        )
    ids = sorted((drawing.id for drawing in drawings), key=_hash)
    return set(ids[:count])


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16, key=_KEY).digest()


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
                f"{member_name(archive, drawing.member)} belongs to an alphabet that is no "
                f"class of {card.name}"
            )


def _read_ink(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.float32]:
    """Return a drawing, (105, 105) in [0, 1], ink at 1."""
    content = read_member(archive, member, _MOST_BYTES)
    name = member_name(archive, member)
    image = decode_image(content, name, (_SIDE_ON_DISK, _SIDE_ON_DISK))
    if image.mode not in ("1", "L"):
        raise UserError(f"{name} is not black and white: its pixels are {image.mode}")
    return 1 - np.asarray(image.convert("L"), np.float32) / np.float32(255)


def _area_weights(before: int, after: int) -> NDArray[np.float32]:
    """Return the share of each old pixel in each new one along one side: (after, before)."""
    edges = np.arange(after + 1) * before / after
    starts = np.arange(before)
    ends = np.minimum(edges[1:, None], starts + 1)
    overlaps = np.clip(ends - np.maximum(edges[:-1, None], starts), 0, None)
    weights: NDArray[np.float32] = (overlaps * after / before).astype(np.float32)
    return weights


_WEIGHTS = _area_weights(_SIDE_ON_DISK, SIDE)
