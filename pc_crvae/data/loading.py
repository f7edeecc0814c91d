"""Loading a split: from its prepared entry, or from its files by the reader of its layout."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Unpack

from pc_crvae.config.data import Reading
from pc_crvae.data.cache.damage import verified
from pc_crvae.data.cache.item_sets import load_prepared
from pc_crvae.data.cards import Card, Split, load_card
from pc_crvae.data.clouds import CloudSet, normalize, turn_z_up
from pc_crvae.data.facing import single_up
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import RawItems, joined
from pc_crvae.data.layouts import LAYOUTS, check_normals, has_a_file_a_shape, reader_of
from pc_crvae.data.readers.class_tree import NoItemsError
from pc_crvae.data.readers.labels import labels_of
from pc_crvae.data.roots import find_root
from pc_crvae.data.splits import split_validation
from pc_crvae.errors import UserError
from pc_crvae.utils.files import gone
from pc_crvae.utils.up_axes import Axis


def load(
    name: str | Path,
    split: Split,
    *,
    root: Path | None = None,
    up: str | None = None,
    allow_refused: bool = False,
    drop_nan: bool = False,
    normals: bool = False,
) -> CloudSet | ImageSet:
    """Load one split of a data set.

    Clouds come z up, each with mean 0 and largest radius 1; images as their files hold them.
    The first load reads or generates the split and keeps it on disk, where later ones map it
    from (:mod:`pc_crvae.data.cache.store`).

    Args:
        name: the name of a card that comes with the package, or the path of a card of your own.
        split: the official one, or ``validation`` of a folder of one's own that has a folder of
            that name; :func:`load_training` gives what a run is validated on.
        root: the folder of the files, instead of where :func:`find_root` looks by default.
        up: the axis that points up in the files, instead of what their format and the card say;
            or axes by suffix, such as ``glb=y,stl=z``.
        allow_refused: a set of many files may be short of those that cannot be used.
        drop_nan: whether a folder of clouds leaves out points that are NaN or infinite, which the
            report counts.
        normals: whether the set is to carry the normal at each point: of meshes, and of text files
            that list them. It is prepared and kept beside the same set without.

    Raises:
        UserError: the card, the folder or a file is missing or cannot be used, or normals are
            not read of its layout.
    """
    card = load_card(name)
    card.require_split(split)
    if up is not None and card.modality != "points":
        raise UserError(f"{card.name} holds {card.modality}, which have no up axis: leave out up")
    if normals:
        check_normals(card)
    if drop_nan and not LAYOUTS[card.layout].drops_nan:
        raise UserError(f"drop_nan is for folders of clouds, and {card.name} is none: leave it out")
    folder = find_root(card, root)
    if folder is not None and has_a_file_a_shape(card):
        # Imported here because it brings what shows progress.
        from pc_crvae.data.cache.shape_sets import prepare_shapes

        prepared = prepare_shapes(card, split, folder, up, normals=normals, drop_nan=drop_nan)
        return prepared.checked(allow_refused=allow_refused)
    # Absolute, so that its files are the same ones from any working directory.
    folder = None if folder is None else folder.resolve()
    reader, axis = reader_of(card), single_up(up, card.up, card.name)

    def prepare() -> CloudSet | ImageSet:
        raw = reader.read_split(folder, split, card)
        # A variant may have other classes than the card names, which its reader then checks.
        if card.variant is None and card.classes:
            labels_of(raw.classes, card, folder or f"the layout {card.layout}")
        _check_images(card, raw)
        return item_set(card.name, split, raw, axis)

    return load_prepared(
        card.name,
        split,
        {
            "layout": card.layout,
            "variant": card.variant,
            "up": axis,
            "folder": None if folder is None else str(folder),
            "points": card.points,
            "image": None if card.image is None else card.image.model_dump(),
            "recipe": None if card.reads_files else card.part(split).model_dump(),
            "classes": card.classes,
        },
        reader=reader.VERSION,
        sources=lambda: [] if folder is None else reader.source_paths(folder, split, card),
        prepare=prepare,
    )


def load_training(
    name: str | Path, validation_fraction: float, **reading: Unpack[Reading]
) -> tuple[CloudSet | ImageSet, CloudSet | ImageSet]:
    """Load what is trained on, and what validates it.

    Validation is the folder that a set of one's own has for it, or else cut from the training split
    by :func:`split_validation`. What is kept of it, prepared, is verified.

    Args:
        name: the name or path of a card.
        validation_fraction: the share of each class of the training split to hold out.
        reading: ``root``, ``up``, ``allow_refused`` and ``drop_nan``, as :func:`load` takes them.

    Raises:
        UserError: as :func:`load`, or the training split is too small to be cut.
    """
    train = verified(lambda: load(name, "train", **reading))
    if load_card(name).is_own:
        with suppress(NoItemsError):
            return train, verified(lambda: load(name, "validation", **reading))
    return split_validation(train, validation_fraction)


def load_clouds(
    name: str | Path, split: Split, *, normals: bool = False, **reading: Unpack[Reading]
) -> CloudSet:
    """Load one split of a set of point clouds; as :func:`load`.

    Raises:
        UserError: also where the set holds something else.
    """
    items = load(name, split, normals=normals, **reading)
    if not isinstance(items, CloudSet):
        raise UserError(f"{items.name} holds {items.holds}, and this model reads point clouds")
    return items


def from_folder(
    path: str | Path,
    split: Split | None = None,
    *,
    kind: Literal["mesh", "cloud", "image"] = "mesh",
    up: str | None = None,
    allow_refused: bool = False,
    drop_nan: bool = False,
    normals: bool = False,
) -> CloudSet | ImageSet:
    """Load a folder of one's own files, with class folders or without.

    Args:
        path: the folder.
        split: ``train`` or ``test``, by folders of these names, or else a fifth of each class for
            ``test``; ``validation``, of a folder of that name; by default the first two together.
        kind: what the files are, as the cards ``mesh-folder``, ``cloud-folder`` and
            ``image-folder`` describe them.
        up: the axis that points up in the files, or axes by suffix, such as ``glb=y,stl=z``; by
            default that of the format (glTF: y), or z; not of images.
        allow_refused: leave out files that cannot be used, instead of raising.
        drop_nan: whether clouds lose points that are NaN or infinite, instead of being refused.
        normals: whether the set is to carry the normal at each point; of meshes.

    Raises:
        UserError: the folder is missing, holds no such files, or files that cannot be used.
    """
    name, root = f"{kind}-folder", Path(path).expanduser()
    if not root.is_dir():
        raise UserError(
            f"{root} is a file: give the folder that holds it"
            if root.exists()
            else f"{gone(root)}: give the folder of your files"
        )
    splits: tuple[Split, ...] = ("train", "test") if split is None else (split,)
    reading = Reading(root=root, up=up, allow_refused=allow_refused, drop_nan=drop_nan)
    parts = [load(name, part, normals=normals, **reading) for part in splits]
    return parts[0] if split is not None else joined(parts, "all")


def item_set(name: str, split: Split, raw: RawItems, up: Axis | None) -> CloudSet | ImageSet:
    """Return images as they are, and clouds z up, each with mean 0 and largest radius 1.

    Args:
        name: the name of the data set.
        split: the split of the data set.
        raw: what its reader found.
        up: the axis that points up in clouds; None for images.

    Raises:
        ValueError: clouds come without ``up``.
    """
    about: dict[str, Any] = {"labels": raw.labels, "classes": raw.classes, "ids": raw.ids}
    if up is None:
        return ImageSet(name=name, split=split, images=raw.array, **about)
    points = normalize(turn_z_up(raw.array, up))
    return CloudSet(name=name, split=split, points=points, **about)


def _check_images(card: Card, raw: RawItems) -> None:
    if card.image is None:
        return
    found = raw.array.shape[1:]
    stated = (card.image.channels, card.image.height, card.image.width)
    if found != stated:
        raise UserError(
            f"the images of {card.name} are {' x '.join(map(str, found))} (channels, height, "
            f"width), and its card states {' x '.join(map(str, stated))}: correct the card"
        )
