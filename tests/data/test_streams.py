"""Training sets that differ from epoch to epoch: no repetition, shares kept, fixed validation."""

from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
import yaml

from pc_crvae.config import load_config
from pc_crvae.config.data import Reading
from pc_crvae.data import load, load_card, split_validation
from pc_crvae.data.procedural.programs.clouds import make_clouds
from pc_crvae.data.streams import _check_axes, is_endless, load_streamed
from pc_crvae.errors import UserError
from pc_crvae.utils.resources import resource_folder

CONFIGS = sorted(resource_folder("configs").glob("*.yaml"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def card(tmp_path):
    """Writes a card of a generated set like another, and returns its path."""

    def write(like, name, count=40, points=32, seed=0, **changes):
        values = load_card(like).model_dump(mode="json") | {"name": name, "points": points}
        values["splits"] = {
            "train": {"count": count, "seed": seed},
            "test": {"count": 8, "seed": seed + 1},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return str(path)

    return write


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_mixtures_of_the_package_s_configs_say_their_up_axes(path):
    sets = getattr(load_config(path).data, "mixture", ())
    _check_axes(sets, [load_card(one.name) for one in sets])


@dataclass(frozen=True)
class Part:
    """A set of a mixture, as a configuration has it."""

    name: str
    share: float = 1.0
    reading: Reading = field(default_factory=Reading)


def streamed(*parts, items=None, fraction=0.1, seed=0):
    data = SimpleNamespace(sets=parts, items_per_epoch=items, validation_fraction=fraction)
    return load_streamed(data, seed)


def test_programs_have_no_end_and_other_sets_have_one():
    assert is_endless("programs")
    assert not is_endless("shapes")


def test_no_shape_is_repeated_over_two_epochs(card):
    train, _ = streamed(Part(card("programs", "endless")), items=50)
    first, second = train.of_epoch(0), train.of_epoch(1)
    assert len(train) == len(first) == len(second) == 50
    assert not set(first.ids) & set(second.ids)
    clouds = np.concatenate([np.asarray(first.points), np.asarray(second.points)])
    assert len(np.unique(clouds.reshape(100, -1), axis=0)) == 100


def test_a_shape_s_number_is_its_place_in_all_epochs(card):
    train, _ = streamed(Part(card("programs", "endless", seed=3)), items=20)
    np.testing.assert_array_equal(
        train.of_epoch(2).points[np.array([0, 7])], make_clouds(3, [40, 47], 32)
    )
    np.testing.assert_array_equal(train.points[5], make_clouds(3, [5], 32)[0])
    assert train.of_epoch(2).ids[7] == "endless-0000047"


def test_the_split_of_an_endless_set_is_its_first_epoch_and_the_default_size_of_one(card):
    name = card("programs", "endless", count=12)
    train, validation = streamed(Part(name), fraction=0.25)
    np.testing.assert_array_equal(np.asarray(train.points), load(name, "train").points)
    assert (len(train), len(validation), train.labels) == (12, 3, None)


def test_validation_is_fixed_and_shares_no_shape_with_training(card):
    name = card("programs", "endless")
    sets = [streamed(Part(name), items=30, seed=seed) for seed in (0, 1)]
    (train, validation), (_, again) = sets
    assert validation.fingerprint() == again.fingerprint()
    clouds = np.concatenate([np.asarray(train.points), np.asarray(validation.points)])
    assert len(np.unique(clouds.reshape(33, -1), axis=0)) == 33


def test_the_fingerprint_is_the_generator_s_version_and_seed(card):
    prints = {
        (seed, items): streamed(Part(card("programs", "endless", seed=seed)), items=items)[
            0
        ].fingerprint()
        for seed in (0, 1)
        for items in (10, 20)
    }
    assert prints[0, 10] == prints[0, 20] != prints[1, 10] == prints[1, 20]


def test_a_part_of_a_stream_is_the_same_in_every_epoch(card):
    train, _ = streamed(Part(card("programs", "endless")), items=10)
    part = train[2:5]
    assert part.of_epoch(4) is part
    np.testing.assert_array_equal(part.points[0], train.points[2])
    assert part.fingerprint() != train.fingerprint()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.3), (0.9, 0.1)])
def test_every_epoch_of_a_mixture_keeps_the_shares(card, shares):
    few, endless = card("shapes", "few"), card("programs", "endless")
    parts = Part(few, shares[0]), Part(endless, shares[1])
    train, validation = streamed(*parts, items=30, fraction=0.2)
    for epoch in range(3):
        names = Counter(name.partition("/")[0] for name in train.of_epoch(epoch).ids)
        assert [names["few"] / 30, names["endless"] / 30] == pytest.approx(shares, abs=0.5 / 30)
    held_out = Counter(name.partition("/")[0] for name in validation.ids)
    assert held_out["few"] / len(validation) == pytest.approx(shares[0], abs=0.5 / len(validation))
    assert (train.labels, train.classes, train.name) == (None, (), "few + endless")


def test_a_finite_set_of_a_mixture_is_gone_through_before_it_starts_again(card):
    parts = Part(card("shapes", "few"), 0.6), Part(card("programs", "endless"), 0.4)
    train, _ = streamed(*parts, items=35)
    taken = [
        name.partition("#")[0]
        for epoch in range(6)
        for name in train.of_epoch(epoch).ids
        if name.startswith("few/")
    ]
    size = len(split_validation(load(parts[0].name, "train"), 0.1)[0])
    assert len(taken) == 6 * 21 > 3 * size
    for start in range(0, len(taken) - size, size):
        assert len(set(taken[start : start + size])) == size
    assert taken[:size] != taken[size : 2 * size]


def test_the_clouds_of_a_mixture_are_those_of_its_sets(card):
    parts = Part(card("shapes", "few"), 0.5), Part(card("programs", "endless"), 0.5)
    train, validation = streamed(*parts)
    whole = load(parts[0].name, "train")
    places = {name: row for row, name in enumerate(whole.ids)}
    epoch = train.of_epoch(1)
    assert len(epoch) == len(split_validation(whole, 0.1)[0])
    for row, name in enumerate(epoch.ids):
        kind, _, own = name.partition("/")
        if kind == "few":
            expected = whole.points[places[own.partition("#")[0]]]
        else:
            expected = make_clouds(0, [int(own.rpartition("-")[2])], 32)[0]
        np.testing.assert_array_equal(epoch.points[row], expected)
    assert not {name.partition("#")[0] for name in epoch.ids} & set(validation.ids)


def test_orders_depend_on_seed_and_epoch(card):
    parts = Part(card("shapes", "few"), 0.5), Part(card("programs", "endless"), 0.5)
    ids = {
        (seed, epoch): streamed(*parts, seed=seed)[0].of_epoch(epoch).ids
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(ids.values())) == 4
    assert streamed(*parts)[0].of_epoch(1).ids == ids[0, 1]


def test_a_finite_set_alone_keeps_its_labels_in_epochs_of_a_given_size(card):
    name = card("shapes", "few")
    train, validation = streamed(Part(name), items=90)
    whole = load(name, "train")
    labels = dict(zip(whole.ids, whole.labels.tolist(), strict=True))
    epoch = train.of_epoch(1)
    assert len(epoch) == 90
    assert [labels[name.partition("#")[0]] for name in epoch.ids] == epoch.labels.tolist()
    assert len(validation) == len(split_validation(whole, 0.1)[1])


def test_made_clouds_have_as_many_points_as_those_of_the_finite_sets(card):
    parts = Part(card("shapes", "few", points=48), 0.5), Part(card("programs", "endless"), 0.5)
    train, validation = streamed(*parts)
    assert train.points.shape[1] == validation.points.shape[1] == 48


def test_sets_that_do_not_go_together_are_refused_in_a_sentence(card, tmp_path):
    few, endless = card("shapes", "few"), card("programs", "endless")
    turned = card("shapes", "turned", up="y")
    larger = card("shapes", "larger", points=48)
    for parts, sentence in (
        ((Part("digits", 0.5), Part(endless, 0.5)), "digits holds images, and mixtures"),
        ((Part("digits"),), "digits holds images, and mixtures and data.items_per_epoch take"),
        ((Part(turned, 0.5), Part(endless, 0.5)), r"other up axes \(y in .*turned.yaml and z in"),
        ((Part(few, 0.5), Part(larger, 0.5)), "32 in few and 48 in larger: leave one out"),
        ((Part(endless, reading={"root": tmp_path}),), "endless.yaml is generated.*leave out root"),
    ):
        with pytest.raises(UserError, match=sentence) as caught:
            streamed(*parts, items=10)
        assert "\n" not in str(caught.value)
    said = replace(Part(turned, 0.5), reading={"up": "y"}), Part(endless, 0.5)
    assert len(streamed(*said, items=10)[0]) == 10


def test_axes_by_suffix_are_no_other_axis_than_that_of_the_card(tmp_path, card):
    meshes = tmp_path / "meshes.yaml"
    values = load_card("mesh-folder").model_dump(mode="json") | {"name": "meshes", "points": 32}
    meshes.write_text(yaml.safe_dump(values))
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(10):
        trimesh.creation.box((1, 1, 2 + number)).export(folder / f"{number}.glb")
    files = Part(str(meshes), 0.5, {"root": folder, "up": "glb=y,stl=z"})
    assert len(streamed(files, Part(card("shapes", "made"), 0.5), items=10)[0]) == 10
