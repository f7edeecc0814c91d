"""What looks at a model while it trains."""

import numpy as np
import pytest
import torch

from helpers.tiny_runs import tiny_config, tiny_values
from pc_crvae.evaluation.probe.run import validation_probe
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.build import build_model
from pc_crvae.training.callbacks import ValidationProbe


@pytest.mark.parametrize(("embedding", "dimensions"), [("mean", 4), ("pooled", 16)])
def test_the_validation_probe_scores_what_the_model_embeds(
    tmp_path, monkeypatch, embedding, dimensions
):
    model = tiny_values(tmp_path)["model"] | {"embedding": embedding}
    config = tiny_config(tmp_path, model=model)
    train, validation = load_splits(config)
    torch.manual_seed(0)
    model = build_model(config).eval()
    scored = []

    def recorded(features, labels, *others):
        scored.append(features)
        return validation_probe(features, labels, *others)

    monkeypatch.setattr("pc_crvae.training.callbacks.validation_probe", recorded)
    accuracy = ValidationProbe(config, train, validation)(model)
    expected = [
        model.vectors(
            torch.from_numpy(items.batch(range(len(items)), 32, "watched", config.seed))
        ).numpy()
        for items in (train, validation)
    ]
    (features,) = scored
    np.testing.assert_array_equal(features, expected[0])
    assert features.shape == (len(train), dimensions)
    assert accuracy == validation_probe(expected[0], train.labels, expected[1], validation.labels)
