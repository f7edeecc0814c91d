"""What a reader found of a split, made into the set that is kept and loaded."""

from pc_crvae.data.cards import Axis, Split
from pc_crvae.data.clouds import CloudSet, RawClouds, normalize, turn_z_up
from pc_crvae.data.images import ImageSet, RawImages


def item_set(
    name: str, split: Split, raw: RawClouds | RawImages, up: Axis | None
) -> CloudSet | ImageSet:
    """Return images as they are, and clouds z up, each with mean 0 and largest radius 1.

    Args:
        name: of the data set.
        split: of the data set.
        raw: what its reader found.
        up: the axis that points up in clouds.

    Raises:
        ValueError: clouds come without ``up``.
    """
    labels, classes, ids = raw.labels, raw.classes, raw.ids
    if isinstance(raw, RawImages):
        return ImageSet(
            name=name, split=split, images=raw.images, labels=labels, classes=classes, ids=ids
        )
    if up is None:
        raise ValueError(f"clouds of {name} have an up axis, and none was given")
    points = normalize(turn_z_up(raw.points, up))
    return CloudSet(name=name, split=split, points=points, labels=labels, classes=classes, ids=ids)
