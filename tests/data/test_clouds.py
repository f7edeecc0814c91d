import numpy as np
import pytest

from pc_crvae.data.clouds import CloudSet, normalize, normalized_rows, turn_z_up
from pc_crvae.data.items import joined
from pc_crvae.errors import UserError
from pc_crvae.randomness.keys import keyed_numpy_generator


def _clouds(count: int = 6, points: int = 20) -> CloudSet:
    rng = np.random.default_rng(0)
    return CloudSet(
        name="made",
        split="train",
        points=normalize(rng.normal(size=(count, points, 3))),
        labels=np.arange(count) % 2,
        classes=("even", "odd"),
        ids=tuple(f"cloud-{index}" for index in range(count)),
    )


@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1.0, 1e20, 1e200])
def test_normalised_clouds_have_mean_0_and_largest_radius_1_at_any_scale(scale: float):
    points = np.random.default_rng(0).normal(size=(700, 30, 3)) + 5.0
    normalized = normalize(points * scale)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(normalized, axis=2).max(axis=1), 1, rtol=1e-6)


def test_normalising_keeps_proportions():
    points = np.array([[[0, 0, 0], [4, 0, 0], [0, 2, 0], [4, 2, 0]]], np.float32)
    expected = np.array([[-2, -1, 0], [2, -1, 0], [-2, 1, 0], [2, 1, 0]]) / np.sqrt(5)
    np.testing.assert_allclose(normalize(points)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_a_collapsed_cloud_cannot_be_normalised(value: float):
    with pytest.raises(ValueError, match="without extent"):
        normalize(np.full((1, 7, 3), value, np.float32))


@pytest.mark.parametrize("up", ["x", "y", "z"])
def test_the_up_axis_turns_to_z_by_a_proper_rotation(up: str):
    turned = turn_z_up(np.eye(3), up)
    np.testing.assert_array_equal(turned["xyz".index(up)], [0, 0, 1])
    np.testing.assert_allclose(turned @ turned.T, np.eye(3))
    assert np.linalg.det(turned) == pytest.approx(1)


def test_y_up_turns_about_x():
    np.testing.assert_array_equal(turn_z_up(np.array([1.0, 2.0, 3.0]), "y"), [1, -3, 2])


def test_an_unknown_up_axis_is_refused():
    with pytest.raises(ValueError, match="x, y or z"):
        turn_z_up(np.eye(3), "w")


def test_the_arrays_of_a_set_are_read_only():
    clouds = _clouds()
    for array in (clouds.points, clouds.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_subset_keeps_clouds_labels_and_ids_together():
    clouds = _clouds()
    subset = clouds.subset([4, 1], "validation")
    np.testing.assert_array_equal(subset.points, clouds.points[[4, 1]])
    assert subset.labels.tolist() == [0, 1]
    assert subset.ids == ("cloud-4", "cloud-1")
    assert (subset.split, clouds.subset([0]).split) == ("validation", "train")


def test_a_subset_shares_the_points_of_the_whole():
    clouds = _clouds()
    for subset in (clouds.subset([4, 1, 3]), clouds.subset([0, 4, 1, 3]).subset([1, 2, 3])):
        assert np.shares_memory(subset.points[0], clouds.points)
        np.testing.assert_array_equal(subset.points[1], clouds.points[1])
        np.testing.assert_array_equal(subset.points[1:], clouds.points[[1, 3]])
        np.testing.assert_array_equal(subset.points[np.array([2, 0])], clouds.points[[3, 4]])
        assert (len(subset.points), subset.points.shape) == (3, (3, 20, 3))
        with pytest.raises(ValueError, match="read-only"):
            subset.points[0][0] = 0


def test_the_points_of_a_subset_become_an_array_of_its_own_when_asked():
    clouds = _clouds()
    subset = clouds.subset([4, 1])
    whole = np.asarray(subset.points)
    assert whole.dtype == np.float32
    assert not np.shares_memory(whole, clouds.points)
    np.testing.assert_array_equal(whole, clouds.points[[4, 1]])
    assert np.asarray(subset.points, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="only by a copy"):
        subset.points.__array__(copy=False)


def test_a_subset_batches_and_hashes_as_a_set_of_its_clouds_would():
    clouds = _clouds()
    subset = clouds.subset([4, 1, 3])
    arguments = dict(vars(subset))
    copied = CloudSet(**arguments | {"points": clouds.points[[4, 1, 3]]})
    assert CloudSet(**arguments).fingerprint() == subset.fingerprint() == copied.fingerprint()
    np.testing.assert_array_equal(
        subset.batch([2, 0], 12, "points", 0), copied.batch([2, 0], 12, "points", 0)
    )


def test_normals_stay_with_their_points_and_are_no_part_of_the_fingerprint():
    bare = _clouds()
    normals = np.random.default_rng(1).normal(size=(6, 20, 3)).astype(np.float32)
    clouds = CloudSet(**dict(vars(bare)) | {"normals": normals})
    assert clouds.fingerprint() == bare.fingerprint()
    assert not clouds.normals.flags.writeable
    picked = clouds.subset([4, 1, 3]).subset([2, 0])
    np.testing.assert_array_equal(np.asarray(picked.normals), normals[[3, 4]])
    assert bare.subset([0]).normals is None
    renamed = CloudSet(**dict(vars(clouds)) | {"ids": tuple("abcdef")})
    both = joined([clouds, renamed], "all")
    np.testing.assert_array_equal(both.normals, np.concatenate([normals, normals]))


def test_the_fingerprint_is_the_same_for_ever():
    arguments = dict(vars(_clouds()))
    points = np.arange(1200 * 2 * 3, dtype=np.float32).reshape(1200, 2, 3)
    clouds = CloudSet(
        **arguments
        | {"points": points, "labels": np.arange(1200), "ids": tuple(map(str, range(1200)))}
    )
    # What one SHA-256 over the whole of points gave.
    assert clouds.fingerprint() == (
        "a5d9283b655cb6e8f68d0a605a008e7e620665a70f9d245fe63ae69c6c82e73f"
    )


def test_the_fingerprint_follows_points_labels_ids_and_order_but_not_the_name():
    clouds = _clouds()
    arguments = dict(vars(clouds))
    moved = clouds.points.copy()
    moved[3, 2, 1] = np.nextafter(moved[3, 2, 1], np.float32(2))
    others = [
        CloudSet(**arguments | {"points": moved}),
        CloudSet(**arguments | {"labels": 1 - clouds.labels}),
        CloudSet(**arguments | {"labels": None}),
        CloudSet(**arguments | {"ids": ("other", *clouds.ids[1:])}),
        clouds.subset([1, 0, 2, 3, 4, 5]),
    ]
    prints = {one.fingerprint() for one in [clouds, *others]}
    assert len(prints) == 6
    assert CloudSet(**arguments | {"name": "other"}).fingerprint() == clouds.fingerprint()


def test_a_batch_holds_distinct_points_of_its_own_clouds():
    clouds = _clouds()
    batch = clouds.batch([5, 0, 3], 12, "points", 0, 0)
    assert batch.shape == (3, 12, 3)
    assert batch.dtype == np.float32
    for row, index in enumerate([5, 0, 3]):
        chosen = {tuple(point) for point in batch[row]}
        assert len(chosen) == 12
        assert chosen <= {tuple(point) for point in clouds.points[index]}


def test_the_points_of_a_cloud_depend_on_key_and_index_not_on_its_batch():
    clouds = _clouds()
    whole = clouds.batch(range(6), 12, "points", 0, 1)
    np.testing.assert_array_equal(clouds.batch([4, 2], 12, "points", 0, 1), whole[[4, 2]])
    assert not np.array_equal(clouds.batch(range(6), 12, "points", 0, 2), whole)


def test_the_points_chosen_are_the_same_for_ever():
    clouds = _clouds(points=200)
    for count in (1, 100, 200):
        expected = [
            clouds.points[index][
                keyed_numpy_generator("points", 3, index).choice(200, count, replace=False)
            ]
            for index in (5, 0)
        ]
        batch = clouds.batch(np.array([5, 0]), count, "points", 3)
        np.testing.assert_array_equal(batch, expected)


def test_more_points_than_there_are_is_the_users_mistake():
    with pytest.raises(UserError, match="made has 20 points a cloud, fewer than the 21"):
        _clouds().batch([0], 21, "points")


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": np.zeros((6, 20, 2), np.float32)},
        {"points": np.zeros((6, 0, 3), np.float32)},
        {"points": np.zeros((6, 20, 3))},
        {"labels": np.zeros(5, np.int64)},
        {"labels": np.zeros(6, np.int32)},
        {"ids": ("a",) * 6},
        {"ids": ("a", "b")},
        {"normals": np.zeros((6, 19, 3), np.float32)},
        {"normals": np.zeros((6, 20, 3))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(wrong: dict[str, object]):
    clouds = _clouds()
    arguments = dict(vars(clouds))
    with pytest.raises(ValueError, match="should be"):
        CloudSet(**arguments | wrong)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1_000, 150_000])  # 150,000 are taken in parts
def test_rows_of_a_normalized_cloud_are_those_of_the_whole(count, dtype):
    rng = np.random.default_rng(count)
    points = (40 + 3 * rng.standard_normal((count, 3))).astype(dtype)
    rows = rng.choice(count, 300, replace=False)
    whole = normalize(points[None])[0]
    assert normalized_rows(points, rows).tobytes() == whole[rows].tobytes()


@pytest.mark.parametrize("value", [3.0, np.nan, np.inf])
def test_rows_of_a_cloud_without_a_scale_are_refused(value):
    with pytest.raises(ValueError, match="no scale"):
        normalized_rows(np.full((7, 3), value), np.arange(2))
