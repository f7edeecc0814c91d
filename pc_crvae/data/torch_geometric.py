"""To and from torch-geometric: any data set of its kind whose items carry ``pos``."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data, Dataset

from pc_crvae.data.clouds import CloudSet, normalize, turn_z_up
from pc_crvae.data.formats.cloud_files import check_points, choose_points
from pc_crvae.data.readers.labels import check_labels
from pc_crvae.errors import UserError
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.utils.up_axes import Axis


class Items(Protocol):
    """What is asked of a data set: a length, and items by their index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


def from_torch_geometric(
    dataset: Items,
    split: str,
    *,
    name: str | None = None,
    count: int | None = None,
    classes: Sequence[str] | None = None,
    up: Axis = "z",
) -> CloudSet:
    """Make a set of clouds of the ``pos`` of every item of a torch-geometric data set.

    Of meshes these are the vertices; torch-geometric's transform ``SamplePoints`` gives points of
    the surface instead. Where items have other numbers of points than ``count``, as many are
    chosen without replacement, by the item's index alone, or repeated where there are too few.

    An item's label is its ``y``, or else its ``category``, if that is one whole number; a set whose
    items have neither is unlabelled. Ids are the items' indices, with six digits.

    Args:
        dataset: the data set, or a list of ``Data``.
        split: what to call the split: ``train``, ``validation`` or ``test``.
        name: what to call the set; by default as the data set's class.
        count: points a cloud; may be left out where all items have the same number.
        classes: the class names; by default the data set's ``categories``, or else numbers.
        up: the axis that points up in ``pos``.

    Returns:
        The set: z up, each cloud with mean 0 and largest radius 1.

    Raises:
        UserError: there are no items, one carries no ``pos`` (N, 3) or no usable cloud, numbers of
            points differ and ``count`` is missing, or labels do not fit.
        ValueError: ``count`` is not positive.
    """
    if count is not None and count < 1:
        raise ValueError(f"count should be positive, not {count}")
    if name is None:
        name = type(dataset).__name__
    items = [dataset[index] for index in range(len(dataset))]
    if not items:
        raise UserError(f"{name} has no items")
    clouds = [_positions(f"item {row} of {name}", item) for row, item in enumerate(items)]
    points = normalize(turn_z_up(_equal_counts(name, clouds, count), up))
    labels = _labels(name, items)
    names = _class_names(name, dataset, labels, classes)
    ids = tuple(f"{row:06d}" for row in range(len(items)))
    return CloudSet(name=name, split=split, points=points, labels=labels, classes=names, ids=ids)


class CloudData(Dataset):  # type: ignore[misc]
    """Clouds as a torch-geometric data set, whose items are made when they are asked for.

    An item is a ``Data`` of ``pos`` (P, 3) float32, where the set carries normals ``normal`` (P, 3)
    float32, where labelled ``y`` (1,) int64, and ``id``, its name. ``categories`` has the class
    names.

    Args:
        clouds: the set.
        transform: one of torch-geometric's, such as ``KNNGraph``, applied to each item.
    """

    def __init__(self, clouds: CloudSet, transform: Callable[[Any], Any] | None = None) -> None:
        super().__init__(transform=transform)
        self.clouds = clouds
        self.categories = list(clouds.classes)

    def len(self) -> int:
        """Return the number of clouds."""
        return len(self.clouds)

    def get(self, idx: int) -> Data:
        """Return one item, before the transform."""
        cloud = self.clouds[idx]
        item = Data(pos=torch.from_numpy(cloud["points"]), id=cloud["id"])
        if "normals" in cloud:
            item.normal = torch.from_numpy(cloud["normals"])
        if "label" in cloud:
            item.y = torch.tensor([cloud["label"]])
        return item


def to_torch_geometric(
    clouds: CloudSet, transform: Callable[[Any], Any] | None = None
) -> CloudData:
    """Make a torch-geometric data set of clouds: see :class:`CloudData`."""
    return CloudData(clouds, transform)


def _positions(where: str, item: Any) -> NDArray[np.float64]:
    positions = getattr(item, "pos", None)
    if positions is None:
        raise UserError(
            f"{where} carries no pos, so it is no cloud: take a data set of points or meshes"
        )
    points = np.asarray(positions.detach().cpu().double().numpy())
    if points.ndim != 2 or points.shape[1] != 3:
        raise UserError(f"{where} has a pos of the shape {points.shape}, which should be (N, 3)")
    check_points(where, points)
    return points


def _equal_counts(
    name: str, clouds: list[NDArray[np.float64]], count: int | None
) -> NDArray[np.float64]:
    counts = {len(points) for points in clouds}
    if count is None:
        if len(counts) > 1:
            raise UserError(
                f"the items of {name} have from {min(counts)} to {max(counts)} points: say how "
                "many to take of each with count"
            )
        count = counts.pop()
    chosen: list[NDArray[np.floating[Any]]] = []
    for row, points in enumerate(clouds):
        if len(points) != count:
            generator = keyed_numpy_generator("torch-geometric", row)
            where = f"item {row} of {name}"
            chosen.append(choose_points(where, points, None, count, generator).points)
        else:
            chosen.append(points)
    return np.stack(chosen, dtype=np.float64)


def _labels(name: str, items: list[Any]) -> NDArray[np.int64] | None:
    labels = [_label(item) for item in items]
    if all(label is None for label in labels):
        return None
    if None in labels:
        raise UserError(
            f"item {labels.index(None)} of {name} has no label (y or category, one whole number) "
            "and others have one"
        )
    return np.array(labels, dtype=np.int64)


def _label(item: Any) -> int | None:
    for key in ("y", "category"):
        value = getattr(item, key, None)
        if value is None:
            continue
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.size == 1 and array.dtype.kind in "iu":
            return int(array.reshape(()))
    return None


def _class_names(
    name: str, dataset: Items, labels: NDArray[np.int64] | None, classes: Sequence[str] | None
) -> tuple[str, ...]:
    if labels is None:
        return tuple(classes or ())
    if classes is None:
        classes = getattr(dataset, "categories", None)
    if classes is None:
        classes = [str(label) for label in range(int(labels.max()) + 1)]
    check_labels(name, labels, len(classes), "the data set")
    return tuple(classes)
