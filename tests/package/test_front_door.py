"""The front door: the examples of its docstrings run, and mistakes are told as by the commands."""

import doctest

import numpy as np
import pytest
import trimesh

import pc_crvae
from helpers.tiny_runs import tiny_config, write_card
from pc_crvae import api
from pc_crvae.data import load_clouds
from pc_crvae.errors import UserError

FUNCTIONS = ("train", "load", "probe", "embed", "search", "explore", "load_mesh")


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the examples are about; later ones use what earlier ones made."""
    folder = tmp_path_factory.mktemp("front")
    meshes = folder / "meshes"
    meshes.mkdir()
    trimesh.creation.box(extents=(1, 1, 1)).export(meshes / "box.off")
    trimesh.creation.cylinder(radius=0.1, height=2).export(meshes / "rod.off")
    names = {"pc_crvae": pc_crvae, "np": np, "folder": folder, "meshes": meshes}
    return names | {"card": write_card(folder)}


def test_every_example_of_a_docstring_runs(names):
    assert {*FUNCTIONS, "__version__"} == set(pc_crvae.__all__)
    for function in FUNCTIONS:
        example = doctest.DocTestParser().get_doctest(
            getattr(pc_crvae, function).__doc__, names, function, api.__file__, 0
        )
        assert example.examples, function
        told = []
        doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(
            example, out=told.append, clear_globs=False
        )
        names |= example.globs
        assert not told, "".join(told)


def test_a_configuration_is_trained_as_it_is_and_its_folder_is_needed(tmp_path):
    config = tiny_config(tmp_path, training={"epochs": 1})
    with pytest.raises(UserError, match="give out, its folder"):
        pc_crvae.train(config)
    run = pc_crvae.train(config, out=tmp_path / "run", seed=3, **{"training.batch_size": 20})
    text = (run / "config.yaml").read_text()
    assert "seed: 3" in text
    assert "batch_size: 20" in text
    with pytest.raises(UserError, match="already exists"):
        pc_crvae.train(config, out=run)


def test_an_override_of_no_key_is_answered_with_the_nearest():
    with pytest.raises(UserError, match=r"training\.epoch is not a known key, did you mean epochs"):
        pc_crvae.train("quickstart", **{"training.epoch": 3})


def test_a_file_that_cannot_be_embedded_stops_all(tmp_path):
    config = tiny_config(tmp_path, training={"epochs": 1})
    run = pc_crvae.train(config, out=tmp_path / "run")
    (tmp_path / "bad.off").write_text("OFF\n")
    with pytest.raises(UserError, match=r"bad\.off"):
        pc_crvae.embed(tmp_path / "bad.off", model=run)
    index = pc_crvae.embed(np.random.default_rng(0).normal(size=(3, 40, 3)), model=run)
    assert index.about.points == 40
    assert pc_crvae.search(index, index.vectors[1], top=1)[0].id == "1"
    with pytest.raises(UserError, match=r"another model than .*pretrained-so3"):
        pc_crvae.search(index, tmp_path / "bad.off")


def test_where_no_model_is_named_the_one_that_comes_with_the_package_is_used(tmp_path):
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    trimesh.creation.box(extents=(1, 1, 1)).export(meshes / "box.off")
    trimesh.creation.cylinder(radius=0.1, height=2).export(meshes / "rod.off")
    index = pc_crvae.embed(meshes, points=64)
    assert (
        index.about.model_sha256
        == pc_crvae.embed(meshes, model="pretrained-so3", points=64).about.model_sha256
    )
    for searched in (index, meshes):
        assert pc_crvae.search(searched, meshes / "rod.off", top=1)[0].id == "rod"


@pytest.mark.slow
def test_a_model_is_probed_on_a_set_that_it_was_not_trained_on(tmp_path):
    config = tiny_config(tmp_path, training={"epochs": 1})
    run = pc_crvae.train(config, out=tmp_path / "run")
    train, test = (load_clouds("shapes", part)[:120] for part in ("train", "test"))
    report = pc_crvae.probe(run, data=(train, test))
    assert report.transfer
    assert (report.data.train.name, report.data.test.count) == ("shapes", 120)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"up": "w"}, "up is x, y or z, not w"),
        ({"points": 0}, "points must be from 1 to 1,048,576, not 0"),
        ({"average_over": "C0"}, "average_over C0 is no group of rotations"),
    ],
)
def test_embed_refuses_a_value_that_cannot_be_in_one_sentence(tmp_path, options, sentence):
    with pytest.raises(UserError, match=sentence):
        pc_crvae.embed(tmp_path, model=tmp_path, **options)
