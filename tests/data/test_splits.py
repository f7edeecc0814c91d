import numpy as np
import pytest

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.splits import split_validation
from pc_crvae.errors import UserError


def _clouds(labels: list[int] | None, count: int = 0) -> CloudSet:
    count = count if labels is None else len(labels)
    return CloudSet(
        name="made",
        split="train",
        points=np.zeros((count, 4, 3), np.float32),
        labels=None if labels is None else np.array(labels, np.int64),
        classes=("a", "b", "c"),
        ids=tuple(f"cloud-{index}" for index in range(count)),
    )


def test_every_cloud_goes_to_exactly_one_side_in_the_order_of_the_whole():
    clouds = _clouds([0, 1] * 20)
    train, validation = split_validation(clouds, 0.25)
    assert sorted(train.ids + validation.ids) == sorted(clouds.ids)
    for side in (train, validation):
        assert list(side.ids) == sorted(side.ids, key=clouds.ids.index)
    assert (train.split, validation.split) == ("train", "validation")


def test_each_class_gives_its_share():
    labels = [0] * 40 + [1] * 20 + [2] * 10
    _, validation = split_validation(_clouds(labels), 0.1)
    assert np.bincount(validation.labels).tolist() == [4, 2, 1]


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_a_class_of_two_has_one_on_each_side_and_a_class_of_one_stays_in_training(fraction: float):
    train, validation = split_validation(_clouds([0, 0, 1]), fraction)
    assert sorted(train.labels.tolist()) == [0, 1]
    assert validation.labels.tolist() == [0]


def test_membership_does_not_depend_on_the_order_of_the_clouds():
    clouds = _clouds([0, 1, 2] * 30)
    shuffled = clouds.subset(np.random.default_rng(0).permutation(len(clouds)))
    expected = set(split_validation(clouds, 0.2)[1].ids)
    assert set(split_validation(shuffled, 0.2)[1].ids) == expected


def test_the_cut_is_the_same_for_ever():
    _, validation = split_validation(_clouds([0, 1] * 10), 0.2)
    # The first two of `sha256sum` over each class's ids, in the order of the set.
    assert validation.ids == ("cloud-0", "cloud-3", "cloud-10", "cloud-15")


def test_without_labels_the_whole_is_cut():
    train, validation = split_validation(_clouds(None, count=30), 0.1)
    assert (len(train), len(validation)) == (27, 3)


def test_where_no_class_has_two_the_whole_is_cut():
    labels = list(range(30))
    train, validation = split_validation(_clouds(labels), 0.1)
    assert (len(train), len(validation)) == (27, 3)
    assert validation.ids == split_validation(_clouds(None, count=30), 0.1)[1].ids


def test_a_set_too_small_to_cut_is_the_users_mistake():
    with pytest.raises(UserError, match="training split of made is too small"):
        split_validation(_clouds([0]), 0.1)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_fraction_out_of_range_is_refused(fraction: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_validation(_clouds([0, 0]), fraction)


@pytest.mark.parametrize(
    "labels",
    [
        list(range(12)),  # one shape a class
        [0, 0, *range(1, 14)],  # a single one that can be held out by class
        [index // 2 for index in range(30)],  # half of the set, where a tenth is asked for
    ],
)
def test_classes_too_small_to_hold_out_a_share_of_each_are_cut_at_random(labels):
    with pytest.warns(UserWarning, match="too small to hold out a share of each") as told:
        train, validation = split_validation(_clouds(labels), 0.1)
    assert len(validation) == max(2, round(0.1 * len(labels)))
    assert sorted(train.ids + validation.ids) == sorted(_clouds(labels).ids)
    assert validation.ids == split_validation(_clouds(None, count=len(labels)), 0.1)[1].ids
    assert f"so {len(validation)} items are held out at random" in str(told[0].message)


@pytest.mark.parametrize(
    ("labels", "fraction"),
    [([0, 0, 0, 1, 1, 1, 2, 2, 2], 0.1), ([0, 0, 1, 1], 0.4), ([0] * 40 + [1] * 2, 0.1)],
)
def test_small_classes_that_give_their_share_are_cut_by_class(labels, fraction, recwarn):
    _, validation = split_validation(_clouds(labels), fraction)
    assert set(validation.labels.tolist()) == set(labels)
    assert not recwarn.list


def test_what_is_cut_at_random_leaves_two_to_validate_where_there_are_four():
    sizes = {
        count: len(split_validation(_clouds(None, count=count), 0.1)[1]) for count in range(2, 8)
    }
    assert sizes == {2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2}
