"""Untrained models have the batch-norm statistics of the training split, and nothing else of it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.poison import PoisonedLabels
from helpers.solids import clouds
from helpers.toy_models import with_encoder
from pc_crvae.config import NVAEModelConfig
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation import encoders, untrained
from pc_crvae.evaluation.encoders import encoder_of, probe_model
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.untrained import calibrate, untrained_like
from pc_crvae.models.batch_norm import batch_norms_of
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.randomness.draws import Draws, keyed_generator

POINTS = 24
HEAD = {"normalize_features": True, "widths": [6], "batch_norm": True}
DGCNN = {"name": "dgcnn", "widths": [8, 8], "embedding": 16, "k": 4}


def point_model(head=None, frames=None, **encoder):
    architecture = with_encoder(**encoder).architecture.model_dump()
    architecture |= {"head": architecture["head"] | (head or {}), "frames": frames}
    described = PointVAE.Description.model_validate(
        {"architecture": architecture, "posterior": "gaussian", "points": 32, "data": {}},
        strict=False,
    )
    return PointVAE.from_description(described)


def image_model(**encoder):
    values = {"name": "image_vae", "encoder": encoder, "latent_dim": 4, "head": HEAD}
    architecture = ImageModelConfig.model_validate(values, strict=False)
    return ImageVAE(architecture, shape=(1, 8, 8))


def nvae():
    values = {
        "name": "nvae",
        "initial_channels": 4,
        "groups_per_scale": [1, 2],
        "latent_channels": 2,
        "expansion": 2,
    }
    return PretrainedNVAE(NVAEModelConfig.model_validate(values, strict=False), shape=(1, 8, 8))


MODELS = {
    "pointnet": lambda: point_model(name="pointnet", widths=[8, 16]),
    "pointnet and a head": lambda: point_model(HEAD, name="pointnet", widths=[8, 16]),
    "pointnet in frames": lambda: point_model(HEAD, "so3", name="pointnet", widths=[8, 16]),
    "dgcnn": lambda: point_model(pooling="max", **DGCNN),
    "dgcnn, both pools": lambda: point_model(HEAD, pooling="max_mean", **DGCNN),
    "octant pointnet": lambda: point_model(name="octant_pointnet", widths=[8, 16]),
    "a head alone": lambda: point_model(HEAD, name="pointnet", widths=[8], batch_norm=False),
    "convolutions": lambda: image_model(name="convolutional", widths=[4, 8]),
    "perceptrons": lambda: image_model(name="mlp", widths=[12], batch_norm=True),
    "nvae": nvae,
}


def pictures(split="train", count=36):
    rng = np.random.default_rng(len(split))
    return ImageSet(
        name="noise",
        split=split,
        images=rng.integers(256, size=(count, 1, 8, 8)).astype(np.uint8),
        labels=np.arange(count) % 2,
        classes=("even", "odd"),
        ids=tuple(f"{split}{row}" for row in range(count)),
    )


def training_set(model):
    return clouds("train") if isinstance(model, PointVAE) else pictures()


def points_of(model):
    return POINTS if isinstance(model, PointVAE) else None


def statistics(model):
    return [(norm.running_mean.clone(), norm.running_var.clone()) for norm in batch_norms_of(model)]


def one_training_pass(model, train, seed):
    """A copy whose statistics are those of one batch: of all items, in the order of their pass."""
    model = copy.deepcopy(model).train()
    for norm in batch_norms_of(model):
        norm.momentum = 1.0
    order = untrained.keyed_numpy_generator("calibration order", seed).permutation(len(train))
    items = train.batch(order, points_of(model) or 0, "probe", seed)
    draws = Draws(keyed_generator("calibration", seed, 0), len(train))
    with torch.no_grad():
        model.posterior(torch.from_numpy(items)).sample(draws)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_has_the_statistics_of_the_whole_split(name):
    model = MODELS[name]()
    train = training_set(model)
    new = untrained_like(model, 3, train, points=points_of(model))
    initial = untrained_like(model, 3, train, points=points_of(model), how="initial")
    expected = one_training_pass(initial, train, 3)
    moved = 0
    for found, right in zip(statistics(new), statistics(expected), strict=True):
        for ours, theirs in zip(found, right, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        moved += bool((found[0] != 0).any())
    read = [
        norm
        for part in (new.encoder, getattr(new, "head", None))
        if part is not None
        for norm in batch_norms_of(part)
    ]
    assert moved >= len(read) >= 1
    for ours, theirs in zip(new.parameters(), initial.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert {norm.training for norm in batch_norms_of(new)} == {new.training}
    assert all(norm.momentum is not None for norm in batch_norms_of(new))


def test_the_statistics_of_several_batches_are_near_those_of_one(monkeypatch):
    # Sorted by class, as splits are: batches in that order would each be normalised by their own.
    train = clouds("train", per_class=32)
    model = MODELS["pointnet and a head"]()
    at_once = {}
    for size in (16, 96):
        monkeypatch.setattr(untrained, "ENCODED_AT_ONCE", size)
        at_once[size] = untrained_like(model, 0, train, points=POINTS)
    first, whole = (statistics(at_once[size])[0] for size in (16, 96))
    torch.testing.assert_close(first[0], whole[0], rtol=1e-4, atol=1e-6)
    for found, right in zip(*map(statistics, (at_once[16], at_once[96])), strict=True):
        deviation = right[1].sqrt()
        assert ((found[0] - right[0]).abs() < 0.25 * deviation + 1e-3).all()
        assert ((found[1].sqrt() / deviation.clamp(min=1e-3)) < 1.3).all()


def test_fewer_features_are_constant_than_as_initialised():
    model = point_model(name="pointnet", widths=[64, 128])
    train = clouds("train")
    spread = {}
    for how in ("initial", "calibrated"):
        new = untrained_like(model, 0, train, points=POINTS, how=how)
        pooled = encoder_of(new)(train.batch(range(len(train)), POINTS, "probe", 0))["pooled"]
        spread[how] = int((pooled.std(axis=0) == 0).sum())
    assert spread["calibrated"] < spread["initial"]


def test_it_is_fixed_by_seed_and_data_and_touches_no_other_random_numbers():
    model, train = MODELS["pointnet and a head"](), clouds("train")
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    states = [
        untrained_like(model, seed, items, points=POINTS).state_dict()
        for seed, items in ((0, train), (0, train), (1, train), (0, clouds("train", seed=1)))
    ]
    assert torch.rand(1) == expected
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])
    for other in states[2:]:
        assert not torch.equal(states[0]["head.norm.running_mean"], other["head.norm.running_mean"])
    assert torch.equal(states[0]["head.mean.weight"], states[3]["head.mean.weight"])


def test_without_batch_norm_nothing_changes_and_nothing_is_read():
    model = point_model(name="pointnet", widths=[8], batch_norm=False)
    unread = object()
    new = untrained_like(model, 0, unread, points=POINTS)
    initial = untrained_like(model, 0, unread, points=POINTS, how="initial")
    for ours, theirs in zip(new.state_dict().values(), initial.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert untrained_like(MODELS["dgcnn"](), 0, unread, points=POINTS, how="initial")


def poisoned(items, allowed=lambda: False):
    items = items.subset(range(len(items)))
    object.__setattr__(items, "labels", PoisonedLabels(items.labels, allowed))
    return items


@pytest.mark.parametrize("name", ["pointnet", "convolutions"])
def test_no_label_is_read(name):
    model = MODELS[name]()
    train = training_set(model)
    expected = untrained_like(model, 0, train, points=points_of(model))
    found = untrained_like(model, 0, poisoned(train), points=points_of(model))
    for ours, theirs in zip(statistics(found), statistics(expected), strict=True):
        assert torch.equal(ours[0], theirs[0])


class Watched:
    """An array of items that may not be looked at while models are made."""

    def __init__(self, array, making):
        self.array, self.making = np.asarray(array), making
        self.shape, self.dtype = self.array.shape, self.array.dtype
        self.looks = 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        assert not self.making, "a test item was read to make an untrained encoder"
        self.looks += 1
        return self.array[index]


PROTOCOL = ProbeProtocol(
    points=POINTS, seeds=(0, 1), classifier=LinearSVM(c=(1e-1,)), settings=("aligned",)
)


def test_no_test_item_is_read_for_it(monkeypatch):
    making, made = [], []

    def watched_like(*arguments, **options):
        making.append(1)
        made.append(untrained_like(*arguments, **options))
        making.pop()
        return made[-1]

    monkeypatch.setattr(encoders, "untrained_like", watched_like)
    test = clouds("test")
    watched = Watched(test.points, making)
    object.__setattr__(test, "points", watched)
    protocol = PROTOCOL.model_copy(update={"near_copies": False})
    probe_model(MODELS["pointnet"](), clouds("train"), test, protocol)
    assert len(made) == 2
    assert watched.looks


def test_the_probe_calibrates_unless_told_otherwise_and_says_so():
    model, train, test = MODELS["pointnet"](), clouds("train"), clouds("test")
    initial = PROTOCOL.model_copy(update={"untrained": "initial"})
    reports = {
        "calibrated": probe_model(model, train, test, PROTOCOL).report,
        "initial": probe_model(model, train, test, PROTOCOL, untrained="initial").report,
        "by protocol": probe_model(model, train, test, initial).report,
    }
    assert reports["by protocol"] == reports["initial"]
    rows = {
        name: {row.features: row.accuracies for row in report.rows}
        for name, report in reports.items()
    }
    assert rows["calibrated"]["trained"] == rows["initial"]["trained"]
    assert rows["calibrated"]["untrained"] != rows["initial"]["untrained"]
    assert reports["calibrated"].protocol.untrained == "calibrated"
    plain = reports["initial"].plain()
    assert plain["protocol"]["untrained"] == "initial"
    del plain["protocol"]["untrained"]  # as reports were before there was a choice
    assert ProbeReport.model_validate(plain).protocol.untrained == "initial"


def test_it_means_nothing_for_a_descriptor():
    with pytest.raises(
        UserError, match=r"^--untrained initial is about .* never trained: omit it$"
    ):
        probe_model(
            Descriptor("bps"), clouds("train"), clouds("test"), PROTOCOL, untrained="initial"
        )


def test_an_unlabelled_split_calibrates():
    model = MODELS["pointnet"]()
    calibrate(model, replace(clouds("train"), labels=None), 0, points=POINTS)
    assert (statistics(model)[0][0] != 0).any()
