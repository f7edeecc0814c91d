"""A saved model finds its data again, and is used on no data of another kind."""

import json
import os

import pytest

from helpers.tiny_images import write_mnist
from helpers.tiny_runs import tiny_config, tiny_train
from helpers.toy_models import point_vae
from pc_crvae.config import settled_as
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.data import load
from pc_crvae.data.cache import damage, sealed_files
from pc_crvae.errors import UserError
from pc_crvae.models.exports import write_export
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import SavedModel, load_splits, read_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The config of a run of an epoch, and the run."""
    folder = tmp_path_factory.mktemp("trained")
    config = tiny_config(folder, training={"epochs": 1})
    tiny_train(config, folder / "run")
    return config, Run(folder / "run")


@pytest.fixture
def images(tmp_path):
    """A model of images of the digits' size that no run made."""
    architecture = ImageModelConfig.model_validate(
        {"name": "image_vae", "encoder": {"name": "mlp", "widths": [4]}}, strict=False
    )
    model = ImageVAE(architecture, shape=(1, 8, 8), data={"name": "digits"})
    write_export(model, tmp_path / "images")
    return SavedModel.open(tmp_path / "images")


def test_a_run_is_opened_with_its_config_and_its_splits(trained):
    config, run = trained
    saved = SavedModel.open(run.folder)
    assert saved.config == settled_as(config, saved.config)
    assert not saved.model.training
    assert saved.data == config.data.name
    for split in ("train", "test"):
        expected = load(config.data.name, split).fingerprint()
        assert saved.split(split).fingerprint() == expected
        assert saved.clouds(split).fingerprint() == expected
    for ours, theirs in zip(saved.training_splits(), load_splits(config), strict=True):
        assert ours.fingerprint() == theirs.fingerprint()


def test_other_data_leaves_what_is_the_run_s_own_aside(trained, tmp_path):
    _, run = trained
    saved = SavedModel.open(run.folder, card="modelnet10", root=tmp_path, up="y")
    assert (saved.data, saved.root, saved.up) == ("modelnet10", tmp_path, "y")
    assert SavedModel.open(run.folder, card="modelnet10").up is None
    assert SavedModel.open(run.folder, up="x").up == "x"


def test_the_best_of_a_run_is_another_folder_of_the_same_run(trained):
    config, run = trained
    best = SavedModel.open(run.folder, "best")
    assert best.folder == run.best
    assert best.config == settled_as(config, best.config)


def test_an_export_alone_is_of_no_run_and_may_not_say_what_data_it_is_for(tmp_path):
    write_export(point_vae(), tmp_path / "export")
    saved = SavedModel.open(tmp_path / "export")
    assert saved.config is None
    with pytest.raises(UserError, match="does not say what data it is for: name a data set"):
        saved.split("test")
    with pytest.raises(UserError, match="is no run, whose config says"):
        saved.training_splits()


def test_a_model_of_images_is_none_of_clouds(images):
    assert len(images.split("test")) == 359
    with pytest.raises(UserError, match="holds a ImageVAE, a model of images"):
        images.clouds("test")
    with pytest.raises(UserError, match="holds a ImageVAE, a model of images"):
        _ = images.point_model


def test_data_of_another_kind_or_shape_is_refused(images, tmp_path):
    clouds = SavedModel.open(images.folder, card="shapes")
    with pytest.raises(UserError, match=r"shapes holds .*: name another data set"):
        clouds.split("test")
    write_mnist(tmp_path / "mnist")
    larger = SavedModel.open(images.folder, card="mnist", root=tmp_path / "mnist")
    with pytest.raises(UserError, match=r"images of mnist are 1 x 28 x 28, .*: name another data"):
        larger.split("test")


def test_a_model_of_an_unknown_class_is_refused_with_those_that_are_read(images):
    description = images.folder / "config.json"
    description.write_text(description.read_text().replace("ImageVAE", "SoundVAE"))
    with pytest.raises(UserError, match=r"of the class SoundVAE, .* reads PointVAE, ImageVAE"):
        read_model(images.folder)


def test_a_bit_that_flipped_in_prepared_data_is_told_and_the_data_prepared_anew(
    trained, monkeypatch
):
    config, run = trained
    expected = load(config.data.name, "train").fingerprint()
    path = damage.entry_of(load(config.data.name, "train")) / "points.npy"
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 0)  # as of a large array
    for load_training_set in (lambda: load_splits(config), run_splits(run)):
        status = path.stat()
        content = bytearray(path.read_bytes())
        content[-5] ^= 64
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert load(config.data.name, "train").fingerprint() != expected
        with pytest.warns(UserWarning, match=r"points.npy is not as it was .*, so it is made anew"):
            load_training_set()
        assert load(config.data.name, "train").fingerprint() == expected


def run_splits(run):
    return lambda: SavedModel.open(run.folder).split("train")


def test_a_model_of_0_1_reads_gltf_by_its_card_as_it_was_trained(tmp_path):
    model = point_vae()
    model.data = {"name": "mesh-folder", "up": None}
    write_export(model, tmp_path)
    assert SavedModel.open(tmp_path).up is None
    path = tmp_path / "config.json"
    told = json.loads(path.read_text())
    del told["sha256"]  # which that version did not write
    path.write_text(json.dumps(told))
    assert SavedModel.open(tmp_path).up == "z"
    assert SavedModel.open(tmp_path, up="glb=y").up == "glb=y"
    assert SavedModel.open(tmp_path, card="cloud-folder").up is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"name": "modelnet10", "up": None}, "modelnet10"),
        (
            {"name": None, "up": None, "mixture": {"shapes": 0.25, "programs": 0.75}},
            "a mixture of shapes (0.25), programs (0.75)",
        ),
        ({}, "data that it does not name"),
    ],
)
def test_what_a_model_was_trained_on_is_told_in_words(tmp_path, data, words):
    model = point_vae()
    model.data = data
    write_export(model, tmp_path)
    assert SavedModel.open(tmp_path).trained_on == words
