"""Training on sets without an end and on mixtures, by epochs and by steps."""

import pytest
import yaml

from helpers.tiny_runs import (
    Killed,
    acting_after,
    assert_same_run,
    die,
    read_metrics,
    tiny_config,
    tiny_train,
)
from pc_crvae.config import override_config
from pc_crvae.data import load_card
from pc_crvae.errors import UserError
from pc_crvae.runs.saved import SavedModel, load_splits
from pc_crvae.training.schedules import Schedule
from pc_crvae.utils.yaml import read_yaml

STEPS = 13
OFTEN = {"every_minutes": 1e-9}


def endless_config(folder, kind="programs", **sections):
    """A run by steps, of 5 an epoch, on programs alone or mixed with the tiny set."""
    tiny_config(folder)  # writes tiny.yaml
    card = load_card("programs").model_dump(mode="json") | {"name": "endless", "points": 64}
    path = folder / "endless.yaml"
    path.write_text(yaml.safe_dump(card))
    sizes = {"points": 32, "items_per_epoch": 40}
    if kind == "mixture":
        parts = [
            {"name": str(folder / "tiny.yaml"), "share": 0.6},
            {"name": str(path), "share": 0.4},
        ]
        data = {"mixture": parts} | sizes
    else:
        data = {"name": str(path)} | sizes
    training = {"epochs": None, "steps": STEPS} | sections.pop("training", {})
    values = sections | {"training": training, "checkpoints": OFTEN}
    return override_config(tiny_config(folder, **values), {"data": data}, "test")


@pytest.mark.parametrize("kind", ["programs", "mixture"])
def test_a_run_resumed_in_the_middle_of_an_epoch_equals_one_in_one_go(tmp_path, kind):
    config = endless_config(tmp_path, kind)
    tiny_train(config, tmp_path / "whole")
    with acting_after(8, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "resumed")
    tiny_train(config, tmp_path / "resumed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


def test_a_run_by_steps_ends_with_them_and_is_validated_then(tmp_path):
    config = endless_config(tmp_path)
    tiny_train(config, tmp_path / "run")
    validated = [m["step"] for m in read_metrics(tmp_path / "run") if m["split"] == "validation"]
    assert validated == [5, 10, STEPS]
    schedule = Schedule(config, 40)
    assert (schedule.total, schedule.epochs) == (STEPS, 3)
    assert 0 < schedule.learning_rate(STEPS - 1) < 0.1 * config.training.learning_rate


def test_a_run_of_whole_epochs_is_the_same_by_steps_and_by_epochs(tmp_path):
    by_epochs = endless_config(tmp_path, training={"epochs": 2, "steps": None})
    by_steps = endless_config(tmp_path, training={"epochs": None, "steps": 10})
    tiny_train(by_epochs, tmp_path / "epochs")
    tiny_train(by_steps, tmp_path / "steps")
    assert_same_run(tmp_path / "epochs", tmp_path / "steps")


def test_what_was_trained_on_a_mixture_is_for_no_one_set(tmp_path):
    config = endless_config(tmp_path, "mixture")
    tiny_train(config, tmp_path / "run")
    recorded = read_yaml(tmp_path / "run/config.yaml")["data"]["mixture"]
    assert [part["share"] for part in recorded] == [0.6, 0.4]
    saved = SavedModel.open(tmp_path / "run")
    assert saved.model.data["name"] is None
    with pytest.raises(UserError, match="does not say what data it is for: name a data set"):
        saved.split("test")
    assert len(SavedModel.open(tmp_path / "run", card=str(tmp_path / "tiny.yaml")).split("test"))


@pytest.mark.parametrize("items_per_epoch", [10, 80])
def test_a_probe_of_the_validation_split_is_fitted_on_every_item_once(tmp_path, items_per_epoch):
    training = {"epochs": None, "steps": 1}
    config = tiny_config(tmp_path, training=training)
    whole, held_out = load_splits(config)
    changes = {"data.items_per_epoch": items_per_epoch}
    tiny_train(override_config(config, changes, "test"), tmp_path / "run")
    fitted_on, scored_on = SavedModel.open(tmp_path / "run").training_splits()
    assert fitted_on.ids == whole.ids
    assert scored_on.ids == held_out.ids
