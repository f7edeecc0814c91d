"""The picture of reconstructions that training writes every few epochs."""

import numpy as np
import torch
from PIL import Image

from helpers.tiny_runs import tiny_config
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import callbacks
from pc_crvae.training.build import build_model
from pc_crvae.training.callbacks import Reconstructions


def test_every_picture_has_the_name_of_its_item_below_it(tmp_path, monkeypatch):
    config = tiny_config(tmp_path)
    _, items = load_splits(config)
    torch.manual_seed(0)
    model = build_model(config).eval()
    drawn = []
    own = callbacks.sheet_pixels
    monkeypatch.setattr(
        callbacks, "sheet_pixels", lambda rows, **more: drawn.append(rows) or own(rows, **more)
    )
    run = Run(tmp_path / "run")
    run.pictures.mkdir(parents=True)
    run.config.write_text("")
    image = Reconstructions(config, run, items)(model, 3)
    ((given, made),) = drawn
    names = [tile.caption for tile in given]
    assert len(set(names)) == min(8, len(items))
    assert [tile.caption for tile in made] == names
    labels = [items.classes[items.labels[items.ids.index(name)]] for name in names]
    assert [tile.note for tile in given] == labels
    assert len(set(labels)) == min(8, len(set(items.labels.tolist())))  # one of each class first
    written = Image.open(run.pictures / "epoch-0003.png").convert("RGB")
    np.testing.assert_array_equal(np.asarray(written), image)
