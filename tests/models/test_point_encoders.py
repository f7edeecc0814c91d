"""What every encoder of points offers an evaluator: features of points, pooled as it asks."""

import pytest
import torch

from pc_crvae.geometry import principal_frames
from pc_crvae.models.points import (
    DGCNN,
    FoldingNetEncoder,
    FrameAveraged,
    OctantPointNet,
    PointEncoder,
    PointNet,
)

POOLINGS = ("max", "mean", "max_mean")
ENCODERS = {
    "pointnet": lambda: PointNet((8, 16)),
    "pointnet without batch-norm": lambda: PointNet((8, 16), batch_norm=False),
    "dgcnn": lambda: DGCNN((8, 8), embedding=16, k=4),
    "dgcnn, both pools": lambda: DGCNN((8, 8), embedding=16, k=4, pooling="max_mean"),
    "foldingnet": lambda: FoldingNetEncoder(k=4, widths=(8,), graph_widths=(8, 16)),
    "octant_pointnet": lambda: OctantPointNet((1 / 8, 1 / 4), (8, 16)),
    "octant_pointnet in regions": lambda: OctantPointNet((1 / 8,), (8, 7), region_width=1),
    "pointnet over 2 frames": lambda: FrameAveraged(PointNet((8, 16)), "z"),
    "dgcnn over 4 frames": lambda: FrameAveraged(DGCNN((8, 8), embedding=16, k=4), "so3"),
}


def encoder_and_points(name):
    torch.manual_seed(0)
    encoder, points = ENCODERS[name](), torch.randn(3, 20, 3)
    with torch.no_grad():
        encoder(points)  # batch-norm statistics that are not those of initialisation
    return encoder.eval(), points


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_gives_its_features_of_points_pooled_its_own_way(name):
    encoder, points = encoder_and_points(name)
    own = "max_mean" if "both pools" in name else "max"
    assert isinstance(encoder, PointEncoder)
    pooled = encoder.pool(encoder.forward_features(points), own)
    assert pooled.shape == (3, encoder.out_features)
    torch.testing.assert_close(encoder(points), pooled)


@pytest.mark.parametrize("name", [name for name in ENCODERS if "frames" not in name])
def test_features_of_points_are_pooled_to_their_maximum_and_mean(name):
    encoder, points = encoder_and_points(name)
    features = encoder.forward_features(points)
    assert features.shape == (3, 20, 16)
    maximum, mean, both = (encoder.pool(features, pooling) for pooling in POOLINGS)
    for cloud in range(3):
        rows = features[cloud].unbind()
        torch.testing.assert_close(maximum[cloud], torch.stack(rows).amax(dim=0))
        torch.testing.assert_close(mean[cloud], sum(rows) / 20)
    torch.testing.assert_close(both, torch.cat([maximum, mean], dim=1), rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_cloud_is_pooled_as_if_it_were_alone(name, pooling):
    encoder, points = encoder_and_points(name)
    together = encoder.pool(encoder.forward_features(points), pooling)
    alone = [encoder.pool(encoder.forward_features(cloud[None]), pooling) for cloud in points]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_over_frames_the_mean_is_taken_of_what_each_frame_pools_to(pooling):
    averaged, points = encoder_and_points("pointnet over 2 frames")
    inner = averaged.encoder
    frames = principal_frames(points, "z")
    torch.testing.assert_close(
        averaged.pool(averaged.forward_features(points), pooling),
        torch.stack(
            [inner.pool(inner.forward_features(points @ frames[:, f]), pooling) for f in (0, 1)]
        ).mean(dim=0),
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_not_a_batch_of_clouds_has_no_features(name):
    with pytest.raises(ValueError, match="clouds"):
        ENCODERS[name]().forward_features(torch.zeros(5, 3))
