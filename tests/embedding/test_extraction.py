import numpy as np
import pytest
import torch

from helpers.toy_models import point_vae, with_encoder
from pc_crvae.embedding import extraction
from pc_crvae.embedding.extraction import batches_of_one_size, extract
from pc_crvae.models.vae import encode_parts

CLOUDS = np.random.default_rng(0).normal(size=(5, 16, 3)).astype(np.float32)
ALL = ("mean", "log_variance", "pooled")


def test_a_set_is_encoded_as_its_items_are_one_by_one():
    model = point_vae()
    together = extract(model, CLOUDS, ALL)
    in_parts = extract(model, (CLOUDS[:2], CLOUDS[2:]), ALL, at_once=1)
    posterior = model.eval().posterior(torch.from_numpy(CLOUDS))
    expected = {
        "mean": posterior.mean,
        "log_variance": posterior.log_variance,
        "pooled": model.features(torch.from_numpy(CLOUDS)),
    }
    for name in ALL:
        wanted = expected[name].detach().numpy()
        np.testing.assert_allclose(together[name], wanted, atol=1e-6)
        np.testing.assert_allclose(in_parts[name], wanted, atol=1e-6)


def test_clouds_of_ever_new_sizes_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(extraction, "MOST_WAITING", 1000)
    sizes = [*range(1, 200), *[300] * 10]
    taken = 0

    def clouds():
        nonlocal taken
        for size in sizes:
            taken += size
            yield np.full((size, 3), size, np.float32)

    places, given = [], 0
    for of_batch, batch in batches_of_one_size(clouds(), lambda points: 64):
        assert all(sizes[place] == batch.shape[1] for place in of_batch)
        assert taken - given <= 1000 + 300
        given += batch.shape[0] * batch.shape[1]
        places += of_batch
    assert sorted(places) == list(range(len(sizes)))


def test_what_is_not_asked_for_or_has_no_density_is_left_out():
    assert extract(point_vae(), CLOUDS, ("pooled",)).keys() == {"pooled"}
    auto_encoder = point_vae(posterior="code")
    assert extract(auto_encoder, CLOUDS, ALL).keys() == {"mean", "pooled"}


def test_the_model_is_in_evaluation_mode_for_the_while():
    model = with_encoder(name="pointnet", widths=[8, 16]).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = []
    parts = torch.from_numpy(CLOUDS).split(2)
    found = encode_parts(
        model, parts, lambda part: modes.append(model.training) or {"x": model.features(part)}
    )
    assert modes == [False] * 3
    assert model.training
    assert not found["x"].requires_grad
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_clouds_are_gathered_into_batches_of_one_size_each_cloud_once(at_once):
    rng = np.random.default_rng(1)
    clouds = [rng.normal(size=(count, 3)).astype(np.float32) for count in (4, 7, 4, 4, 7, 9)]
    seen = []
    for places, batch in batches_of_one_size(iter(clouds), lambda points: at_once):
        assert len(places) == len(batch) <= at_once
        for place, cloud in zip(places, batch, strict=True):
            np.testing.assert_array_equal(cloud, clouds[place])
        seen += places
    assert sorted(seen) == list(range(6))
