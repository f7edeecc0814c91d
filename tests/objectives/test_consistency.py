"""The CR objective is the paper's, written out by hand; with lambda = 0 it is augmentation."""

import itertools

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from helpers.toy_models import LATENT_DIM, TwoGroups, clouds, image_vae, point_vae
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.objectives.base import AutoEncoding, Evaluation, Objective
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.divergences import KLDivergence
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms.points import Compose, Jitter, RotateZ, Subsample

TRANSFORM = Compose([RotateZ(180), Jitter(0.05)])
LAMBDA, BETA = 3.0, 0.7


def draws(count=3):
    return Draws(keyed_generator("consistency"), count)


def images(count=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 1, 4, 4, generator=generator, dtype=dtype)


def brighten(x, draws):
    return x + draws.uniform(1, 1, 1, low=0.1, high=0.5).to(x)


def images_and_model():
    return image_vae().double(), images(dtype=torch.float64), brighten


def clouds_and_model():
    return point_vae().double(), clouds(dtype=torch.float64), TRANSFORM


MODALITIES = {"clouds": clouds_and_model, "images": images_and_model}


def gradients(model, objective):
    """Gradients of the mean of the objective (B,) by parameter name."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(objective.mean(), parameters), strict=True))


def log_likelihood(model, latent, x):
    return model.make_likelihood(model.decoder(latent)).log_prob(x)


def posterior(model, x):
    features = model.encoder(x)
    log_variance = 12 * torch.tanh(model.head.log_variance(features) / 12)
    return Normal(model.head.mean(features), torch.exp(log_variance / 2))


def cr_by_hand(model, x, transform, *, target, direction, stop_gradient, dimensions, views="one"):
    """L(x) + L(x~) - lambda KL(q(z|x~) || q(z|x)), in the words of FACTS."""
    source = draws(len(x))
    moved = transform(x, source)
    original, x = x, x if views == "one" else transform(x, source)
    noise = source.normal(LATENT_DIM).to(x), source.normal(LATENT_DIM).to(x)
    prior = Normal(torch.zeros(LATENT_DIM).to(x), torch.ones(LATENT_DIM).to(x))
    q, q_moved = posterior(model, x), posterior(model, moved)

    explained = original if target == "original" else x
    elbo = log_likelihood(model, q.loc + q.scale * noise[0], explained)
    elbo = elbo - BETA * kl_divergence(q, prior).sum(1)
    explained = moved if target == "transformed" else original
    moved_elbo = log_likelihood(model, q_moved.loc + q_moved.scale * noise[1], explained)
    moved_elbo = moved_elbo - BETA * kl_divergence(q_moved, prior).sum(1)

    anchor = Normal(q.loc.detach(), q.scale.detach()) if stop_gradient else q
    kl = kl_divergence(q_moved, anchor), kl_divergence(anchor, q_moved)
    kl = {"transformed_first": kl[0], "original_first": kl[1], "both": sum(kl) / 2}[direction]
    if dimensions:
        kl = kl[:, dimensions[0] : dimensions[1]]
    return elbo + moved_elbo - LAMBDA * kl.sum(1), kl.sum(1)


NAMES = ("target", "direction", "stop_gradient", "dimensions", "views")
OPTIONS = [
    dict(zip(NAMES, values, strict=True))
    for values in itertools.product(
        ["transformed", "original"],
        ["transformed_first", "original_first", "both"],
        [False, True],
        [None, (1, 3)],
        ["one", "both"],
    )
]


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_values_and_gradients_are_those_written_out_by_hand(modality, options):
    model, x, transform = MODALITIES[modality]()
    of_pair = {name: options[name] for name in ("target", "views")}
    divergence = KLDivergence(**{name: options[name] for name in NAMES if name not in of_pair})
    objective = ConsistencyRegularized(
        model, ELBO(BETA), transform, weight=LAMBDA, divergence=divergence, **of_pair
    )
    terms = objective(x, draws())
    expected, kl = cr_by_hand(model, x, transform, **options)
    assert terms["objective"].shape == (3,)
    assert terms["objective"].dtype == torch.float64
    torch.testing.assert_close(terms["objective"], expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(terms["consistency"], kl, rtol=1e-9, atol=1e-12)
    wanted = gradients(model, expected)
    for name, gradient in gradients(model, terms["objective"]).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-9, atol=1e-10)


def test_the_paper_s_choices_are_the_defaults():
    model, x, transform = clouds_and_model()
    objective = ConsistencyRegularized(model, ELBO(BETA), transform, weight=LAMBDA)
    expected, _ = cr_by_hand(
        model,
        x,
        transform,
        target="transformed",
        direction="transformed_first",
        stop_gradient=False,
        dimensions=None,
    )
    torch.testing.assert_close(objective(x, draws())["objective"], expected)


def test_the_options_change_the_objective():
    # Otherwise the comparison by hand could not tell them apart.
    model, x, transform = clouds_and_model()
    values = {
        cr_by_hand(model, x, transform, **options)[0].sum().item()
        for options in OPTIONS
        if not options["stop_gradient"]
    }
    assert len(values) == 24


def augmented_by_hand(model, x, transform, target="transformed"):
    """VAE + augmentation: the sum of both ELBOs and nothing else."""
    source, elbo = draws(len(x)), ELBO(BETA)
    moved = transform(x, source)
    q, q_moved = model.posterior(x), model.posterior(moved)
    first = elbo(model, q, x, source)
    second = elbo(model, q_moved, moved if target == "transformed" else x, source)
    return first.objective + second.objective


@pytest.mark.parametrize("target", ["transformed", "original"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_lambda_zero_is_exactly_the_base_model_with_augmentation(modality, target):
    model, x, transform = MODALITIES[modality]()
    objective = ConsistencyRegularized(model, ELBO(BETA), transform, weight=0.0, target=target)
    terms = objective(x, draws())
    expected = augmented_by_hand(model, x, transform, target)
    assert torch.equal(terms["objective"], expected)
    wanted = gradients(model, expected)
    for name, gradient in gradients(model, terms["objective"]).items():
        assert torch.equal(gradient, wanted[name])


class LikelihoodOnly(Objective):
    """An objective that stays finite where the posteriors' KL does not."""

    def forward(self, model, posterior, target, draws, kl_warmup=1.0):
        path = posterior.sample(draws)
        value = model.likelihood((torch.tanh(path[0]),)).log_prob(target)
        return Evaluation(value, {}, path)


class FarApart(torch.nn.Module):
    """A model whose two posteriors are infinitely far apart: float32 overflows."""

    def __init__(self):
        super().__init__()
        self.vae = image_vae()

    def posterior(self, x):
        mean = self.vae.posterior(x).mean
        return DiagonalGaussian(1e25 * mean, 0 * mean)

    def likelihood(self, path):
        return self.vae.likelihood(path)

    def prior(self):
        return self.vae.prior()


@pytest.mark.parametrize(("weight", "warmup"), [(0.0, 1.0), (1.0, 0.0)])
def test_an_infinite_consistency_kl_is_reported_and_harmless_while_it_weighs_nothing(
    weight, warmup
):
    model, x = FarApart(), images()
    objective = ConsistencyRegularized(model, LikelihoodOnly(), brighten, weight=weight)
    terms = objective(x, draws(), consistency_warmup=warmup)
    assert terms["consistency"].isinf().all()
    assert terms["objective"].isfinite().all()
    terms["objective"].sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert parameter.grad.isfinite().all(), name


def test_with_lambda_zero_no_graph_is_kept_for_the_kl():
    model, x, transform = clouds_and_model()
    kept = {
        weight: ConsistencyRegularized(model, ELBO(), transform, weight=weight)(x, draws())
        for weight in (0.0, 1.0)
    }
    assert not kept[0.0]["consistency"].requires_grad
    assert kept[1.0]["consistency"].requires_grad
    assert torch.equal(kept[0.0]["consistency"], kept[1.0]["consistency"])


def test_the_warm_up_scales_lambda_and_not_what_is_reported():
    model, x, transform = clouds_and_model()
    objective = ConsistencyRegularized(model, ELBO(BETA), transform, weight=LAMBDA)
    base = augmented_by_hand(model, x, transform)
    for warmup in (0.0, 0.25, 1.0):
        terms = objective(x, draws(), consistency_warmup=warmup)
        torch.testing.assert_close(
            terms["objective"], base - warmup * LAMBDA * terms["consistency"]
        )


def test_the_kl_warm_up_acts_on_both_objectives():
    model, x, transform = clouds_and_model()
    objective = ConsistencyRegularized(model, ELBO(BETA), transform, weight=0.0)
    terms = objective(x, draws(), kl_warmup=0.5)
    torch.testing.assert_close(
        terms["objective"],
        terms["log_likelihood"]
        + terms["transformed/log_likelihood"]
        - 0.5 * BETA * (terms["kl"] + terms["transformed/kl"]),
    )


class RecordsPosteriors(torch.nn.Module):
    """Keeps the posteriors it hands out, so that a test can ask for their gradients."""

    def __init__(self, model):
        super().__init__()
        self.model, self.kept = model, []
        self.likelihood, self.prior = model.likelihood, model.prior

    def posterior(self, x):
        self.kept.append(self.model.posterior(x))
        return self.kept[-1]


@pytest.mark.parametrize("direction", ["transformed_first", "original_first"])
@pytest.mark.parametrize("stop_gradient", [False, True])
def test_the_kl_moves_both_posteriors_unless_the_original_s_is_stopped(direction, stop_gradient):
    model = RecordsPosteriors(point_vae())
    objective = ConsistencyRegularized(
        model,
        ELBO(),
        TRANSFORM,
        weight=1.0,
        divergence=KLDivergence(direction, stop_gradient),
    )
    kl = objective(clouds(), draws())["consistency"].sum()
    original, moved = model.kept
    for parameter in ("mean", "log_variance"):
        of_original, of_moved = torch.autograd.grad(
            kl,
            [getattr(original, parameter), getattr(moved, parameter)],
            retain_graph=True,
            allow_unused=True,
        )
        assert of_moved.any()
        assert of_original is None if stop_gradient else of_original.any()


def test_terms_are_per_sample_and_those_of_the_second_pass_are_named():
    terms = ConsistencyRegularized(point_vae(), ELBO(), TRANSFORM, weight=1.0)(clouds(), draws())
    names = {"log_likelihood", "kl", "kl_per_dimension"}
    assert set(terms) == {"objective", "consistency", *names, *(f"transformed/{n}" for n in names)}
    for name, term in terms.items():
        assert term.shape == ((3, LATENT_DIM) if name.endswith("per_dimension") else (3,))


def test_a_transform_may_change_the_number_of_points():
    objective = ConsistencyRegularized(point_vae(), ELBO(), Subsample(0.3, 0.5), weight=1.0)
    assert objective(clouds(), draws())["objective"].isfinite().all()


def test_two_passes_update_the_batch_norm_by_x_and_then_by_its_transform():
    x, model = images(8), image_vae(batch_norm=True)
    ConsistencyRegularized(model, ELBO(), brighten, weight=1.0)(x, draws(8))
    reference, moved = image_vae(batch_norm=True), brighten(x, draws(8))
    reference.encoder(x)
    reference.encoder(moved)
    torch.testing.assert_close(model.encoder[2].running_mean, reference.encoder[2].running_mean)
    joint = image_vae(batch_norm=True)
    joint.encoder(torch.cat([x, moved]))
    assert not torch.allclose(model.encoder[2].running_mean, joint.encoder[2].running_mean)


def test_an_auto_encoder_trains_with_augmentation_and_reports_no_kl():
    model = point_vae(posterior="code")
    terms = ConsistencyRegularized(model, AutoEncoding(), TRANSFORM, weight=0.0)(clouds(), draws())
    assert set(terms) == {"objective", "log_likelihood", "transformed/log_likelihood"}
    torch.testing.assert_close(
        terms["objective"], terms["log_likelihood"] + terms["transformed/log_likelihood"]
    )


def test_a_consistency_weight_on_an_auto_encoder_is_refused():
    with pytest.raises(ValueError, match="an auto-encoder has no posterior KL"):
        ConsistencyRegularized(point_vae(posterior="code"), AutoEncoding(), TRANSFORM, weight=1.0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"weight": -1.0}, "must not be negative"),
        ({"weight": 1.0, "target": "mean"}, "unknown target 'mean'"),
        ({"weight": 1.0, "views": "three"}, "unknown views 'three'"),
    ],
)
def test_a_wrong_option_is_refused(options, problem):
    with pytest.raises(ValueError, match=problem):
        ConsistencyRegularized(point_vae(), ELBO(), TRANSFORM, **options)


def test_an_unknown_direction_is_refused():
    with pytest.raises(ValueError, match="unknown direction 'neither'"):
        KLDivergence("neither")


class TwoGroupModel(torch.nn.Module):
    """Posteriors of two groups, the second conditioned on the first."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.vae = image_vae()
        self.mix = torch.randn(2, 2)
        self.kept = []

    def posterior(self, x):
        flat = self.vae.posterior(x)
        mean, log_variance = flat.mean, flat.log_variance
        first = DiagonalGaussian(mean[:, :2], log_variance[:, :2])
        chain = TwoGroups(first, mean[:, 2:], log_variance[:, 2:], self.mix, self.mix)
        self.kept.append(chain)
        return chain

    def likelihood(self, path):
        return self.vae.likelihood((torch.cat(path, dim=1),))

    def prior(self):
        zeros = torch.zeros(1, 2)
        first = DiagonalGaussian(zeros, zeros)
        return TwoGroups(first, zeros, zeros, 0 * self.mix, 0 * self.mix)


@pytest.mark.parametrize("direction", ["transformed_first", "original_first"])
def test_chains_are_compared_along_one_path_of_the_first_of_the_two(direction):
    model, x = TwoGroupModel(), images()
    terms = ConsistencyRegularized(
        model, ELBO(), brighten, weight=1.0, divergence=KLDivergence(direction)
    )(x, draws())
    original, moved = model.kept
    source = draws()
    brighten(x, source)
    original_path, moved_path = original.sample(source), moved.sample(source)
    if direction == "transformed_first":
        expected = moved.kl(original, moved_path)
    else:
        expected = original.kl(moved, original_path)
    torch.testing.assert_close(terms["consistency"], expected.sum(1))
    torch.testing.assert_close(terms["consistency/group 1 of 2"], expected[:, :2].sum(1))
    torch.testing.assert_close(terms["consistency/group 2 of 2"], expected[:, 2:].sum(1))
    assert terms["objective"].isfinite().all()


def test_a_stopped_posterior_gets_no_gradient_through_the_path_either():
    model = TwoGroupModel()
    objective = ConsistencyRegularized(
        model,
        ELBO(),
        brighten,
        weight=1.0,
        divergence=KLDivergence("original_first", stop_gradient=True),
    )
    kl = objective(images(), draws())["consistency"].sum()
    original, moved = model.kept
    of_original, of_moved = torch.autograd.grad(
        kl, [original.first.mean, moved.first.mean], allow_unused=True
    )
    assert of_original is None
    assert of_moved.any()
