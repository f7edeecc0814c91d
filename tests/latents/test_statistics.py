import numpy as np
import pytest
import torch

from pc_crvae.latents.statistics import ActiveUnits, active_units


def means_with_variances(variances, count=1000):
    signs = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None]
    return 5 + signs * np.sqrt(variances)


@pytest.mark.parametrize("wrap", [np.asarray, torch.as_tensor])
def test_units_whose_mean_varies_by_more_than_the_threshold_are_counted(wrap):
    means = wrap(means_with_variances([0.0, 0.0099, 0.0101, 1.0]))
    assert active_units(means) == 2


def test_the_variance_is_taken_over_the_data_and_not_over_the_units():
    assert active_units(torch.arange(6.0).expand(4, 6)) == 0


@pytest.mark.parametrize("cuts", [[], [1], [1, 2, 600], [999]])
def test_parts_of_any_size_count_as_the_whole(cuts):
    # Far from zero, and drifting: a part's own variance is not that of the whole.
    means = torch.as_tensor(means_with_variances([0.0, 0.0099, 0.0101, 1.0])) + 1e5
    means[:, 0] += torch.linspace(0, 0.36, 1000, dtype=torch.float64)  # variance 0.0108
    units = ActiveUnits()
    for part in torch.tensor_split(means, cuts):
        units.add(part)
    variances = means.var(dim=0, correction=0)
    assert units.dimensions == 4
    items, mean, squares = units.moments
    torch.testing.assert_close(mean, means.mean(dim=0))
    torch.testing.assert_close(squares / items, variances, rtol=1e-5, atol=1e-12)
    assert units.count() == active_units(means) == 3


def test_one_sample_has_no_variance():
    units = ActiveUnits()
    units.add(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="two items, and 1 were added"):
        units.count()
