import pytest
import torch

from pc_crvae.models.points.fully_connected import FullyConnectedDecoder


def test_it_is_a_plain_perceptron_whose_outputs_are_read_point_by_point():
    decoder = FullyConnectedDecoder(4, points=5, widths=(6, 7))
    latent = torch.randn(3, 4)
    hidden = latent
    for layer in decoder.perceptrons:
        hidden = torch.relu(hidden @ layer.linear.weight.T + layer.linear.bias)
    outputs = hidden @ decoder.coordinates.weight.T + decoder.coordinates.bias

    clouds = decoder(latent)

    assert clouds.shape == (3, 5, 3)
    assert decoder.out_points == 5
    torch.testing.assert_close(clouds[1, 2], outputs[1, 6:9])
    torch.testing.assert_close(clouds.flatten(1), outputs)


def test_the_hidden_layers_have_the_widths_asked_for():
    decoder = FullyConnectedDecoder(4, points=5, widths=(6, 7))
    assert [layer.linear.out_features for layer in decoder.perceptrons] == [6, 7]


def test_points_are_in_full_precision_under_autocast():
    decoder = FullyConnectedDecoder(4, points=5, widths=(6,))
    with torch.autocast("cpu", torch.bfloat16):
        points = decoder(torch.randn(2, 4))
    assert points.dtype == torch.float32
    assert not torch.equal(points, points.bfloat16().float())  # not rounded on the way


def test_latents_of_another_shape_are_refused():
    decoder = FullyConnectedDecoder(4, points=5, widths=(6,))
    for latent in (torch.zeros(2, 5), torch.zeros(4)):
        with pytest.raises(ValueError, match=r"latent must have shape \(B, 4\)"):
            decoder(latent)


@pytest.mark.parametrize("argument", [{"latent_dim": 0}, {"points": 0}, {"widths": (8, 0)}])
def test_sizes_must_be_positive(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"FullyConnectedDecoder: {name} must be positive"):
        FullyConnectedDecoder(**{"latent_dim": 8, **argument})
