"""A config says exactly what is meant, or is refused in one sentence."""

from operator import attrgetter
from pathlib import Path
from typing import get_args

import pytest
import torch
import yaml

from pc_crvae import config as schema
from pc_crvae.config import Config, find_config, load_config, parse_config, plain, save_config
from pc_crvae.config import points as points_schema
from pc_crvae.config.removed import REMOVED_KEYS
from pc_crvae.errors import UserError
from pc_crvae.training.build import build_model, build_training_objective
from pc_crvae.utils.resources import resource_folder

SHIPPED = sorted(resource_folder("configs").glob("*.yaml"))


@pytest.fixture
def write(tmp_path):
    """Writes a config file and returns its path."""

    def write(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def empty(write):
    return write("")


def refusal(path, *overrides):
    """The one sentence with which a config is refused."""
    with pytest.raises(UserError) as caught:
        load_config(path, list(overrides))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_file_is_the_default_experiment(empty):
    config = load_config(empty)
    assert config == Config()
    assert config.model.encoder.name == "pointnet"
    assert config.objective.name == "elbo"
    assert config.consistency is not None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sed: 1", "sed is not a known key, did you mean seed?"),
        ("training: {epoch: 1}", "training.epoch is not a known key, did you mean epochs?"),
        ("training: {lerning_rate: 1}", "did you mean learning_rate?"),
        ("model: {encoder: {name: pointnet, k: 3}}", "model.encoder.k is not a known key"),
        ("consistency: {lambda: 1}", "consistency.lambda is not a known key"),
        ("training: {epochs: true}", "training.epochs should be a valid integer, not True"),
        ("training: {epochs: '9'}", "training.epochs should be a valid integer, not '9'"),
        ("training: {epochs: 1e3}", "training.epochs should be a valid integer, not 1000.0"),
        ("training: {epochs: 1.5}", "training.epochs should be a valid integer, not 1.5"),
        ("training: {learning_rate: fast}", "training.learning_rate should be a valid number"),
        ("training: {learning_rate: true}", "training.learning_rate should be a valid number"),
        ("data: {name: 3}", "data.name should be a valid string, not 3"),
        ("consistency: {stop_gradient: 1}", "consistency.stop_gradient should be a valid boolean"),
        ("model: {encoder: {name: pointnet, widths: 8}}", "model.encoder.widths should be"),
        ("training: {epochs: 0}", "training.epochs should be greater than or equal to 1, not 0"),
        ("training: {learning_rate: 0}", "training.learning_rate should be greater than 0, not 0"),
        ("training: {learning_rate: .nan}", "training.learning_rate should be a finite number"),
        ("training: {learning_rate: .inf}", "training.learning_rate should be a finite number"),
        (
            "training: {precision: float16}",
            "training.precision should be 'auto', 'float32' or 'bfloat16'",
        ),
        ("consistency: {weight: -1}", "consistency.weight should be greater than or equal to 0"),
        ("data: {validation_fraction: 0.5}", "data.validation_fraction should be less than 0.5"),
        ("seed: -1", "seed should be greater than or equal to 0, not -1"),
        ("seed: 4294967296", "seed should be less than 4294967296"),
        ("model: {encoder: {name: pointnet, widths: []}}", "model.encoder.widths should have"),
        ("model: {encoder: {name: pointnet, widths: [8, 0]}}", "model.encoder.widths.1 should be"),
        ("model: {encoder: {widths: [8]}}", "model.encoder.name is missing"),
        ("model: {encoder: {name: pointnot}}", "model.encoder.name should be one of"),
        ("consistency: {transforms: [{name: rotate}]}", "consistency.transforms.0.name should be"),
        (
            "consistency: {transforms: [{name: subsample, min_fraction: 0.9, max_fraction: 0.5}]}",
            "consistency.transforms.0: min_fraction must not exceed max_fraction",
        ),
        (
            "consistency: {transforms: [{name: scale_anisotropic, low: 2, high: 1}]}",
            "consistency.transforms.0: low must not exceed high",
        ),
        ("training: 3", "training should hold keys with values, not 3"),
        ("training: {batch_size: 10, accumulation: 4}", "must be a multiple of"),
        ("objective: {name: elbo, balanced_groups: true}", "needs the latent groups of an nvae"),
        (
            "{model: {name: nvae}, consistency: null, objective: {name: elbo, "
            "balanced_groups: true, free_bits: 0.1}}",
            "objective.free_bits and objective.balanced_groups do not go together",
        ),
        (
            "{model: {name: nvae}, consistency: null, objective: {name: elbo, "
            "balanced_groups: true}}",
            "acts while beta rises, and objective.warmup_epochs is 0",
        ),
        (
            "{model: {name: nvae, flows: 1}, consistency: null, objective: {name: elbo, "
            "free_bits: 0.1}}",
            "objective.free_bits bound the KL of each dimension",
        ),
        (
            "model: {name: nvae, encoder_cells: 100000}",
            "model.encoder_cells should be less than or equal to 256",
        ),
        (
            "model: {name: nvae, groups_per_scale: [1, 100000]}",
            "model.groups_per_scale.1 should be less than or equal to 256",
        ),
        (
            "model: {encoder: {name: pointnet, widths: [" + "8, " * 64 + "8]}}",
            "model.encoder.widths should have at most 64 items",
        ),
        ("data: {name: 2020-01-01}", "holds what no setting can be"),
        ("data: &a {name: *a}", "it stands for too many values"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(write, text, sentence):
    message = refusal(write(text))
    assert message.startswith(str(write(text)))
    assert sentence in message


def test_numbers_are_read_as_people_write_them(write):
    config = load_config(write("training: {learning_rate: 1e-3, weight_decay: 0, clip_norm: 5}"))
    assert config.training.learning_rate == 1e-3
    assert config.training.weight_decay == 0
    assert config.training.clip_norm == 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("objective: {name: autoencoder}\nconsistency: {form: contrast}", "no posterior KL"),
        ("consistency: {form: contrast, temperature: 0}", "consistency.temperature"),
        ("consistency: {form: contrast, temperature: -1}", "consistency.temperature"),
        ("consistency: {temperature: 5}", "belong to contrast"),
        ("consistency: {score: projector}", "belong to contrast"),
        ("consistency: {projector_widths: [8]}", "belong to the score projector"),
        ("consistency: {form: contrast, projector_widths: [8]}", "belong to the score projector"),
        ("consistency: {form: contrast}\ntraining: {batch_size: 1}", "compares the items"),
        (
            "consistency: {form: contrast}\ntraining: {accumulation: 2}",
            "set training.accumulation to 1",
        ),
    ],
)
def test_contrast_that_cannot_be_is_refused_in_one_sentence(write, text, sentence):
    assert sentence in refusal(write(text))


def test_an_auto_encoder_may_be_contrasted_by_a_projector(write):
    config = load_config(
        write("objective: {name: autoencoder}\nconsistency: {form: contrast, score: projector}")
    )
    assert config.consistency.weight > 0


def test_an_auto_encoder_with_a_consistency_weight_is_refused(write):
    autoencoder = "objective: {name: autoencoder}"
    assert "an auto-encoder has no posterior KL" in refusal(write(autoencoder))
    for consistency in ("null", "{weight: 0}"):
        config = load_config(write(f"{autoencoder}\nconsistency: {consistency}"))
        assert config.objective.name == "autoencoder"


@pytest.mark.parametrize("dimensions", [[0, 9], [-1, 4], [4, 4], [5, 2], [8, 9]])
def test_dimensions_outside_the_latent_are_refused(empty, dimensions):
    message = refusal(empty, "model.latent_dim=8", f"consistency.dimensions={dimensions}")
    assert f"consistency.dimensions {dimensions} must be [start, stop] within the 8" in message


@pytest.mark.parametrize("dimensions", [(0, 8), (2, 3)])
def test_dimensions_within_the_latent_are_taken(empty, dimensions):
    config = load_config(
        empty, ["model.latent_dim=8", f"consistency.dimensions={list(dimensions)}"]
    )
    assert config.consistency.dimensions == dimensions


@pytest.mark.parametrize("path", REMOVED_KEYS)
def test_a_removed_key_is_read_at_its_default_alone(write, empty, path):
    section, key = path.split(".")
    kept = yaml.safe_dump({section: {key: REMOVED_KEYS[path]}})
    assert load_config(write(kept)) == Config()
    changed = refusal(write(yaml.safe_dump({section: {key: "other"}})))
    assert f"a.yaml: {path} was removed" in changed
    write("")
    assert load_config(empty, [f"{path}={yaml.safe_dump(REMOVED_KEYS[path])}"]) == Config()
    assert f"the command line: {path} was removed" in refusal(empty, f"{path}=other")


@pytest.mark.parametrize("path", REMOVED_KEYS)
def test_a_removed_key_is_no_key_any_more(path):
    values = plain(Config())
    section, key = path.split(".")
    assert key not in values[section]


def test_an_override_goes_before_the_file(write):
    path = write("training: {epochs: 3, batch_size: 8}")
    config = load_config(path, ["training.epochs=7", "seed=5"])
    assert (config.training.epochs, config.training.batch_size, config.seed) == (7, 8, 5)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.learning_rate=1e-3", 1e-3),
        ("training.learning_rate=2", 2.0),
        ("training.clip_norm=null", None),
        ("training.clip_norm=", None),
        ("data.root=../some where/a=b", "../some where/a=b"),
        ("consistency.stop_gradient=true", True),
        ("model.encoder.widths=[8, 16]", (8, 16)),
        ("consistency=null", None),
    ],
)
def test_the_value_of_an_override_is_yaml(empty, override, value):
    config = load_config(empty, [override])
    for key in override.partition("=")[0].split("."):
        config = getattr(config, key)
    assert config == value


def test_a_list_of_transforms_can_be_overridden(empty):
    config = load_config(
        empty, ["consistency.transforms=[{name: rotate_so3}, {name: jitter, sigma: 0.02}]"]
    )
    assert [t.name for t in config.consistency.transforms] == ["rotate_so3", "jitter"]
    assert config.consistency.transforms[1].sigma == 0.02


@pytest.mark.parametrize("order", [1, -1])
def test_a_change_of_kind_drops_the_other_kind_s_keys_in_any_order(write, order):
    path = write("model: {encoder: {name: pointnet, widths: [8, 16], batch_norm: false}}")
    overrides = ["model.encoder.name=dgcnn", "model.encoder.k=7"][::order]
    assert load_config(path, overrides).model.encoder == points_schema.DGCNNConfig(
        name="dgcnn", k=7
    )


def test_naming_the_same_kind_again_keeps_its_keys(write):
    path = write("model: {encoder: {name: pointnet, widths: [8, 16]}}")
    assert load_config(path, ["model.encoder.name=pointnet"]).model.encoder.widths == (8, 16)


def test_another_data_set_keeps_the_other_keys_of_data(write):
    config = load_config(write("data: {name: modelnet10, points: 484}"), ["data.name=modelnet40"])
    assert (config.data.name, config.data.points) == ("modelnet40", 484)


def test_a_key_of_a_section_that_is_null_brings_the_section_back(write):
    config = load_config(write("consistency: null"), ["consistency.weight=5"])
    assert config.consistency == schema.ConsistencyConfig(weight=5)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epochs", "must be written section.key=value"),
        ("=3", "must be written section.key=value"),
        (".epochs=3", "must be written section.key=value"),
        ("training.=3", "must be written section.key=value"),
        ("training.epochs=[1", "is not valid YAML"),
        ("trainin.epochs=3", "trainin is not a known key, did you mean training?"),
        ("training.epoch=3", "training.epoch is not a known key, did you mean epochs?"),
        ("training.epochs=x", "training.epochs should be a valid integer, not 'x'"),
        ("training.epochs.more=3", "'epochs' is a value, not a section"),
        ("model.encoder.name=foo", "model.encoder.name should be one of"),
        ("data.name=2020-01-01", "holds what no setting can be"),
    ],
)
def test_a_mistake_in_an_override_is_told(empty, override, sentence):
    assert sentence in refusal(empty, override)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_config_of_the_package_is_valid_and_survives_being_saved(path, tmp_path):
    config = load_config(path)
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config


def test_configs_come_with_the_package():
    assert SHIPPED


def test_a_config_cannot_be_changed_once_made():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 1


def test_a_config_is_found_by_path_and_by_the_name_of_one_that_comes_along(write, monkeypatch):
    path, shipped = write(""), SHIPPED[0]
    assert find_config(path) == path
    monkeypatch.chdir(path.parent)
    assert find_config(Path("a.yaml")) == Path("a.yaml")
    for name in (shipped.stem, shipped.name, f"configs/{shipped.name}"):
        assert find_config(Path(name)) == shipped


def test_a_config_that_is_nowhere_is_told_with_the_nearest_that_comes_along(tmp_path):
    with pytest.raises(
        UserError, match=r"there is no config .*modelnet1\.yaml: did you mean model"
    ):
        find_config(tmp_path / "modelnet1.yaml")
    with pytest.raises(UserError, match=r"the package brings .*modelnet10\.yaml"):
        find_config(tmp_path / "zzz")


def test_a_missing_config_file_is_told(tmp_path):
    assert "cannot read" in refusal(tmp_path / "none.yaml")


def kinds(union):
    """The names in a discriminated union."""
    members = get_args(get_args(union)[0])
    return [get_args(member.model_fields["name"].annotation)[0] for member in members]


SMALL = {
    "pointnet": "widths: [4]",
    "octant_pointnet": "widths: [4]",
    "dgcnn": "widths: [4], embedding: 4, k: 2",
    "foldingnet": "widths: [4], graph_widths: [4], k: 2",
}


@pytest.mark.parametrize("decoder", kinds(points_schema.DecoderConfig))
@pytest.mark.parametrize("encoder", kinds(points_schema.EncoderConfig))
def test_every_encoder_and_decoder_of_the_schema_can_be_built(empty, encoder, decoder):
    config = load_config(
        empty,
        [
            f"model.encoder={{name: {encoder}, {SMALL[encoder]}}}",
            f"model.decoder={{name: {decoder}, widths: [4], points: 8}}",
        ],
    )
    model = build_model(config)
    assert model.decode(model.embed(_points())[None]).shape == (1, 8, 3)


@pytest.mark.parametrize("transform", kinds(points_schema.PointTransformConfig))
def test_every_transform_of_the_schema_can_be_built(empty, transform):
    config = load_config(
        empty,
        ["model.encoder.widths=[4]", f"consistency.transforms=[{{name: {transform}}}]"],
    )
    objective = build_training_objective(config, build_model(config))
    given = plain(config.consistency.transforms[0])
    (built,) = objective.transform.transforms
    assert given == {"name": transform, **vars(built)}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"weight": 1.0, "divergence.stop_gradient": False, "target": "transformed"}),
        (["consistency.weight=7"], {"weight": 7.0}),
        (["consistency.target=original"], {"target": "original"}),
        (["consistency.direction=original_first"], {"divergence.direction": "original_first"}),
        (["consistency.stop_gradient=true"], {"divergence.stop_gradient": True}),
        (["consistency.dimensions=[2, 5]"], {"divergence.dimensions": slice(2, 5)}),
    ],
)
def test_the_objective_is_built_as_the_config_says(empty, overrides, expected):
    config = load_config(
        empty,
        ["model.encoder.widths=[4]", "objective.beta=3", "objective.free_bits=0.1", *overrides],
    )
    built = build_training_objective(config, build_model(config))
    assert {name: attrgetter(name)(built) for name in expected} == expected
    assert (built.objective.beta, built.objective.free_bits) == (3, 0.1)


def test_without_consistency_the_objective_is_a_single_pass(empty):
    config = load_config(
        empty,
        ["consistency=null", "objective.name=autoencoder", "model.encoder.widths=[4]"],
    )
    built = build_training_objective(config, build_model(config))
    assert type(built).__name__ == "SinglePass"
    assert type(built.objective).__name__ == "AutoEncoding"
    assert built.model.posterior_kind == "code"


def test_plain_values_are_what_yaml_holds():
    values = plain(Config())
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert parse_config(values, "here") == Config()


def _points():

    return torch.randn(8, 3)


MIXED = [{"name": "modelnet10", "share": 0.25}, {"name": "programs", "share": 0.75}]


def test_a_list_of_sets_is_a_mixture_of_them():
    config = parse_config({"data": MIXED}, "test")
    assert [(part.name, part.share) for part in config.data.sets] == [
        ("modelnet10", 0.25),
        ("programs", 0.75),
    ]
    assert config == parse_config({"data": {"mixture": MIXED}}, "test")
    assert config == parse_config(plain(config), "test")
    assert config.data.name == "modelnet10 + programs"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "data: [{name: shapes, share: 0.5}, {name: programs, share: 0.4}]",
            "data: the shares of a mixture sum to 1, and these to 0.9",
        ),
        ("data: [{name: shapes, share: 0.5}, {name: programs}]", "data.mixture.1.share is missing"),
        (
            "data: [{name: shapes, share: 0.5}, {name: shapes, share: 0.5}]",
            "a mixture holds each set once, and this one holds shapes 2 times: add up its shares",
        ),
        ("data: [{name: shapes, share: 0.5}]", "a mixture has at least two sets"),
        (
            "data: {name: shapes, mixture: [{name: shapes, share: 0.5}]}",
            "name belongs to each set of a mixture: give it with the set",
        ),
        ("training: {epochs: 3, steps: 9}", "give one of them, and set the other to null"),
        ("training: {epochs: null}", "give one of them, and set the other to null"),
    ],
)
def test_a_mixture_or_a_length_that_is_none_is_refused(write, text, sentence):
    assert sentence in refusal(write(text))


def test_steps_take_the_place_of_epochs_and_the_other_way_round(write, empty):
    assert load_config(write("training: {steps: 9}")).training.epochs is None
    lengths = [
        (config.training.epochs, config.training.steps)
        for config in (
            load_config(empty, ["training.steps=9"]),
            load_config(write("training: {steps: 9}"), ["training.epochs=3"]),
        )
    ]
    assert lengths == [(None, 9), (3, None)]


def test_cards_and_folders_of_a_mixture_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed = [{"name": "mine.yaml", "root": "here", "share": 0.5}, MIXED[1] | {"share": 0.5}]
    data = schema.with_absolute_paths(parse_config({"data": mixed}, "test")).data
    assert [part.name for part in data.mixture] == [str(tmp_path / "mine.yaml"), "programs"]
    assert [part.root for part in data.mixture] == [str(tmp_path / "here"), None]
