import numpy as np
import pytest
import torch

from pc_crvae.latent_statistics import active_units


def means_with_variances(variances, count=1000):
    signs = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None]
    return 5 + signs * np.sqrt(variances)


@pytest.mark.parametrize("wrap", [np.asarray, torch.as_tensor])
def test_units_whose_mean_varies_by_more_than_the_threshold_are_counted(wrap):
    means = wrap(means_with_variances([0.0, 0.0099, 0.0101, 1.0]))
    assert active_units(means) == 2
    assert active_units(means, threshold=0.005) == 3


def test_the_variance_is_taken_over_the_data_and_not_over_the_units():
    assert active_units(torch.arange(6.0).expand(4, 6)) == 0


def test_one_sample_has_no_variance():
    with pytest.raises(ValueError, match="n >= 2"):
        active_units(torch.zeros(1, 3))
