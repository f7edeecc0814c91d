"""Encoders and decoders of images, of every size the project trains on."""

import pytest
import torch
from torch import nn

from pc_crvae.models.images import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    MLPDecoder,
    MLPEncoder,
)

SIZES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 21, 30)]
SMALL = {"widths": (4, 5, 6)}
ENCODERS = [MLPEncoder, ConvolutionalEncoder]
DECODERS = [MLPDecoder, ConvolutionalDecoder]


def images(*shape, count=3):
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))


def latents(count=3, dimensions=7):
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_an_encoder_maps_images_to_the_features_it_promises(encoder, shape, batch_norm):
    made = encoder(shape, **SMALL, batch_norm=batch_norm)
    features = made(images(*shape))
    assert features.shape == (3, made.out_features)
    features.sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


@pytest.mark.parametrize("shape", [*SIZES, (100, 32, 32)], ids=str)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_decoder_maps_latents_to_parameters_of_every_pixel(decoder, shape, batch_norm):
    made = decoder(7, shape, **SMALL, batch_norm=batch_norm)
    parameters = made(latents())
    assert parameters.shape == (3, *shape)
    parameters.square().sum().backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


@pytest.mark.parametrize(
    ("shape", "features"), [((1, 28, 28), 1024), ((3, 32, 32), 4096), ((3, 64, 64), 16384)]
)
def test_the_published_convolutions_halve_four_times(shape, features):
    encoder = ConvolutionalEncoder(shape, (128, 256, 512, 1024))
    assert encoder.out_features == features
    weights = [part.weight for part in encoder.modules() if isinstance(part, nn.Conv2d)]
    assert [tuple(weight.shape[2:]) for weight in weights] == [(4, 4)] * 4
    decoder = ConvolutionalDecoder(8, shape, (1024, 512, 256, 128))
    mirrored = [part.weight for part in decoder.modules() if isinstance(part, nn.ConvTranspose2d)]
    assert [weight.shape[0] for weight in mirrored] == [1024, 512, 256, 128]
    assert decoder.perceptrons[0].linear.out_features == features


def test_the_convolutional_encoder_is_torch_s_own_layers_in_a_row():
    torch.manual_seed(0)
    encoder = ConvolutionalEncoder((2, 12, 12), (4, 5), batch_norm=True)
    layers = []
    for layer in encoder.layers:
        norm = nn.BatchNorm2d(layer.convolution.out_channels)
        layers += [layer.convolution, norm, nn.ReLU()]
    plain = nn.Sequential(*layers).double()
    encoder.double()
    for _ in range(2):  # training
        x = images(2, 12, 12).double()
        expected = plain(2 * x - 1).permute(0, 2, 3, 1).flatten(1)
        torch.testing.assert_close(encoder(x), expected)
    encoder.eval()
    plain.eval()
    expected = plain(2 * x - 1).permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(encoder(x), expected)


@pytest.mark.parametrize("half", [*ENCODERS, *DECODERS])
def test_an_item_depends_on_itself_alone_in_evaluation(half):
    is_encoder = half in ENCODERS
    made = (
        (half((1, 8, 8), **SMALL, batch_norm=True))
        if is_encoder
        else (half(7, (1, 8, 8), **SMALL, batch_norm=True))
    )
    x = images(1, 8, 8, count=5) if is_encoder else latents(5)
    made(x)
    made.eval()
    whole = made(x)
    torch.testing.assert_close(made(x[2:4]), whole[2:4])


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_last_layer_keeps_full_precision_under_autocast(decoder):
    made = decoder(7, (1, 8, 8), **SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parameters = made(latents())
    assert parameters.dtype == torch.float32
    assert not torch.equal(parameters, parameters.bfloat16().float())


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("shape", [(3, 1, 8, 9), (3, 3, 8, 8), (3, 8, 8), (1, 8, 8)])
def test_images_of_another_shape_are_refused(encoder, shape):
    with pytest.raises(ValueError, match=r"images must have shape \(B, 1, 8, 8\), got"):
        encoder((1, 8, 8), **SMALL)(torch.zeros(shape))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("shape", [(3, 6), (7,), (3, 7, 1)])
def test_latents_of_another_shape_are_refused(decoder, shape):
    with pytest.raises(ValueError, match=r"latent must have shape \(B, 7\), got"):
        decoder(7, (1, 8, 8), **SMALL)(torch.zeros(shape))


def test_more_layers_than_halvings_are_refused():
    with pytest.raises(ValueError, match="4 layers of stride 2 are too many for images of 8 x 8"):
        ConvolutionalEncoder((1, 8, 8), (4, 4, 4, 4))
    with pytest.raises(ValueError, match="4 layers of stride 2 are too many for images of 28 x 8"):
        ConvolutionalDecoder(7, (1, 28, 8), (4, 4, 4, 4))


@pytest.mark.parametrize("widths", [(), (4, 0), (-1,)])
def test_sizes_that_are_not_positive_are_refused(widths):
    for encoder in ENCODERS:
        with pytest.raises(ValueError, match="widths must be positive"):
            encoder((1, 8, 8), widths)
    for decoder in DECODERS:
        with pytest.raises(ValueError, match="widths must be positive"):
            decoder(7, (1, 8, 8), widths)
