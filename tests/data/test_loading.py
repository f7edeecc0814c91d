from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from helpers import mesh_writers
from pc_crvae.data import from_folder, load, load_clouds
from pc_crvae.data.clouds import normalize
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import resource_folder


@pytest.fixture(scope="module")
def small_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of shapes, cut to 40 and 20."""

    text = (resource_folder("datasets") / "shapes.yaml").read_text()
    path = tmp_path_factory.mktemp("cards") / "small.yaml"
    path.write_text(text.replace("count: 3000", "count: 40").replace("count: 1000", "count: 20"))
    return path


def _assert_conventions(points: np.ndarray) -> None:
    assert points.dtype == np.float32
    np.testing.assert_allclose(points.mean(axis=1, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(points, axis=2).max(axis=1), 1, rtol=1e-6)


def test_a_y_up_source_comes_out_z_up_and_up_overrides_the_card(hdf5_root: Path):
    with h5py.File(hdf5_root / "ply_data_test0.h5", "r") as file:
        raw = file["data"][()]
    as_carded = load("modelnet40", "test", root=hdf5_root)
    overridden = load("modelnet40", "test", root=hdf5_root, up="z")
    np.testing.assert_array_equal(overridden.points, normalize(raw))
    np.testing.assert_allclose(as_carded.points[..., 2], overridden.points[..., 1], atol=1e-6)


def test_classes_the_card_does_not_list_tell_of_a_wrong_folder(hdf5_root: Path):
    (hdf5_root / "shape_names.txt").write_text("bathtub\nbed\nspaceship\n")
    with pytest.raises(UserError, match=r"names spaceship, which is no class of modelnet10"):
        load("modelnet10", "test", root=hdf5_root)


def test_generated_shapes_need_no_root_and_are_the_same_each_time(small_shapes: Path):
    shapes = load(small_shapes, "train")
    _assert_conventions(shapes.points)
    assert len(shapes) == 40
    assert shapes.ids[7] == f"{shapes.classes[shapes.labels[7]]}-00007"
    assert load(small_shapes, "train").fingerprint() == shapes.fingerprint()
    assert not np.array_equal(load(small_shapes, "test").points, shapes.points[:20])


def test_a_root_for_generated_shapes_is_refused(small_shapes: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"reads no files: leave out data\.root"):
        load(small_shapes, "train", root=tmp_path)


def test_a_split_the_card_does_not_have_is_refused(small_shapes: Path):
    with pytest.raises(UserError, match="small has no split validation"):
        load(small_shapes, "validation")


@pytest.mark.parametrize(
    ("card", "folder", "counts", "classes"),
    [
        ("modelnet10", "modelnet10_ply_hdf5_1024", {"train": 2793, "test": 635}, 10),
        pytest.param(
            "modelnet40",
            "modelnet33_vertices_hdf5_1024",
            {"train": 5314, "test": 1302},
            33,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_real_sets_load_whole(
    data_root: Path, card: str, folder: str, counts: dict[str, int], classes: int
):
    if not (data_root / folder).is_dir():
        pytest.skip(f"{folder} is not under $PC_CRVAE_DATA")
    for split, count in counts.items():
        clouds = load(card, split, root=data_root / folder, up="z")
        assert clouds.points.shape == (count, 1024, 3)
        assert len(np.unique(clouds.labels)) == classes
        names = [clouds.classes[label] for label in clouds.labels]
        assert [name.rsplit("_", 1)[0] for name in clouds.ids] == names
        _assert_conventions(clouds.points)


def test_a_folder_of_ones_own_comes_whole_or_by_split(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name in ("cup", "vase"):
        (tmp_path / name).mkdir()
        for number in range(5):
            np.save(tmp_path / name / f"{number}.npy", rng.normal(size=(50, 3)))
    whole = from_folder(tmp_path, kind="cloud")
    train, test = (from_folder(tmp_path, split, kind="cloud") for split in ("train", "test"))
    _assert_conventions(whole.points)
    assert (len(train), len(test), whole.split) == (8, 2, "all")
    assert whole.ids == train.ids + test.ids
    assert whole.classes == ("cup", "vase")
    np.testing.assert_array_equal(whole.points[8:], test.points)
    assert sorted(whole.labels) == [0] * 5 + [1] * 5
    with pytest.raises(UserError, match=r"none is missing: give the folder of your files"):
        from_folder(tmp_path / "none")
    with pytest.raises(UserError, match=r"0\.npy is a file: give the folder that holds it"):
        from_folder(tmp_path / "cup" / "0.npy", kind="cloud")


def test_normals_come_where_they_are_asked_for_and_turn_as_the_points_do(tmp_path: Path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "pyramid.off").write_bytes(mesh_writers.off())
    train, both = (from_folder(tmp_path, s, up="y", normals=True) for s in ("train", None))
    assert both.normals.shape == both.points.shape == (2, 2048, 3)
    np.testing.assert_allclose(np.linalg.norm(both.normals, axis=2), 1, atol=1e-6)
    for points, normals in zip(both.points, both.normals, strict=True):
        floor = normals[:, 1] > 0.99  # looked along -z, before y was turned up to z
        assert 0.1 < floor.mean() < 0.9
        np.testing.assert_allclose(points[floor, 1], points[:, 1].max(), atol=1e-5)
    np.testing.assert_array_equal(train.normals[0], both.normals[0])
    bare = from_folder(tmp_path, up="y")
    assert bare.normals is None
    assert bare.fingerprint() == both.fingerprint()


@pytest.mark.parametrize("name", ["cloud-folder", "shapes", "digits", "modelnet40"])
def test_a_set_of_which_no_normals_are_read_says_so(name: str, tmp_path: Path):
    with pytest.raises(UserError, match=rf"^no normals are read of {name}, whose layout is"):
        load(name, "train", root=tmp_path, normals=True)


def test_images_of_another_shape_than_the_card_states_are_refused(tmp_path: Path):
    text = (resource_folder("datasets") / "digits.yaml").read_text()
    assert "height: 8" in text
    (tmp_path / "tall.yaml").write_text(text.replace("height: 8", "height: 9"))
    with pytest.raises(UserError, match=r"images of tall are 1 x 8 x 8 .* states 1 x 9 x 8"):
        load(tmp_path / "tall.yaml", "test")


def test_images_come_as_they_are_and_have_no_up_axis():
    digits = load("digits", "test")
    assert (digits.images.shape, digits.images.dtype) == ((359, 1, 8, 8), np.uint8)
    with pytest.raises(UserError, match="no up axis"):
        load("digits", "test", up="y")
    with pytest.raises(UserError, match="digits holds images"):
        load_clouds("digits", "test")


def test_an_image_added_to_a_folder_shows_at_the_next_load(tmp_path: Path):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    picture = Image.fromarray(np.full((4, 4), 7, np.uint8))
    picture.save(tmp_path / "train" / "a.png")
    picture.save(tmp_path / "test" / "b.png")
    assert len(load("image-folder", "train", root=tmp_path)) == 1
    picture.save(tmp_path / "train" / "c.png")
    assert load("image-folder", "train", root=tmp_path).ids == ("train/a", "train/c")
