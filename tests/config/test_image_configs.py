"""The configs of images that come along make the models they say."""

from pathlib import Path

import pytest
import torch

from pc_crvae.config import find_config, load_config
from pc_crvae.data import load_card
from pc_crvae.errors import UserError
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.training.build import build_model, build_training_objective
from pc_crvae.utils.resources import resource_folder

CONFIGS = [
    path
    for path in sorted(resource_folder("configs").glob("*.yaml"))
    if load_card(load_config(path).data.sets[0].name).modality == "images"
]
LARGE = {"cifar10-nvae", "celeba64"}


def test_all_nine_are_there():
    assert {path.stem for path in CONFIGS} == {
        *("digits", "mnist", "mnist-beta", "mnist-iwae", "mnist-nvae", "omniglot"),
        *("cifar10", "cifar10-nvae", "celeba64"),
    }


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in LARGE else [])
        for path in CONFIGS
    ],
)
def test_a_config_builds_its_model_for_the_images_of_its_card(path):
    config = load_config(find_config(path))
    image = load_card(config.data.name).image
    shape = (image.channels, image.height, image.width)
    with torch.device("meta"):
        model = build_model(config, shape)
    assert model.shape == shape
    for arm in (["consistency=null"], ["consistency.weight=0"]):
        load_config(path, arm)


@pytest.mark.parametrize("name", sorted(LARGE))
def test_the_representation_of_a_published_nvae_is_of_a_size_to_fit_classifiers_on(name):
    config = load_config(find_config(Path(name)))
    side = load_card(config.data.name).image.height // config.model.image_multiple
    groups = config.model.representation_groups
    assert groups <= config.model.groups_per_scale[0]  # all of one size
    assert groups * config.model.latent_channels * side**2 < 10_000
    assert config.logging.probe_every_epochs == 0


def test_a_hue_of_grey_images_is_refused_before_anything_starts():
    config = load_config(
        find_config(Path("mnist")), ['consistency.transforms=[{"name": "color_jitter"}]']
    )
    with pytest.raises(UserError, match=r"images of mnist: images of 1 channels have no hue"):
        build_model(config, (1, 28, 28))
    build_model(config, (3, 28, 28))


SMALL = {
    "cifar10": ["model.encoder.widths=[4, 4, 4]", "model.decoder.widths=[4, 4, 4]"],
    "cifar10-nvae": ["model.groups_per_scale=[2]"],
    "celeba64": ["model.groups_per_scale=[1, 1, 1]", "model.representation_groups=1"],
}
SMALL_NVAE = [
    *("model.initial_channels=4", "model.latent_channels=2", "model.expansion=2"),
    *(f"model.{part}_cells=1" for part in ("preprocess", "postprocess", "encoder", "decoder")),
]


@pytest.mark.parametrize("name", SMALL)
def test_the_experiments_for_gpus_train_small(name):
    overrides = SMALL[name] + (SMALL_NVAE if "nvae" in name or name == "celeba64" else [])
    config = load_config(find_config(Path(name)), [*overrides, "training.batch_size=4"])
    image = load_card(config.data.name).image
    torch.manual_seed(0)
    model = build_model(config, (image.channels, image.height, image.width))
    objective = build_training_objective(config, model)
    levels = torch.randint(256, (4, image.channels, image.height, image.width)) / 255
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    for step in range(2):
        terms = objective(levels, Draws(keyed_generator("step", step), 4), 0.5, 1.0)
        assert all(term.isfinite().all() for term in terms.values())
        optimizer.zero_grad()
        (-terms["objective"].mean()).backward()
        optimizer.step()
    assert terms["consistency"].shape == (4,)
    model.eval()
    assert model.embed(levels).shape[0] == 4
    again = model.reconstruct(levels)
    assert again.shape == levels.shape
    assert again.isfinite().all()
