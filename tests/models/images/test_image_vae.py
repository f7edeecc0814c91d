"""The image model as a user holds it: images of one size in, latents and images out."""

import json

import numpy as np
import pytest
import torch

from helpers.crossing import crossed
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.errors import UserError
from pc_crvae.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    DiscretizedLogisticMixtureLikelihood,
    GaussianLikelihood,
)
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator

HALVES = {
    "mlp": {"name": "mlp", "widths": [8, 8]},
    "convolutional": {"name": "convolutional", "widths": [4, 6, 8]},
}
LIKELIHOODS = {
    "bernoulli": ({"name": "bernoulli"}, BernoulliLikelihood),
    "gaussian": ({"name": "gaussian", "standard_deviation": 0.2}, GaussianLikelihood),
    "learned gaussian": ({"name": "gaussian", "standard_deviation": None}, GaussianLikelihood),
    "logistic": ({"name": "discretized_logistic"}, DiscretizedLogisticLikelihood),
    "mixture": (
        {"name": "discretized_logistic_mixture", "components": 3},
        DiscretizedLogisticMixtureLikelihood,
    ),
}
GREY, COLOR = (1, 12, 12), (3, 12, 12)


def image_vae(
    shape=GREY, encoder="convolutional", decoder="mlp", likelihood="bernoulli", **options
):
    torch.manual_seed(options.pop("seed", 0))
    architecture = {
        "name": "image_vae",
        "encoder": HALVES[encoder],
        "latent_dim": 4,
        "decoder": HALVES[decoder],
        "likelihood": LIKELIHOODS[likelihood][0],
    }
    config = ImageModelConfig.model_validate_json(json.dumps(architecture))
    return ImageVAE(config, shape=shape, **options)


def images(count=3, shape=GREY, seed=0):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


COMBINATIONS = crossed([GREY, COLOR], list(HALVES), list(HALVES), list(LIKELIHOODS))


@pytest.mark.parametrize(("shape", "encoder", "decoder", "likelihood"), COMBINATIONS)
def test_any_encoder_goes_with_any_decoder_and_any_likelihood(shape, encoder, decoder, likelihood):
    model, x = image_vae(shape, encoder, decoder, likelihood), images(shape=shape)
    path = model.posterior(x).sample(Draws(keyed_generator("any"), 3))
    assert isinstance(model.likelihood(path), LIKELIHOODS[likelihood][1])
    evaluation = ELBO()(model, model.posterior(x), x, Draws(keyed_generator("any"), 3))
    assert evaluation.objective.shape == (3,)
    evaluation.objective.mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
    assert model.embed(x).shape == (3, 4)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(2).shape == (2, *shape)


def test_the_fixed_deviation_of_a_gaussian_is_the_configured_one():
    likelihood = image_vae(likelihood="gaussian").likelihood((torch.zeros(1, 4),))
    assert torch.exp(0.5 * likelihood.log_variance).item() == pytest.approx(0.2)


def test_a_learned_deviation_never_falls_below_half_a_level():
    model = image_vae(likelihood="learned gaussian")
    with torch.no_grad():
        model.decoder.pixels.bias.fill_(-1000.0)
    likelihood = model.likelihood((torch.zeros(1, 4),))
    assert torch.exp(0.5 * likelihood.log_variance).min().item() == pytest.approx(0.5 / 255)


def test_one_image_gives_one_latent_and_a_batch_a_batch():
    model, batch = image_vae(), images(5)
    latents = model.embed(batch)
    assert latents.shape == (5, 4)
    assert latents.dtype == torch.float32
    assert not latents.requires_grad
    for image, latent in zip(batch, latents, strict=True):
        torch.testing.assert_close(model.embed(image), latent)
        torch.testing.assert_close(model.embed(image[0]), latent)  # one channel: (H, W)
    assert model.reconstruct(batch[0]).shape == GREY
    assert model.reconstruct(batch[0, 0]).shape == GREY
    assert model.embed(batch[:1]).shape == (1, 4)


def test_the_embedding_is_the_posterior_mean_and_the_reconstruction_the_likelihood_s():
    model, x = image_vae().eval(), images(70)  # more than are encoded at once
    latents = model.posterior(x).mean
    torch.testing.assert_close(model.embed(x), latents.detach())
    expected = torch.sigmoid(model.decoder(latents)).detach()
    torch.testing.assert_close(model.reconstruct(x), expected)
    torch.testing.assert_close(model.decode(model.embed(x)), expected)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.numpy(),
        lambda x: x.double(),
        lambda x: x.double().numpy(),
        lambda x: x.clone().requires_grad_(),
        lambda x: x.numpy()[:, :, ::-1].copy()[:, :, ::-1],
        lambda x: x.contiguous(memory_format=torch.channels_last),
    ],
    ids=["numpy", "float64", "numpy float64", "requires grad", "negative strides", "strided"],
)
def test_any_kind_of_array_is_taken(convert):
    model, x = image_vae(), images()
    torch.testing.assert_close(model.embed(convert(x)), model.embed(x))


def test_bytes_are_levels_of_255():
    model = image_vae()
    levels = torch.randint(256, (3, *GREY), generator=torch.Generator().manual_seed(0)).byte()
    expected = model.embed(levels.float() / 255)
    torch.testing.assert_close(model.embed(levels), expected)
    torch.testing.assert_close(model.embed(levels.numpy()), expected)


@pytest.mark.parametrize("call", ["embed", "reconstruct"])
@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (torch.zeros(12, 13), r"must be \(1, 12, 12\) or \(B, 1, 12, 12\), not \(12, 13\)"),
        (torch.zeros(3, 12, 12), r"not \(3, 12, 12\)"),
        (torch.zeros(2, 3, 12, 12), r"not \(2, 3, 12, 12\)"),
        (torch.zeros(0, 1, 12, 12), r"not \(0, 1, 12, 12\)"),
        (torch.zeros(144), r"not \(144,\)"),
        (torch.zeros(1, 1, 1, 12, 12), r"not \(1, 1, 1, 12, 12\)"),
        (torch.full(GREY, float("nan")), "NaN or infinite"),
        (torch.full(GREY, float("inf")), "NaN or infinite"),
        (torch.full(GREY, 1.5), r"values from 1.5 to 1.5: scale them to \[0, 1\]"),
        (torch.full(GREY, -0.5), "values from -0.5"),
        (255 * torch.ones(GREY), "values from 255 to 255"),
        (torch.full(GREY, 200, dtype=torch.int64), "values from 200 to 200"),
    ],
)
def test_what_is_no_such_image_is_refused(call, x, problem):
    for given in (x, x.numpy()):
        with pytest.raises(ValueError, match=problem):
            getattr(image_vae(), call)(given)


def test_the_caller_s_images_are_left_alone():
    x = images()
    before = x.clone()
    image_vae().reconstruct(x)
    image_vae().embed(x.numpy())
    assert torch.equal(x, before)


def test_samples_are_fixed_by_their_seed_and_an_auto_encoder_has_none():
    model = image_vae()
    assert torch.equal(model.sample(3, seed=1), model.sample(3, seed=1))
    assert not torch.allclose(model.sample(3, seed=1), model.sample(3, seed=2))
    with pytest.raises(ValueError, match="no prior to sample from"):
        image_vae(posterior="code").sample(1)


def test_an_interpolation_goes_from_one_decoded_image_to_the_other():
    model, (start, end) = image_vae(), images(2)
    path = model.interpolate(start, end.numpy(), steps=5)
    assert path.shape == (5, *GREY)
    torch.testing.assert_close(path[0], model.reconstruct(start))
    torch.testing.assert_close(path[-1], model.reconstruct(end))


def test_the_model_is_left_as_it_was():
    model = image_vae(decoder="convolutional").train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.reconstruct(images())
    model.sample(2)
    assert all(part.training for part in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("posterior", ["gaussian", "code"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_saved_model_comes_back_bit_by_bit(tmp_path, likelihood, posterior):
    model = image_vae(COLOR, decoder="convolutional", likelihood=likelihood, posterior=posterior)
    model.train()
    model.posterior(images(8, COLOR))  # moves the batch-norm's running statistics
    model.data = {"name": "digits"}
    model.save_pretrained(tmp_path / "a")
    loaded = ImageVAE.from_pretrained(tmp_path / "a")
    x = images(4, COLOR)
    assert torch.equal(loaded.embed(x), model.embed(x))
    assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    assert loaded.architecture == model.architecture
    assert (loaded.posterior_kind, loaded.shape, loaded.data) == (posterior, COLOR, model.data)
    assert not loaded.training

    loaded.save_pretrained(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_a_saved_model_says_what_it_is(tmp_path):
    image_vae().save_pretrained(tmp_path)
    description = json.loads((tmp_path / "config.json").read_text())
    assert description["class"] == "ImageVAE"
    assert description["shape"] == [1, 12, 12]
    assert description["input"] == {"layout": "channels, height, width", "range": [0, 1]}


def test_a_model_of_clouds_is_not_one_of_images(tmp_path):
    image_vae().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="describes a ImageVAE, not a PointVAE"):
        PointVAE.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"shape": [1, 12]}, "shape"),
        ({"shape": [1, 0, 12]}, "shape"),
        ({"shape": [3, 12, 12]}, "holds the weights of another model"),
        ({"posterior": "uniform"}, "posterior should be 'gaussian' or 'code'"),
        ({"architecture": {"latent": 3}}, "latent is not a known key, did you mean latent_dim?"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, changes, sentence):
    image_vae().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    del values["sha256"]  # as who changes it by hand is told to
    path.write_text(json.dumps(values | changes))
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        ImageVAE.from_pretrained(tmp_path)


@pytest.mark.parametrize("encoder", HALVES)
def test_the_posterior_s_parameters_are_float32_under_autocast(encoder):
    model = image_vae(encoder=encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = model.posterior(images())
    assert q.mean.dtype == q.log_variance.dtype == torch.float32
    assert not torch.equal(q.mean, q.mean.bfloat16().float())


def test_a_few_steps_raise_the_elbo():
    model, x = image_vae(encoder="mlp"), (images(32) > 0.5).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    values = []
    for step in range(60):
        draws = Draws(keyed_generator("training", step), 32)
        value = ELBO()(model, model.posterior(x), x, draws).objective.mean()
        values.append(value.item())
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
    assert np.mean(values[-5:]) > np.mean(values[:5]) + 3
