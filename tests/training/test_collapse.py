"""A training whose model decodes much the same cloud for every shape says so at its end."""

import re

import numpy as np
import pytest
import torch

from helpers.distributed_worker import CONTRAST
from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.build import build_model
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.collapse import decoding_notes

WARNING = "warning: the model has collapsed"


def trained_with_callbacks(config, folder):
    callbacks = Callbacks.of_run(config, Run(folder), *load_splits(config))
    return tiny_train(config, folder, callbacks=callbacks)


class Copying:
    """Stands for a perfect decoder, or for one that decodes a share of each shape."""

    def __init__(self, share):
        self.share = share

    def __call__(self, clouds):
        return self.share * clouds + (1 - self.share) * clouds[:1]


def test_a_training_that_leaves_the_decoder_blind_ends_with_a_warning(tmp_path, capsys):
    training = {"epochs": None, "steps": 2, "learning_rate": 1e-9}
    trained_with_callbacks(tiny_config(tmp_path, training=training), tmp_path / "run")
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if WARNING in line]
    assert "one fixed cloud in place of all of them (Chamfer distance)" in line
    assert said.rstrip().endswith(line)


@pytest.mark.parametrize(("share", "collapsed"), [(1.0, False), (0.9, False), (0.0, True)])
def test_only_a_model_that_reconstructs_no_better_than_one_cloud_is_told(
    tmp_path, monkeypatch, share, collapsed
):
    config = tiny_config(tmp_path)
    model = build_model(config)
    monkeypatch.setattr(model, "reconstructions", Copying(share))
    note = decoding_notes(config, model, *load_splits(config))
    near, *warnings = note.splitlines()
    assert re.fullmatch(r"reconstructions: .* lie \d+\.\d % of the shape's radius away .*", near)
    assert [line.startswith(WARNING) for line in warnings] == [True] * collapsed


def test_the_check_changes_nothing(tmp_path):
    config = tiny_config(tmp_path)
    model = build_model(config).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = decoding_notes(config, model, *load_splits(config))
    assert first == decoding_notes(config, model, *load_splits(config)) is not None
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(drawn[0], torch.get_rng_state())
    assert (drawn[1] == np.random.get_state()[1]).all()


def test_a_model_that_does_not_decode_is_not_told_of(tmp_path, capsys):
    config = tiny_config(tmp_path, **CONTRAST)
    assert decoding_notes(config, build_model(config), *load_splits(config)) is None
    trained_with_callbacks(config, tmp_path / "run")
    assert WARNING not in capsys.readouterr().out
