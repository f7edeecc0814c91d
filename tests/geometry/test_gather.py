import pytest
import torch

from pc_crvae.geometry import gather_points


@pytest.mark.parametrize("index_shape", [(4,), (4, 3)])
def test_each_cloud_gives_its_own_points(index_shape):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 5, generator=generator)
    indices = torch.randint(6, (2, *index_shape), generator=generator)
    expected = torch.stack([features[b][indices[b]] for b in range(2)])
    assert torch.equal(gather_points(features, indices), expected)


def test_the_gradient_adds_up_over_repeated_indices():
    features = torch.zeros(1, 3, 2, requires_grad=True)
    gather_points(features, torch.tensor([[0, 2, 2, 2]])).sum().backward()
    assert features.grad[0, :, 0].tolist() == [1, 0, 3]


@pytest.mark.parametrize(
    ("features_shape", "indices_shape"), [((6, 5), (2, 4)), ((2, 6, 5), (4,)), ((2, 6, 5), (3, 4))]
)
def test_wrong_shapes_are_refused(features_shape, indices_shape):
    with pytest.raises(ValueError, match="gather_points takes"):
        gather_points(torch.zeros(features_shape), torch.zeros(indices_shape, dtype=torch.int64))
