import pytest
import torch
from torch import nn

from pc_crvae.geometry import chamfer_distance
from pc_crvae.models.points import (
    DGCNN,
    FoldingDecoder,
    FoldingNetEncoder,
    FullyConnectedDecoder,
    PointNet,
)

LATENT_DIM = 8

ENCODERS = {
    "pointnet": lambda: PointNet((16, 32)),
    "pointnet without batch-norm": lambda: PointNet((16, 32), batch_norm=False),
    "dgcnn": lambda: DGCNN((16, 16), embedding=32, k=6),
    "static dgcnn, both pools": lambda: DGCNN(
        (16, 16), embedding=32, k=6, pooling="max_mean", graph="static"
    ),
    "dgcnn without batch-norm": lambda: DGCNN((16, 16), embedding=32, k=6, batch_norm=False),
    "foldingnet": lambda: FoldingNetEncoder(6, (16, 16), (16, 32)),
    "foldingnet, xyz, batch-norm": lambda: FoldingNetEncoder(
        6, (16, 16), (16, 32), covariance=False, batch_norm=True
    ),
}
DECODERS = {
    "plane": lambda: FoldingDecoder(LATENT_DIM, "plane", points=24, widths=(16, 16)),
    "sphere": lambda: FoldingDecoder(LATENT_DIM, "sphere", points=24, widths=(16, 16)),
    "gaussian": lambda: FoldingDecoder(LATENT_DIM, "gaussian", points=24, widths=(16, 16)),
    "fully connected": lambda: FullyConnectedDecoder(LATENT_DIM, points=24, widths=(16, 16)),
}


@pytest.mark.parametrize("encoder_name", ENCODERS)
@pytest.mark.parametrize("decoder_name", DECODERS)
def test_every_encoder_trains_with_every_decoder(encoder_name, decoder_name):
    torch.manual_seed(0)
    encoder, decoder = ENCODERS[encoder_name](), DECODERS[decoder_name]()
    model = nn.Sequential(encoder, nn.Linear(encoder.out_features, LATENT_DIM), decoder)
    points = torch.randn(4, 20, 3)

    clouds = model(points)
    chamfer_distance(clouds, points).sum().backward()

    assert clouds.shape == (4, decoder.out_points, 3)
    assert clouds.isfinite().all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("encoder_name", ENCODERS)
def test_every_encoder_and_the_folding_decoder_run_under_autocast(encoder_name):
    torch.manual_seed(0)
    encoder, decoder = ENCODERS[encoder_name](), DECODERS["plane"]()
    model = nn.Sequential(encoder, nn.Linear(encoder.out_features, LATENT_DIM), decoder)
    points = torch.randn(4, 20, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        clouds = model(points)
    chamfer_distance(clouds, points).sum().backward()
    assert clouds.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
