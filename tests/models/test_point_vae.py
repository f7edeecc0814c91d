"""The model as a user holds it: clouds in any position and size, answers in the same frame."""

import pytest
import torch

from helpers.toy_models import LATENT_DIM, clouds, point_vae
from pc_crvae.embedding.index import embed_clouds
from pc_crvae.latents.interpolation import interpolate_latents
from pc_crvae.models.vae import evaluating

ENCODERS = {
    "pointnet": {"name": "pointnet", "widths": [8, 16]},
    "dgcnn": {"name": "dgcnn", "widths": [8, 8], "embedding": 16, "k": 4},
    "foldingnet": {"name": "foldingnet", "k": 4, "widths": [8, 8], "graph_widths": [8, 16]},
}
CALLS = {
    "embed": lambda model, points: model.embed(points),
    "reconstruct": lambda model, points: model.reconstruct(points),
}


@pytest.fixture(scope="module")
def model():
    return point_vae()


def test_one_cloud_gives_one_latent_and_a_batch_a_batch(model):
    batch = clouds(5, 16)
    latents = model.embed(batch)
    assert latents.shape == (5, LATENT_DIM)
    assert latents.dtype == torch.float32
    assert not latents.requires_grad
    for cloud, latent in zip(batch, latents, strict=True):
        torch.testing.assert_close(model.embed(cloud), latent)
    assert model.reconstruct(batch).shape == (5, 12, 3)
    assert model.reconstruct(batch[0]).shape == (12, 3)
    assert model.embed(batch[:1]).shape == (1, LATENT_DIM)


def test_the_embedding_is_the_posterior_mean_of_the_normalised_cloud(model):
    points = clouds(2)
    centred = points - points.mean(dim=1, keepdim=True)
    normalised = centred / centred.norm(dim=2).amax(dim=1)[:, None, None]
    torch.testing.assert_close(model.embed(points), model.posterior(normalised).mean.detach())


def test_the_embedding_may_be_the_features_before_the_head():
    torch.manual_seed(0)
    model = point_vae(embedding="pooled").eval()
    batch = clouds(70, 16)  # more than are encoded at once
    prepared = batch - batch.mean(dim=1, keepdim=True)
    prepared = prepared / prepared.norm(dim=2).amax(dim=1)[:, None, None]
    vectors = model.embed(batch)
    assert vectors.shape == (70, model.vector_size) == (70, model.encoder.out_features)
    torch.testing.assert_close(vectors, model.features(prepared).detach())
    # What is decoded and interpolated are posterior means all the same.
    assert model.latents(batch).shape == (70, LATENT_DIM)
    path = model.interpolate(batch[0], batch[1], steps=3)
    torch.testing.assert_close(path[0], model.decode(model.latents(batch[0])[None])[0])
    found = dict(embed_clouds(model, prepared[:3].numpy()))
    torch.testing.assert_close(torch.from_numpy(found[2]), vectors[2])


@pytest.mark.parametrize(
    "convert",
    [
        lambda points: points.numpy(),
        lambda points: points.double(),
        lambda points: points.double().numpy(),
        lambda points: points.clone().requires_grad_(),
        lambda points: points.numpy().transpose(0, 2, 1).copy().transpose(0, 2, 1),
        lambda points: points.flip(1).numpy()[:, ::-1],
    ],
    ids=["numpy", "float64", "numpy float64", "requires grad", "strided", "negative strides"],
)
def test_any_kind_of_array_is_taken(model, convert):
    points = clouds(2)
    for call in CALLS.values():
        answer = call(model, convert(points))
        torch.testing.assert_close(answer, call(model, points))
        assert not answer.requires_grad


def test_whole_numbers_are_taken(model):
    points = (10 * clouds(1)[0]).round()
    torch.testing.assert_close(model.embed(points.long().numpy()), model.embed(points))


def test_the_caller_s_points_are_left_alone(model):
    for points in (clouds(2, dtype=torch.float64), clouds(2)):
        before = points.clone()
        model.embed(points)
        model.embed(points.numpy())
        assert torch.equal(points, before)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_position_size_and_order_of_the_points_do_not_matter(encoder):
    model, points = point_vae(encoder=ENCODERS[encoder]), clouds(3, 32, dtype=torch.float64)
    expected = model.embed(points)
    moved = 37 * points + torch.tensor([5.0, -900.0, 0.1])
    tiny = 1e-6 * points
    shuffled = points[:, torch.randperm(32, generator=torch.Generator().manual_seed(0))]
    for other in (moved, tiny, shuffled):
        torch.testing.assert_close(model.embed(other), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(expected[0], expected[1])


def test_a_reconstruction_lies_where_the_input_lies(model):
    points = clouds(2, dtype=torch.float64)
    moved = 20 * points + torch.tensor([100.0, -50.0, 3.0])
    expected = 20 * model.reconstruct(points).double() + torch.tensor([100.0, -50.0, 3.0])
    torch.testing.assert_close(model.reconstruct(moved).double(), expected, rtol=1e-5, atol=1e-3)

    centre = points.mean(dim=1, keepdim=True)
    radius = (points - centre).norm(dim=2).amax(dim=1)[:, None, None]
    decoded = model.decode(model.embed(points))
    torch.testing.assert_close(model.reconstruct(points), decoded.double() * radius + centre)


def test_more_clouds_than_are_encoded_at_once_are_all_encoded(model):
    points = clouds(130)
    latents = model.embed(points)
    assert latents.shape == (130, LATENT_DIM)
    for index in (0, 64, 129):
        torch.testing.assert_close(latents[index], model.embed(points[index]))
    assert model.decode(latents).shape == (130, 12, 3)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("points", "problem"),
    [
        (torch.zeros(4, 2), r"must be \(N, 3\) or \(B, N, 3\), not \(4, 2\)"),
        (torch.zeros(3), r"must be .*, not \(3,\)"),
        (torch.zeros(1, 1, 4, 3), r"must be .*, not \(1, 1, 4, 3\)"),
        (torch.zeros(0, 3), r"must be .*, not \(0, 3\)"),
        (torch.tensor([[0.0, 1, float("nan")], [1, 2, 3]]), "NaN or infinite"),
        (torch.tensor([[0.0, 1, float("inf")], [1, 2, 3]]), "NaN or infinite"),
        (torch.zeros(5, 3), "all coincide"),
        (torch.full((3, 3), 0.1, dtype=torch.float64), "all coincide"),
        (torch.ones(1, 3), "all coincide"),
        (torch.stack([clouds(1, 6)[0], torch.zeros(6, 3)]), "all coincide"),
    ],
)
def test_points_that_are_no_shape_are_refused(model, call, points, problem):
    for given in (points, points.numpy()):
        with pytest.raises(ValueError, match=problem):
            CALLS[call](model, given)


def test_samples_are_fixed_by_their_seed(model):
    first, second, other = model.sample(3, seed=1), model.sample(3, seed=1), model.sample(3, seed=2)
    assert first.shape == (3, 12, 3)
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert torch.equal(model.sample(3, seed=1), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_auto_encoder_has_no_samples():
    with pytest.raises(ValueError, match="no prior to sample from"):
        point_vae(posterior="code").sample(1)


@pytest.mark.parametrize("kind", ["spherical", "linear"])
def test_an_interpolation_goes_from_one_decoded_shape_to_the_other(model, kind):
    start, end = clouds(1, 16)[0], clouds(1, 20, seed=1)[0].numpy()
    path = model.interpolate(start, end, steps=5, kind=kind)
    assert path.shape == (5, 12, 3)
    torch.testing.assert_close(path[0], model.decode(model.embed(start)[None])[0])
    torch.testing.assert_close(path[-1], model.decode(model.embed(end)[None])[0])
    latents = interpolate_latents(model.embed(start), model.embed(end), 5, kind)
    assert torch.equal(path, model.decode(latents))


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.embed(clouds(4)),
        lambda model: model.reconstruct(clouds(4)),
        lambda model: model.sample(2),
        lambda model: model.interpolate(clouds(1)[0], clouds(1, seed=1)[0]),
    ],
    ids=["embed", "reconstruct", "sample", "interpolate"],
)
def test_the_model_is_left_as_it_was(call):
    model = point_vae(encoder={"name": "pointnet", "widths": [8, 16], "batch_norm": True})
    model.train()
    model.encoder.eval()
    modes = [part.training for part in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    call(model)
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_the_mode_is_restored_at_the_end_and_after_an_error():
    model = point_vae().train()
    with evaluating(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    with pytest.raises(ValueError, match="must have shape"), evaluating(model):
        model.posterior(torch.zeros(1, 4))
    assert model.training
    assert torch.is_grad_enabled()


def test_what_is_embedded_does_not_depend_on_its_batch_even_while_training():
    model = point_vae(encoder={"name": "pointnet", "widths": [8, 16], "batch_norm": True})
    model.train()
    points = clouds(4)
    torch.testing.assert_close(model.embed(points)[0], model.embed(points[:1])[0])


@pytest.mark.parametrize("posterior", ["gaussian", "code"])
def test_the_posterior_s_parameters_are_float32_under_autocast(posterior):
    model = point_vae(posterior=posterior, head={"widths": [8], "normalize_features": True})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inner = model.encoder.perceptrons[0](clouds())
        assert inner.dtype == torch.bfloat16  # autocast is at work
        q = model.posterior(clouds())
    assert all(parameter.dtype == torch.float32 for parameter in vars(q).values())
    # Computed in float32, not only stored: bfloat16 would leave the low bits empty.
    assert not torch.equal(q.mean, q.mean.bfloat16().float())


def test_log_variances_stay_within_their_bounds_whatever_the_features():
    model = point_vae()
    with torch.no_grad():
        model.head.log_variance.bias.fill_(1e6)
    q = model.posterior(clouds())
    assert (q.log_variance.abs() <= 12).all()
    assert q.kl(model.prior(), ()).isfinite().all()


def test_a_model_is_told_in_one_line():
    model = point_vae(encoder={"name": "pointnet", "widths": [8], "batch_norm": False})
    weights = sum(weight.numel() for weight in model.parameters())
    assert repr(model) == (
        f"PointVAE(encoder=pointnet, decoder=folding, latent_dim=4, parameters={weights:,})"
    )


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-3, 1e156, 1e300])
def test_shapes_of_any_size_are_embedded_alike(model, size):
    points = clouds(2, dtype=torch.float64)
    torch.testing.assert_close(model.embed(points * size), model.embed(points))
    rebuilt = model.reconstruct(points * size) / size
    torch.testing.assert_close(rebuilt, model.reconstruct(points), rtol=1e-6, atol=1e-6)


def test_a_position_far_from_the_origin_is_given_back(model):
    points, far = clouds(2, dtype=torch.float64), torch.tensor([431e3, 54e5, 1e2]).double()
    near, there = model.reconstruct(points), model.reconstruct(points + far)
    assert there.dtype == torch.float64
    torch.testing.assert_close(there - far, near, atol=1e-6, rtol=0)
