"""Whether the classes of two splits let a classifier be fitted on one and scored on the other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import card_names, load_card
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.arrays import check_features, check_one_label_each

WITH_ONE_C = "a protocol with one C, such as occo or crosspoint"
NO_TRAINING_FREE = (
    "a probe without the training-free row, which is chosen so, by --no-training-free"
)
FEWER_FOLDS = "fewer folds by --cv-folds"
WITH_ONE_C_FOR_IMAGES = "a protocol of one's own with one C"


def check_same_classes(train: ItemSet, test: ItemSet) -> None:
    """Refuse splits of different classes, and test items of classes without training items.

    Raises:
        UserError: they are; it names the splits, a class that one of them lacks, and the set to
            take instead where a card tells one.
    """
    if train.classes == test.classes:
        _check_all_trained(train, test)
        return
    alone = [
        f"{name} is in {split.split} alone"
        for split, other in ((train, test), (test, train))
        for name in split.classes
        if name not in other.classes
    ][:1] or ["they come in another order"]
    raise UserError(
        f"the splits {train.split} and {test.split} of {train.name} have different classes "
        f"({alone[0]}): a classifier fitted on one cannot be scored on the other"
        f"{set_to_take_instead(train.name)}"
    )


def _check_all_trained(train: ItemSet, test: ItemSet) -> None:
    if train.labels is None or test.labels is None:
        return
    unseen = np.setdiff1d(test.labels, train.labels)
    if len(unseen):
        check_several(train.labels, train.classes)
        names = ", ".join(test.classes[label] for label in unseen[:3].tolist())
        more = f" and {len(unseen) - 3} more" if len(unseen) > 3 else ""
        raise UserError(
            f"the split {test.split} of {test.name} has items of the classes {names}{more}, of "
            f"which the split {train.split} has none: a classifier cannot know them; move items "
            f"between the splits{set_to_take_instead(train.name)}"
        )


def labels_of(items: ItemSet) -> NDArray[np.int64]:
    """Return the labels (n,) of a split.

    Raises:
        UserError: it has none.
    """
    if items.labels is None:
        raise UserError(
            f"the {items.split} split of {items.name} has no labels: probe a labelled set"
        )
    return items.labels


def set_to_take_instead(name: str) -> str:
    """Return the end of a sentence about a set whose splits share no class.

    It names the set of the same files whose splits do; it is empty where no card tells one.
    """
    other = load_card(name).with_shared_classes if name in card_names() else None
    return "" if other is None else f"; take {other}, whose splits have the same classes"


def check_training_data(features: NDArray[np.floating], labels: NDArray[np.int64]) -> None:
    """Refuse what no classifier can be fitted on.

    Raises:
        UserError: a NaN or infinite feature, another number of labels than of samples, or a
            single class.
    """
    check_features(features, "training features")
    check_one_label_each(features, labels)
    check_several(labels)


def check_enough_of_each(
    labels: NDArray[np.int64],
    folds: int,
    names: Sequence[object] | None = None,
    remedy: str | None = None,
) -> None:
    """Refuse training items of which cross-validation would leave a fold without a class.

    Args:
        labels: (n,) of the training items.
        folds: the folds of the cross-validation.
        names: the names of the classes, which the labels are indices into; None: the labels.
        remedy: the remedy that may be taken instead of one.

    Raises:
        UserError: a class has fewer items than folds.
    """
    present, counts = np.unique(labels, return_counts=True)
    if counts.min() >= folds:
        return
    items = "1 training item" if counts.min() == 1 else f"{counts.min()} training items"
    ways = "add items of it or leave it out"
    if remedy is not None:
        ways = f"add items of it, leave it out, or take {remedy}"
    raise UserError(
        f"the class {_named(present[counts.argmin()], names)} has {items}, fewer than the {folds} "
        f"folds of the cross-validation: {ways}"
    )


def check_several(labels: NDArray[np.int64], names: Sequence[object] | None = None) -> None:
    """Refuse training items of a single class; the arguments are as of `check_enough_of_each`.

    Raises:
        UserError: they are.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise UserError(
            f"all training items have the class {_named(present[0], names)}: a probe needs at "
            "least two classes"
        )


def _named(label: np.int64, names: Sequence[object] | None) -> object:
    return label if names is None else names[int(label)]
