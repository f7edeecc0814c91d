import numpy as np
import pytest
from sklearn.datasets import load_digits

from helpers.tiny_images import image_card
from pc_crvae.data.readers.digits import read_split
from pc_crvae.errors import UserError

CARD = image_card("digits", tuple("0123456789"))


def test_the_splits_are_all_of_scikit_learns_digits():
    digits = load_digits()
    for split, count in (("train", 1438), ("test", 359)):
        raw = read_split(None, split, CARD)
        assert raw.array.shape == (count, 1, 8, 8)
        assert raw.array.dtype == np.uint8
        rows = [int(name.removeprefix("digits/")) for name in raw.ids]
        assert rows == sorted(rows)
        np.testing.assert_allclose(raw.array[:, 0], digits.images[rows] * 255 / 16, atol=0.5)
        assert raw.labels.tolist() == digits.target[rows].tolist()
        assert raw.labels.dtype == np.int64
        assert raw.classes == tuple("0123456789")


def test_no_image_is_in_both_splits_and_each_class_is_cut_alike():
    train, test = (read_split(None, split, CARD) for split in ("train", "test"))
    assert not set(train.ids) & set(test.ids)
    assert len(train.ids) + len(test.ids) == 1797
    share = np.bincount(test.labels) / (np.bincount(test.labels) + np.bincount(train.labels))
    np.testing.assert_allclose(share, 0.2, atol=0.005)


def test_the_cut_is_the_same_for_ever():
    assert read_split(None, "test", CARD).ids[:5] == (
        "digits/0",
        "digits/1",
        "digits/4",
        "digits/5",
        "digits/8",
    )


def test_a_card_of_other_classes_is_refused():
    with pytest.raises(UserError, match="has 2 classes where there are ten digits"):
        read_split(None, "train", image_card("digits", ("a", "b")))
