import re

import numpy as np
import pytest

from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import check_same_classes


def images(name: str, split: str, *classes: str) -> ImageSet:
    return ImageSet(
        name=name,
        split=split,
        images=np.zeros((1, 1, 2, 2), np.uint8),
        labels=np.zeros(1, np.int64),
        classes=classes,
        ids=("a",),
    )


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("omniglot", "; take omniglot_background, whose splits have the same classes"),
        ("omniglot_background", ""),
        ("my-own", ""),
    ],
)
def test_a_set_of_the_same_files_with_shared_classes_is_named(name: str, end: str):
    train = images(name, "train", "Greek")
    check_same_classes(train, images(name, "test", "Greek"))
    sentence = (
        f"the splits train and test of {name} have different classes (Greek is in train alone): "
        f"a classifier fitted on one cannot be scored on the other{end}"
    )
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}$"):
        check_same_classes(train, images(name, "test", "Keble"))


def labelled(split: str, *labels: int) -> ImageSet:
    return ImageSet(
        name="my-own",
        split=split,
        images=np.zeros((len(labels), 1, 2, 2), np.uint8),
        labels=np.array(labels, np.int64),
        classes=("bed", "chair", "lamp", "sofa", "toy", "vase"),
        ids=tuple(map(str, range(len(labels)))),
    )


def test_test_items_of_classes_that_training_never_had_are_refused():
    train = labelled("train", 0, 1, 1)
    check_same_classes(train, labelled("test", 1, 1, 0))
    check_same_classes(train, labelled("test", 1))  # training may have more
    with pytest.raises(UserError, match="test of my-own has items of the classes toy, of which"):
        check_same_classes(train, labelled("test", 0, 4))
    with pytest.raises(UserError, match=r"classes chair, lamp, sofa and 1 more, of which the spl"):
        check_same_classes(labelled("train", 0, 4), labelled("test", 1, 2, 3, 5))
