"""A descriptor embeds, is fitted to clouds alone, is saved and read back, and decodes nothing."""

import numpy as np
import pytest
import torch

from helpers.turned_clouds import clouds, turns
from pc_crvae.errors import UserError
from pc_crvae.geometry import principal_frames, rotate
from pc_crvae.models.descriptors import BasisPointSet, OctantStatistics
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import write_export
from pc_crvae.runs.saved import read_model

KINDS = {"octants": 1680, "bps": 1024, "bps+octants": 2704}


def fitted(kind, frames=None):
    descriptor = Descriptor(kind, frames=frames, points=40, data={"name": "shapes"}).double()
    descriptor.fit(torch.cat([clouds(seed) for seed in range(10, 14)]))
    return descriptor


@pytest.mark.parametrize("how", ["z", "so3"])
@pytest.mark.parametrize("kind", KINDS)
def test_turns_of_the_group_change_nothing_within_frames_and_much_without(kind, how):
    descriptor, points = fitted(kind, how), clouds(3)
    turned = rotate(points, turns(how, 3))
    torch.testing.assert_close(
        descriptor.encode(turned), descriptor.encode(points), atol=1e-5, rtol=0
    )
    without = fitted(kind)
    assert (without.encode(turned) - without.encode(points)).abs().max() > 1e-2


@pytest.mark.parametrize("how", [None, "z", "so3"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_its_parts_in_each_frame_both_with_the_same_weight(kind, how):
    training, points = torch.cat([clouds(seed) for seed in range(10, 14)]), clouds(0)
    parts = {"octants": OctantStatistics().double(), "bps": BasisPointSet().double()}

    def framed(x):
        return x.unsqueeze(1) if how is None else x.unsqueeze(1) @ principal_frames(x, how)

    parts["octants"].fit(framed(training).flatten(end_dim=1))

    def described(x):
        if kind != "bps+octants":
            return parts[kind](x)
        found = [parts["bps"](x), parts["octants"](x)]
        return torch.cat([features / features.norm(dim=1, keepdim=True) for features in found], 1)

    found = fitted(kind, how).encode(points)
    assert found.shape == (3, KINDS[kind])
    expected = torch.stack([described(x) for x in framed(points).unbind(dim=1)]).mean(dim=0)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_clouds_are_embedded_in_any_position_and_size_as_they_are_encoded_prepared(kind):
    descriptor = Descriptor(kind)
    points = clouds(1).numpy()
    vectors = descriptor.embed(points)
    assert vectors.shape == (3, KINDS[kind])
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(descriptor.embed(7 * points + 3), vectors, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(descriptor.embed(points[1]), vectors[1])
    centred = points - points.mean(axis=1, keepdims=True)
    prepared = centred / np.linalg.norm(centred, axis=2).max(axis=1)[:, None, None]
    encoded = descriptor.encode(torch.from_numpy(prepared.astype(np.float32)))
    torch.testing.assert_close(vectors, encoded)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (np.zeros((5, 2)), "points must be"),
        (np.full((5, 3), np.nan), "NaN or infinite"),
        (np.ones((5, 3)), "no shape to embed"),
    ],
)
def test_clouds_that_are_none_are_refused(points, sentence):
    with pytest.raises(ValueError, match=sentence):
        Descriptor("bps").embed(points)


@pytest.mark.parametrize("how", [None, "z", "so3"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_and_read_back_bit_by_bit(kind, how, tmp_path):
    descriptor = fitted(kind, how).float()
    write_export(descriptor, tmp_path)
    again = read_model(tmp_path)
    assert isinstance(again, Descriptor)
    assert again.description() == descriptor.description()
    assert again.state_dict().keys() == descriptor.state_dict().keys()
    for name, value in descriptor.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    points = clouds(2).float()
    assert torch.equal(again.encode(points), descriptor.encode(points))


def test_fitting_again_forgets_what_it_was_fitted_to_before():
    descriptor, training = fitted("bps+octants", "z"), clouds(5)
    descriptor.fit(training)
    other = Descriptor("bps+octants", frames="z").double()
    other.fit(training)
    assert torch.equal(descriptor.encode(clouds(0)), other.encode(clouds(0)))


def test_a_descriptor_fitted_to_one_cloud_gives_finite_features():
    descriptor = Descriptor("bps+octants").double()
    descriptor.fit(clouds(0)[:1])
    assert descriptor.encode(clouds(1)).isfinite().all()


def test_it_has_a_device_and_no_parameters():
    descriptor = Descriptor("bps+octants")
    assert not list(descriptor.parameters())
    assert descriptor.device == torch.device("cpu")
    assert repr(descriptor) == (
        "Descriptor(kind=bps+octants, frames=None, features=2704, parameters=0)"
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda descriptor: descriptor.likelihood((torch.zeros(1, 1680),)),
        lambda descriptor: descriptor.prior(),
        lambda descriptor: descriptor.reconstructions(clouds(0).float()),
    ],
)
def test_what_decodes_is_refused_in_a_sentence(ask):
    with pytest.raises(UserError, match="a descriptor encodes and does not decode"):
        ask(Descriptor("octants"))
