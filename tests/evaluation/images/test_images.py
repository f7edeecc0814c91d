"""Evaluation of models of images, held against the model's own parts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pc_crvae.config import NVAEModelConfig
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.images import latents, likelihood
from pc_crvae.evaluation.images.consistency import consistency_kl
from pc_crvae.evaluation.images.observations import observe
from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.images.report import ImageReport, format_images
from pc_crvae.evaluation.images.run import NO_PRIOR, evaluate_images
from pc_crvae.evaluation.metrics import likelihood as estimates
from pc_crvae.latents.posteriors import DiagonalGaussian, gaussian_kl
from pc_crvae.latents.statistics import active_units, mutual_information
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms.images import Affine, ComposeImages, Flip

SHAPE = (1, 8, 8)
QUICK = ImageProtocol(samples=3, elbo_samples=2)
BERNOULLI = {"name": "bernoulli"}
GAUSSIAN = {"name": "gaussian", "standard_deviation": 0.2}
NOWHERE = Affine(0.0, 0.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def fixed_weights():
    torch.manual_seed(0)


def vae(likelihood, posterior="gaussian"):
    values = {
        "name": "image_vae",
        "encoder": {"name": "mlp", "widths": [8]},
        "latent_dim": 4,
        "decoder": {"name": "mlp", "widths": [8]},
        "likelihood": likelihood,
    }
    architecture = ImageModelConfig.model_validate_json(json.dumps(values))
    return ImageVAE(architecture, posterior=posterior, shape=SHAPE).eval()


def nvae(flows=0, away_from_the_start=False):
    values = {
        "name": "nvae",
        "initial_channels": 2,
        "groups_per_scale": [1, 1],
        "latent_channels": 1,
        "expansion": 1,
        "postprocess_expansion": 1,
        "flows": flows,
    }
    model = PretrainedNVAE(NVAEModelConfig.model_validate_json(json.dumps(values)), shape=SHAPE)
    if away_from_the_start:
        with torch.no_grad():
            # The means of the top group's posterior: the first of its two channels.
            model.top_down.groups[0].posterior.parametrizations.weight.original0[:1] *= 100
    return model.eval()


def image_set(split="test", count=12, classes=3, levels=256):
    """Noise whose brightness tells the class."""
    rng = np.random.default_rng(len(split))
    labels = np.arange(count) % classes
    dark = rng.integers(0, levels, (count, *SHAPE)) // (1 + labels)[:, None, None, None]
    return ImageSet(
        name="noise",
        split=split,
        labels=labels.astype(np.int64),
        classes=tuple("abcdef"[:classes]),
        ids=tuple(f"{split}/{number}" for number in range(count)),
        images=(dark * (255 // (levels - 1))).astype(np.uint8),
    )


TRAIN, TEST = image_set("train", 60), image_set()


def evaluated(model, protocol=QUICK, transform=NOWHERE, train=TRAIN, test=TEST):
    report, _ = evaluate_images(model, train, test, protocol, transform)
    return report


def test_the_figures_add_up_and_are_of_every_image():
    ticks = []
    protocol = ImageProtocol(samples=3)
    model = vae(BERNOULLI)
    report, observed = evaluate_images(
        model, TRAIN, TEST, protocol, NOWHERE, advance=lambda: ticks.append(1)
    )
    assert len(ticks) == protocol.steps(TEST) == 1
    assert report.elbo.mean == pytest.approx(-report.rate.mean - report.distortion.mean)
    assert sum(report.kl_per_dimension) == pytest.approx(report.rate.mean)
    assert report.mutual_information.rate == pytest.approx(report.rate.mean, rel=1e-5)
    assert report.mutual_information.log_n == pytest.approx(np.log(12))
    assert (report.nll.items, report.nll.samples) == (12, 3)
    assert report.nll.mean <= -report.elbo.mean + 1.0
    assert report.dimensions == 4
    assert report.nll.bits_per_dimension == pytest.approx(report.nll.mean / np.log(2) / 64)
    assert ((observed.pixels == 0) | (observed.pixels == 1)).all()
    # Drawn with the grey levels as probabilities.
    assert float(observed.pixels.mean()) == pytest.approx(float(observed.grey.mean()), abs=0.05)
    json.dumps(report.plain(), allow_nan=False)


def test_neither_latents_nor_means_of_many_images_are_held_at_once(monkeypatch):
    model = vae(GAUSSIAN)
    decoded, encoded = [], []
    model.decoder.register_forward_hook(lambda _, given, made: decoded.append(len(made)))
    whole = evaluated(model)
    assert max(decoded) == 12 * QUICK.samples
    means = model.encode(torch.from_numpy(TEST.batch(range(12))))
    assert whole.active_units == active_units(means)
    assert whole.dimensions == 4

    decoded.clear()
    model.encoder.register_forward_hook(lambda _, given, made: encoded.append(len(made)))
    monkeypatch.setattr(likelihood, "_NUMBERS_AT_ONCE", 1)
    monkeypatch.setattr(estimates, "ITEMS_AT_ONCE", 5)
    monkeypatch.setattr(latents, "IMAGES_AT_ONCE", 5)
    in_parts = evaluated(model, train=TRAIN.subset([0, 1]))
    assert max(decoded) == 12  # images whose likelihood is estimated between two ticks
    assert encoded.count(5) >= 2
    assert in_parts.active_units == whole.active_units
    assert in_parts.nll.mean == pytest.approx(whole.nll.mean, rel=1e-5)


def test_the_consistency_kl_is_that_of_the_two_posteriors():
    model = vae(GAUSSIAN)
    found = evaluated(model, transform=Flip("horizontal", probability=1.0)).consistency_kl
    x = torch.from_numpy(TEST.batch(range(12)))
    with torch.no_grad():
        expected = gaussian_kl(model.posterior(x.flip(3)), model.posterior(x)).sum(dim=1)
    assert found.mean == pytest.approx(float(expected.mean()), rel=1e-4)
    assert found.stderr == pytest.approx(float(expected.std()) / 12**0.5, rel=1e-4)
    assert found.per_group == pytest.approx([found.mean])
    assert evaluated(model).consistency_kl.mean == 0


def test_what_a_transform_leaves_is_binarised_anew():
    # The same grey image drawn twice is not the same observation.
    model = vae(BERNOULLI)
    report = evaluated(model, transform=ComposeImages([]))
    found = report.consistency_kl
    assert found.mean > 0
    # t changed nothing, so that the KL is its own floor; another t has the same one.
    assert found.floor.plain() == pytest.approx({"mean": found.mean, "stderr": found.stderr})
    turned = evaluated(model, transform=Flip("horizontal", probability=1.0))
    floor = turned.consistency_kl.floor
    assert turned.consistency_kl.mean > 1.05 * floor.mean
    assert floor.mean == pytest.approx(found.mean)
    assert "floor is the same KL where t changes nothing" in report.protocol.consistency_kl
    assert f"{floor.mean:.3f} ± {floor.stderr:.3f} of images left" in format_images(turned)


def test_where_nothing_is_drawn_an_image_left_as_it_is_has_no_kl():
    turned = evaluated(vae(GAUSSIAN), transform=Flip("horizontal", probability=1.0))
    assert turned.consistency_kl.floor.plain() == {"mean": 0.0, "stderr": 0.0}
    assert "floor" not in turned.protocol.consistency_kl
    assert "left as they are" not in format_images(turned)


def test_mutual_information_is_of_the_whole_split_however_many_are_evaluated():
    model = vae(BERNOULLI)
    part = evaluated(model, ImageProtocol(samples=1, items=5))
    assert part.nll.items == 5
    assert part.mutual_information == evaluated(model).mutual_information
    assert part.mutual_information.log_n == pytest.approx(np.log(12))
    assert part.mutual_information_top_group is None


def test_the_information_of_a_hierarchy_is_that_of_its_top_group():
    model = nvae(away_from_the_start=True)
    report = evaluated(model)
    found = report.mutual_information_top_group
    pixels = observe(model, TEST, QUICK).pixels
    with evaluating(model):
        posterior = model.posterior(pixels)
        top = posterior.conditionals(posterior.sample(Draws(keyed_generator("any"), 12)))[0]
    expected = mutual_information(top, DiagonalGaussian.standard(top.mean.shape[1], like=top.mean))
    assert found.rate == pytest.approx(report.kl_per_group[0], rel=1e-4)
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-3)
    assert found.estimate > 0.05
    assert "MI, top group alone" in format_images(report)


def test_behind_flows_no_information_is_given_and_the_note_says_why():
    report = evaluated(nvae(flows=1))
    assert report.mutual_information is report.mutual_information_top_group is None
    assert "behind a flow" in " ".join(report.notes)
    assert report.nll is not None


@pytest.mark.parametrize(("samples", "few"), [(9, True), (12, False)])
def test_an_nll_of_a_handful_of_effective_samples_is_marked(samples, few):
    model = vae(BERNOULLI)
    with torch.no_grad():  # q(z|x) = p(z) and p(x|z) = p(x): all samples weigh the same
        for parameter in model.parameters():
            parameter.zero_()
    report = evaluated(model, ImageProtocol(samples=samples, elbo_samples=1))
    assert report.nll.effective_sample_size.median == pytest.approx(samples)
    notes = [note for note in report.notes if "take more" in note]
    assert len(notes) == few
    if few:
        assert "are 9.0 of 9 in the median" in notes[0]


def test_the_device_is_in_the_protocol():
    assert evaluated(vae(GAUSSIAN)).protocol.device == "cpu"


@pytest.mark.parametrize(
    ("likelihood", "rounded"),
    [
        ({"name": "discretized_logistic"}, True),
        ({"name": "discretized_logistic_mixture", "components": 2}, True),
        (GAUSSIAN, False),
    ],
)
def test_what_a_transform_leaves_is_rounded_where_the_likelihood_is_of_levels(likelihood, rounded):
    model = vae(likelihood)
    turn = Affine(30.0, 0.0, 1.0, 1.0)
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    observed = observe(model, TEST, QUICK)
    found = consistency_kl(model, observed, turn, seed=0)
    original, transformed = seen
    levels = (255 * transformed).round() / 255
    assert torch.equal(transformed, levels) == rounded
    assert (transformed - original).abs().max() > 0.1
    assert found.transform == repr(turn)


def test_a_hierarchy_reports_its_groups():
    report = evaluated(nvae(), transform=ComposeImages([Flip(probability=1.0)]))
    assert len(report.kl_per_group) == len(report.consistency_kl.per_group) == 2
    assert sum(report.kl_per_group) == pytest.approx(report.rate.mean, rel=1e-5)
    assert sum(report.consistency_kl.per_group) == pytest.approx(
        report.consistency_kl.mean, rel=1e-5
    )
    assert report.mutual_information is None
    assert "no mutual information of all groups" in " ".join(report.notes)
    assert "rate by group" in format_images(report)


def test_an_auto_encoder_has_its_codes_evaluated_and_no_likelihood():
    report = evaluated(vae(GAUSSIAN, posterior="code"))
    for name in ("nll", "elbo", "rate", "consistency_kl", "mutual_information"):
        assert getattr(report, name) is None
    assert report.notes == (NO_PRIOR,)
    assert report.classifiers.keys() == {"linear_svm", "logistic_regression", "knn"}
    assert "NLL" not in format_images(report)


def test_bits_a_dimension_are_given_for_levels_only():
    of_density = evaluated(vae(GAUSSIAN))
    assert of_density.nll.bits_per_dimension is None
    assert "no bits per dimension" in of_density.notes[0]
    assert evaluated(vae({"name": "discretized_logistic"})).nll.bits_per_dimension > 0
    as_they_are = {"name": "bernoulli", "binarization": "none"}
    grey = evaluated(vae(as_they_are))
    assert grey.nll.bits_per_dimension is None
    assert "belong to no likelihood" in grey.notes[0]
    binary = evaluated(vae(as_they_are), test=image_set(classes=1, levels=2))
    assert binary.nll.bits_per_dimension > 0


def test_brightness_is_told_by_the_classifiers():
    found = evaluated(vae(GAUSSIAN)).classifiers
    for classifier in found.values():
        assert classifier.accuracy > 0.5  # of three classes
        assert (classifier.train_items, classifier.test_items) == (60, 12)
    few = evaluated(vae(GAUSSIAN), ImageProtocol(samples=1, train_items=30)).classifiers
    assert few["knn"].train_items == 30


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (image_set("train", 60, classes=2), "have different classes"),
        (TRAIN.subset(np.flatnonzero(TRAIN.labels != 2)), "which the split train has none"),
    ],
)
def test_classes_that_training_lacks_leave_the_classifiers_out(train, sentence):
    report = evaluated(vae(GAUSSIAN), train=train)
    assert report.classifiers is None
    assert sentence in report.notes[-1]
    assert report.nll is not None


def test_a_set_of_the_same_files_whose_splits_share_classes_is_named():
    report = evaluated(
        vae(GAUSSIAN),
        ImageProtocol(samples=1),
        train=replace(image_set("train", 60, classes=2), name="omniglot"),
        test=replace(TEST, name="omniglot"),
    )
    assert report.notes[-1].endswith(
        "cannot be scored on the other; take omniglot_background, whose splits have the same "
        "classes"
    )


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        (4, "the class b has 2 training items, fewer than the 3 folds"),
        (29, "29 training images leave 19 to fit on in a fold, fewer than the 20 neighbours"),
    ],
)
def test_too_few_training_images_leave_the_classifiers_out_and_nothing_else(items, sentence):
    report = evaluated(vae(GAUSSIAN), ImageProtocol(samples=1, train_items=items))
    assert report.classifiers is None
    assert f"no classifiers: {sentence}" in report.notes[-1]
    assert report.nll is not None


def test_training_images_drawn_of_one_class_leave_the_classifiers_out_and_nothing_else():
    labels = np.zeros(300, dtype=np.int64)
    labels[1:3] = 1, 2
    train = replace(image_set("train", 300), labels=labels)
    report = evaluated(vae(GAUSSIAN), ImageProtocol(samples=1, train_items=40), train=train)
    assert report.classifiers is None
    assert "no classifiers: all training items have the class a: " in report.notes[-1]
    assert report.nll is not None


@pytest.mark.parametrize(
    "make", [lambda: vae(BERNOULLI), lambda: vae(GAUSSIAN, posterior="code"), nvae]
)
def test_a_report_is_read_as_it_was_written(make, tmp_path):
    report = evaluated(make())
    report.write(tmp_path / "report.json")
    assert ImageReport.read(tmp_path / "report.json") == report


def test_a_seed_fixes_all_and_another_changes_all():
    model = vae(BERNOULLI)
    protocols = [ImageProtocol(samples=2, items=6, seed=seed) for seed in (0, 0, 1)]
    one, two, other = (
        evaluated(model, protocol, Affine(15.0, 0.05, 0.9, 1.1)) for protocol in protocols
    )
    assert one == two
    for name in ("nll", "distortion", "consistency_kl", "mutual_information"):
        assert getattr(one, name) != getattr(other, name)
    assert one.protocol.evaluated_items == one.nll.items == 6


def test_values_out_of_range_are_refused():
    for values, sentence in [
        ({"items": 1}, "items must be at least 2"),
        ({"train_items": 0}, "train_items must be at least 2"),
        ({"seed": -1}, "seed must be from 0 to 4294967295, not -1"),
        ({"seed": 2**32}, "seed must be from 0"),
    ]:
        with pytest.raises(UserError, match=sentence):
            ImageProtocol(**values)
    with pytest.raises(UserError, match="has 12 images, fewer than the 13"):
        ImageProtocol(items=13).count(TEST)


def test_weights_that_diverged_are_said():
    model = vae(GAUSSIAN)
    with torch.no_grad():
        next(model.decoder.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match="likelihood hold NaN"):
        evaluated(model)
