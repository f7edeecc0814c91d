"""A config says exactly what is meant, or is refused in one sentence."""

import pytest
import yaml

from helpers.refused_configs import refusal
from pc_crvae.config import Config, load_config, parse_config, plain
from pc_crvae.config.removed import REMOVED_KEYS


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


def test_a_config_cannot_be_changed_once_made():
    with pytest.raises(ValueError, match="frozen"):
        Config().seed = 1


def test_plain_values_are_what_yaml_holds():
    values = plain(Config())
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert parse_config(values, "here") == Config()
