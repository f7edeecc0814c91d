"""vmap, forward mode and exports of encoders and decoders are those of the models as they are."""

import io

import pytest
import torch
from torch import Tensor, nn

from helpers.kernel_choice import forced
from pc_crvae.errors import UserError
from pc_crvae.geometry import chamfer_distance, farthest_point_sampling
from pc_crvae.models.points.dgcnn import DGCNN
from pc_crvae.models.points.folding import FoldingDecoder
from pc_crvae.models.points.foldingnet import FoldingNetEncoder
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.points.octant_pointnet import OctantPointNet
from pc_crvae.models.points.pointnet import PointNet

MODES = ["auto", "reference"]  # of which the first has to step back
MODELS = {
    "pointnet": lambda: PointNet((5, 6)),
    "dgcnn": lambda: DGCNN((4, 5), 6, k=3),
    "foldingnet": lambda: FoldingNetEncoder(3, (4,), (5, 6)),
    "octant_pointnet": lambda: OctantPointNet((0.2, 0.4), (5, 6)),
    "octant_pointnet by region": lambda: OctantPointNet((0.2, 0.4), (5, 6), region_width=3),
    "frames about z": lambda: FrameAveraged(PointNet((5, 6)), "z"),
    "frames of all rotations": lambda: FrameAveraged(PointNet((5, 6)), "so3"),
    "folding": lambda: FoldingDecoder(3, "sphere", 7, (5, 4)),
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]().double().eval()


def inputs(name: str, *batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (*batch, 3) if name == "folding" else (*batch, 12, 3)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_vmap_gives_what_each_batch_gives(name, mode):
    model, given = made(name), inputs(name, 3, 2)
    with forced(mode):
        expected = torch.stack([model(part) for part in given])
        torch.testing.assert_close(torch.func.vmap(model)(given), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_forward_mode_is_the_transpose_of_the_backward_pass(name, mode):
    """Also where no gradient passes: neighbours, frames and octant means are constants to both."""
    model, given = made(name), inputs(name, 2)
    tangent = torch.randn(given.shape, dtype=given.dtype)
    with forced(mode):
        value, derivative = torch.func.jvp(model, (given,), (tangent,))
        leaf = given.clone().requires_grad_()
        output = model(leaf)
        weights = torch.randn(output.shape, dtype=output.dtype)
        (gradient,) = torch.autograd.grad((output * weights).sum(), leaf)
    torch.testing.assert_close(value, output)
    torch.testing.assert_close((derivative * weights).sum(), (gradient * tangent).sum())


@pytest.mark.parametrize("name", MODELS)
def test_the_hessian_of_torch_func_is_that_of_two_backward_passes(name):
    model, given = made(name), inputs(name, 1)

    def loss(x: Tensor) -> Tensor:
        return model(x).square().sum()

    expected = torch.autograd.functional.hessian(loss, given)
    torch.testing.assert_close(torch.func.hessian(loss)(given), expected)


@pytest.mark.parametrize("name", MODELS)
def test_an_export_takes_any_number_of_clouds_and_gives_the_same(name):
    model, given = made(name), inputs(name, 2)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (given,), dynamic_shapes=({0: batch},))
    more = inputs(name, 5)
    torch.testing.assert_close(program.module()(more), model(more))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_encoder_is_the_encoder():
    model, given = made("dgcnn"), inputs("dgcnn", 2)
    traced = torch.jit.trace(model, (given,))
    other = given.flip(1) + 1
    torch.testing.assert_close(traced(other), model(other))


def test_the_fast_kernels_alone_are_refused_in_a_sentence():
    model, given = made("dgcnn"), inputs("dgcnn", 3, 2)
    with forced("fast"), pytest.raises(UserError, match=r"cannot follow fast kernels: unset it"):
        torch.func.vmap(model)(given)


@pytest.mark.parametrize("name", ["pointnet", "dgcnn"])
def test_batch_norm_in_training_is_refused_in_a_sentence(name):
    model, given = made(name).train(), inputs(name, 2)
    with pytest.raises(NotImplementedError, match=r"call eval\(\) first"):
        torch.func.jvp(model, (given,), (given,))


def test_distances_and_choices_of_points_are_mapped_too():
    x, y = inputs("pointnet", 3, 2), inputs("pointnet", 3, 2).flip(2) + 1
    expected = torch.stack([chamfer_distance(a, b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(torch.func.vmap(chamfer_distance)(x, y), expected)
    chosen = torch.func.vmap(lambda points: farthest_point_sampling(points, 4))(x)
    assert torch.equal(chosen, torch.stack([farthest_point_sampling(part, 4) for part in x]))


@pytest.mark.parametrize("name", ["pointnet", "dgcnn", "foldingnet", "octant_pointnet"])
def test_an_encoder_in_onnx_gives_the_same_features(name):
    """Of every kind that ONNX can hold; README.md has the lines."""
    pytest.importorskip("onnx", reason="needs onnx: pip install pc-crvae[onnx]")
    pytest.importorskip("onnxscript", reason="needs onnxscript, by which torch exports to ONNX")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model, given = made(name).float(), inputs(name, 2).float()
    buffer = io.BytesIO()
    torch.onnx.export(model, (given,), input_names=["points"], dynamo=True).save(buffer)
    session = runtime.InferenceSession(buffer.getvalue())
    (found,) = session.run(None, {"points": given.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model(given), rtol=1e-4, atol=1e-5)
