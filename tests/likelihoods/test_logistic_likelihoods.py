"""Discretised logistics are distributions over 256 levels, and those of the papers."""

import math

import pytest
import torch

from pc_crvae.likelihoods import (
    DiscretizedLogisticLikelihood,
    DiscretizedLogisticMixtureLikelihood,
)
from pc_crvae.likelihoods.logistic import mixture_parameters
from pc_crvae.randomness.draws import Draws, keyed_generator

ALL_LEVELS = torch.arange(256, dtype=torch.float64) / 255


def draws(count):
    return Draws(keyed_generator("logistic"), count)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mass(level, location, log_scale):
    """P(level) from the logistic's distribution function, at double precision, by definition."""
    x, scale = 2 * level / 255 - 1, math.exp(max(log_scale, -7.0))

    def below(value):
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, (value - location) / scale))))

    upper = 1.0 if level == 255 else below(x + 1 / 255)
    lower = 0.0 if level == 0 else below(x - 1 / 255)
    return upper - lower


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_scale", [-9.0, -6.0, -3.0, 0.0, 3.0])
@pytest.mark.parametrize("location", [-3.0, -1.0, 0.0, 0.3, 0.999, 5.0])
def test_the_probabilities_of_all_levels_sum_to_1(location, log_scale, dtype):
    parameters = torch.tensor([location, log_scale], dtype=dtype).reshape(1, 2, 1, 1)
    likelihood = DiscretizedLogisticLikelihood(parameters.expand(256, 2, 1, 1))
    total = likelihood.log_prob(ALL_LEVELS.to(dtype).reshape(256, 1, 1, 1)).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-4 if dtype == torch.float32 else 1e-10)


@pytest.mark.parametrize("log_scale", [-8.0, -4.0, 0.0])
@pytest.mark.parametrize("location", [-1.2, 0.1, 1.0])
def test_each_level_has_the_mass_within_half_a_step_and_the_outermost_the_tails(
    location, log_scale
):
    parameters = torch.tensor([location, log_scale], dtype=torch.float64).reshape(1, 2, 1, 1)
    for level in (0, 1, 100, 128, 140, 254, 255):
        expected = mass(level, location, log_scale)
        if expected < 1e-12:  # the difference above has lost its digits
            continue
        likelihood = DiscretizedLogisticLikelihood(parameters)
        found = likelihood.log_prob(ALL_LEVELS[level].reshape(1, 1, 1, 1)).exp().item()
        assert found == pytest.approx(expected, rel=1e-4)


def test_far_in_a_tail_the_log_probability_keeps_its_digits():
    # There P(level) = exp(-(x - m) / s) (exp(h / s) - exp(-h / s)), h half a step.
    parameters = torch.tensor([-1.0, -4.0]).reshape(1, 2, 1, 1)
    scale, half = math.exp(-4.0), 1 / 255
    found = DiscretizedLogisticLikelihood(parameters).log_prob(torch.full((1, 1, 1, 1), 204 / 255))
    expected = -1.6 / scale + math.log(2 * math.sinh(half / scale))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_channels_and_pixels_add_up():
    parameters, x = normal(2, 6, 2, 3), torch.randint(256, (2, 3, 2, 3)) / 255
    whole = DiscretizedLogisticLikelihood(parameters).log_prob(x)
    single = sum(
        DiscretizedLogisticLikelihood(parameters[:, [c, 3 + c], i : i + 1, j : j + 1]).log_prob(
            x[:, c : c + 1, i : i + 1, j : j + 1]
        )
        for c in range(3)
        for i in range(2)
        for j in range(3)
    )
    torch.testing.assert_close(whole, single)


def test_a_mixture_of_one_channel_sums_to_1_over_all_levels():
    parameters = normal(1, mixture_parameters(1, 4), 1, 1).expand(256, -1, 1, 1)
    likelihood = DiscretizedLogisticMixtureLikelihood(parameters, channels=1)
    total = likelihood.log_prob(ALL_LEVELS.reshape(256, 1, 1, 1)).exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-10)


def test_a_mixture_sums_to_1_over_the_levels_of_two_channels_that_hang_together():
    parameters = normal(1, mixture_parameters(2, 3), 1, 1)
    parameters[:, 3:9] *= 0.3
    first, second = torch.meshgrid(ALL_LEVELS, ALL_LEVELS, indexing="ij")
    x = torch.stack([first.flatten(), second.flatten()], dim=1)[:, :, None, None]
    likelihood = DiscretizedLogisticMixtureLikelihood(parameters.expand(len(x), -1, 1, 1), 2)
    assert float(likelihood.log_prob(x).exp().sum()) == pytest.approx(1, abs=1e-8)


def test_a_colour_mixture_is_the_sum_over_components_with_means_shifted_by_the_channels_before():
    components, parameters = 2, normal(1, mixture_parameters(3, 2), 1, 1)
    levels = [40, 130, 220]
    values = parameters.flatten().reshape(10, components).tolist()
    logits, location, log_scale, raw = values[0], values[1:4], values[4:7], values[7:10]
    red, green = (2 * level / 255 - 1 for level in levels[:2])
    total = 0.0
    for k in range(components):
        green_by_red, blue_by_red, blue_by_green = (math.tanh(raw[pair][k]) for pair in range(3))
        means = [
            location[0][k],
            location[1][k] + green_by_red * red,
            location[2][k] + blue_by_red * red + blue_by_green * green,
        ]
        weight = math.exp(logits[k]) / sum(map(math.exp, logits))
        total += weight * math.prod(
            mass(level, mean, log_scale[channel][k])
            for channel, (level, mean) in enumerate(zip(levels, means, strict=True))
        )
    x = torch.tensor(levels).double().reshape(1, 3, 1, 1) / 255
    found = DiscretizedLogisticMixtureLikelihood(parameters, 3).log_prob(x)
    assert found.item() == pytest.approx(math.log(total), rel=1e-6)


def test_a_mixture_of_one_component_without_coefficients_is_the_plain_logistic():
    plain, x = normal(3, 6, 4, 4), torch.randint(256, (3, 3, 4, 4)) / 255
    parameters = torch.cat([normal(3, 1, 4, 4), plain, torch.zeros(3, 3, 4, 4)], dim=1)
    mixture = DiscretizedLogisticMixtureLikelihood(parameters, 3)
    expected = DiscretizedLogisticLikelihood(plain)
    torch.testing.assert_close(mixture.log_prob(x), expected.log_prob(x))
    torch.testing.assert_close(mixture.mean, expected.mean)


def test_sampled_levels_come_as_often_as_their_probability_says():
    count = 40000
    parameters = torch.tensor([0.9, -2.0]).reshape(1, 2, 1, 1)
    likelihood = DiscretizedLogisticLikelihood(parameters.expand(count, 2, 1, 1))
    sampled = (255 * likelihood.sample(draws(count)).double()).flatten()
    assert torch.equal(sampled.round().float(), sampled.float())
    frequencies = torch.bincount(sampled.round().long(), minlength=256) / count
    expected = torch.tensor([mass(level, 0.9, -2.0) for level in range(256)])
    assert expected[255] > 0.2  # the tail of the outermost level is at stake
    torch.testing.assert_close(frequencies, expected, atol=0.01, rtol=0)


def test_sampled_colours_come_as_often_as_their_probability_says():
    # The two channels of a mixture whose components differ in both, and hang together.
    count, parameters = 40000, torch.zeros(1, mixture_parameters(2, 2), 1, 1)
    parameters[0, :, 0, 0] = torch.tensor([0.5, -0.5, -0.6, 0.6, 0.1, -0.1, -2, -2, -2, -2, 1, -1])
    likelihood = DiscretizedLogisticMixtureLikelihood(parameters.expand(count, -1, 1, 1), 2)
    sampled = likelihood.sample(draws(count)).squeeze((2, 3))
    cells = (sampled * 255 / 64).floor().long()  # 4 x 4 cells of 64 levels each
    frequencies = torch.bincount(4 * cells[:, 0] + cells[:, 1], minlength=16) / count

    first, second = torch.meshgrid(ALL_LEVELS, ALL_LEVELS, indexing="ij")
    x = torch.stack([first.flatten(), second.flatten()], dim=1)[:, :, None, None]
    every = DiscretizedLogisticMixtureLikelihood(parameters.double().expand(len(x), -1, 1, 1), 2)
    probability = every.log_prob(x).exp().reshape(4, 64, 4, 64).sum(dim=(1, 3)).flatten()
    torch.testing.assert_close(frequencies.double(), probability, atol=0.01, rtol=0)


def test_the_mean_is_the_weighted_centre_of_the_components():
    parameters = torch.zeros(1, 6, 1, 1)
    parameters[0, :2, 0, 0] = torch.tensor([math.log(3.0), 0.0])
    parameters[0, 2:4, 0, 0] = torch.tensor([-0.5, 7.0])  # 7 is cut to 1
    mixture = DiscretizedLogisticMixtureLikelihood(parameters, 1)
    assert mixture.mean.item() == pytest.approx((0.75 * -0.5 + 0.25 * 1 + 1) / 2)


@pytest.mark.parametrize(("channels", "components", "count"), [(1, 1, 3), (3, 10, 100), (2, 3, 18)])
def test_the_number_of_parameters(channels, components, count):
    assert mixture_parameters(channels, components) == count


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (2, 6)])
def test_parameters_that_do_not_pair_up_are_refused(shape):
    with pytest.raises(ValueError, match="means and log-scales"):
        DiscretizedLogisticLikelihood(torch.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "channels"), [((2, 11, 4, 4), 3), ((2, 10), 3), ((2, 4, 1, 1), 1)]
)
def test_parameters_that_fit_no_number_of_components_are_refused(shape, channels):
    with pytest.raises(ValueError, match="mixture"):
        DiscretizedLogisticMixtureLikelihood(torch.zeros(shape), channels)
