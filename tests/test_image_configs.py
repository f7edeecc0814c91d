"""The configs of images that come along make the models they say."""

from pathlib import Path

import pytest
import torch

from pc_crvae.config import find_config, load_config
from pc_crvae.data import load_card
from pc_crvae.errors import UserError
from pc_crvae.experiment import build_model
from pc_crvae.resources import resource_folder

CONFIGS = [
    path
    for path in sorted(resource_folder("configs").glob("*.yaml"))
    if load_card(load_config(path).data.name).modality == "images"
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
