"""A mesh without a surface is refused by the function that samples it, in a sentence."""

import numpy as np
import pytest

from pc_crvae.data.surface_sampling import sample_surface

FLAT = np.zeros((2, 3, 3))
FLAT[:, 1, 0], FLAT[:, 2, 0] = 1.0, 2.0  # three corners in a line


@pytest.mark.parametrize(
    "mesh", [FLAT, np.zeros((0, 3, 3)), np.full((1, 3, 3), np.nan)], ids=["line", "empty", "nan"]
)
def test_a_mesh_of_no_area_has_no_surface_to_sample(mesh):
    with pytest.raises(ValueError, match=r"a mesh of \d triangles .* has no surface to sample"):
        sample_surface(mesh, 5, np.random.default_rng(0))


def test_a_degenerate_triangle_among_others_is_never_chosen():
    solid = np.array([[[0.0, 0, 5], [1, 0, 5], [0, 1, 5]]])
    points = sample_surface(np.concatenate([FLAT, solid]), 50, np.random.default_rng(0))
    np.testing.assert_allclose(points[:, 2], 5)
