"""Training starts from the weights of a saved model, and parts that are frozen stay as they are."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from helpers.distributed_worker import CONTRAST
from helpers.tiny_runs import (
    IMAGE_RUNS,
    Killed,
    acting_after,
    assert_same_run,
    die,
    tiny_config,
    tiny_train,
)
from helpers.toy_models import clouds
from pc_crvae.config import load_config, with_absolute_paths
from pc_crvae.errors import UserError
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import recorded_sha256, write_export
from pc_crvae.models.vae import VAE
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import SavedModel, read_model
from pc_crvae.training.run import run_training

POOLED = {"embedding": "pooled", "head": {"normalize_features": True}}
STAYS_PUT = {"epochs": None, "steps": 1, "learning_rate": 1e-30, "weight_decay": 0.0}
FROZEN = {"parts": ["encoder"], "freeze": ["encoder"]}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run by contrast, whose decoder was not trained."""
    folder = tmp_path_factory.mktemp("source")
    tiny_train(tiny_config(folder, **CONTRAST, model=POOLED), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def decoding(tmp_path_factory):
    """A run that reconstructs."""
    folder = tmp_path_factory.mktemp("decoding")
    tiny_train(tiny_config(folder, model=POOLED), folder / "run")
    return folder / "run"


def starting(tmp_path, source, *, model=POOLED, **sections):
    init = {"from": str(source)} | sections.pop("init", {})
    return tiny_config(tmp_path, init=init, model=model, **sections)


def weights(folder, part=""):
    tensors = load_file(folder / "model.safetensors")
    return {name: tensor for name, tensor in tensors.items() if name.startswith(part)}


def same(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if torch.equal(one[name], other[name])]


@pytest.mark.parametrize("which", ["run", "checkpoint", "export"])
def test_every_weight_is_the_source_s_before_it_is_trained(tmp_path, decoding, which):
    place = decoding
    if which == "checkpoint":
        place = decoding / "checkpoints" / "best"
    elif which == "export":
        place = tmp_path / "export"
        read_model(decoding).save_pretrained(place)
    tiny_train(starting(tmp_path, place, training=STAYS_PUT), tmp_path / "run")
    parameters = {name for name, _ in read_model(decoding).named_parameters()}
    # A step without effect; the statistics of batch-norm move.
    assert parameters <= set(same(weights(tmp_path / "run"), weights(place)))


def test_of_a_source_that_did_not_decode_all_but_the_decoder_is_taken(tmp_path, source):
    tiny_train(starting(tmp_path, source, training=STAYS_PUT), tmp_path / "run")
    ours, theirs = weights(tmp_path / "run"), weights(source)
    parameters = {name for name, _ in read_model(source).named_parameters()}
    untrained = {name for name in parameters if name.startswith("decoder.")}
    assert parameters - untrained <= set(same(ours, theirs))
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["init"]
    assert recorded == {
        "weights_sha256": recorded_sha256(source),
        "parts": ["encoder", "head"],
        "frozen": [],
    }


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.5}, {"accumulation": 2}])
def test_a_frozen_encoder_embeds_to_the_same_bits_while_the_rest_learns(tmp_path, source, options):
    config = starting(
        tmp_path, source, init=FROZEN, training=options | {"epochs": 3, "weight_decay": 0.1}
    )
    tiny_train(config, tmp_path / "run")
    for place in (tmp_path / "run", tmp_path / "run" / "checkpoints" / "best"):
        ours, theirs = weights(place), weights(source)
        stayed = set(same(ours, theirs))
        assert {name for name in ours if name.startswith("encoder.")} <= stayed
        assert "decoder.coordinates.weight" not in stayed
        points = clouds(5, points=40)
        assert torch.equal(read_model(place).embed(points), read_model(source).embed(points))
    before, after = SavedModel.open(source).model, SavedModel.open(tmp_path / "run").model
    with pytest.raises(UserError, match="trained without decoding"):
        before.reconstruct(clouds(2))
    assert after.reconstruct(clouds(2)).shape == (2, 16, 3)
    saved = load_config(tmp_path / "run" / "config.yaml").init
    assert (saved.source, saved.parts, saved.freeze) == (str(source), ("encoder",), ("encoder",))


def test_frozen_parts_have_no_gradient_no_optimiser_state_and_count_no_batches(
    tmp_path, source, monkeypatch
):
    seen = []
    features = VAE.features

    def watched(model, x):
        found = features(model, x)
        seen.append((model.training, model.encoder.training, found.requires_grad))
        return found

    monkeypatch.setattr(VAE, "features", watched)
    config = starting(tmp_path, source, init=FROZEN)
    model = tiny_train(config, tmp_path / "run")
    trained = [state for state in seen if state[0]]
    assert trained
    assert set(trained) == {(True, False, False)}
    state = Run(tmp_path / "run").load_state()
    groups = state["optimizer"]["param_groups"]
    ours = sum(len(group["params"]) for group in groups)
    rest = [*model.head.parameters(), *model.decoder.parameters()]
    assert ours == len(rest) == len(state["optimizer"]["state"])
    tracked = "encoder.perceptrons.0.norm.num_batches_tracked"
    assert weights(tmp_path / "run")[tracked] == weights(source)[tracked]


def test_freezing_lasts_through_changes_of_mode(source):
    model = read_model(source)
    model.freeze(["encoder", "head"])
    for mode in (True, False, True):
        model.train(mode)
        assert {part.training for part in model.encoder.modules()} == {False}
        assert {part.training for part in model.head.modules()} == {False}
        assert model.decoder.training == mode
    assert sum(p.numel() for p in model.frozen_parameters()) == sum(
        p.numel() for part in (model.encoder, model.head) for p in part.parameters()
    )


@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}])
def test_a_run_resumes_to_the_same_bits_where_its_source_has_gone(tmp_path, source, options):
    origin = tmp_path / "origin"
    shutil.copytree(source, origin)
    training = {"epochs": 4} | options
    config = starting(
        tmp_path, origin, init=FROZEN, training=training, checkpoints={"every_minutes": None}
    )
    tiny_train(config, tmp_path / "whole")
    with acting_after(13, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "resumed")
    shutil.rmtree(origin)
    tiny_train(config, tmp_path / "resumed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")
    recorded = json.loads((tmp_path / "resumed" / "config.json").read_text())["data"]["init"]
    assert recorded["weights_sha256"] == recorded_sha256(source)


def test_a_relative_source_means_the_same_folder_from_anywhere(tmp_path, source, monkeypatch):
    monkeypatch.chdir(source.parent)
    config = with_absolute_paths(starting(tmp_path, source.name))
    assert config.init.source == str(source)
    gone = with_absolute_paths(starting(tmp_path, "gone"))  # as where a run is resumed
    assert gone.init.source == str(source.parent / "gone")


def test_images_start_from_a_model_of_images(tmp_path):
    training = IMAGE_RUNS["VAE of images"]["training"]
    sections = IMAGE_RUNS["VAE of images"] | {"training": training | {"epochs": 1}}
    tiny_train(tiny_config(tmp_path, **sections), tmp_path / "first")
    init = {"from": str(tmp_path / "first"), "freeze": ["encoder", "head"]}
    tiny_train(tiny_config(tmp_path, **sections, init=init), tmp_path / "second")
    ours, theirs = weights(tmp_path / "second"), weights(tmp_path / "first")
    stayed = set(same(ours, theirs))
    assert {name for name in ours if not name.startswith("decoder.")} <= stayed
    assert len(stayed) < len(ours)


@pytest.mark.slow
def test_an_nvae_starts_from_the_whole_of_one(tmp_path):
    training = IMAGE_RUNS["NVAE"]["training"] | {"epochs": 1}
    sections = IMAGE_RUNS["NVAE"] | {"training": training}
    tiny_train(tiny_config(tmp_path, **sections), tmp_path / "first")
    init = {"from": str(tmp_path / "first")}
    sections["training"] = sections["training"] | STAYS_PUT
    tiny_train(tiny_config(tmp_path, **sections, init=init), tmp_path / "second")
    parameters = {name for name, _ in read_model(tmp_path / "first").named_parameters()}
    ours, theirs = weights(tmp_path / "second"), weights(tmp_path / "first")
    for name in parameters:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6)


WIDER = {"encoder": {"name": "pointnet", "widths": [8, 24], "batch_norm": True}}
OTHER = {"encoder": {"name": "dgcnn", "widths": [8], "embedding": 16, "k": 4}}


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            {"model": POOLED | WIDER},
            r"another encoder: its model.encoder.widths is \[8, 16\],",
        ),
        ({"model": POOLED | OTHER}, "its model.encoder.name is pointnet, and this config's dgcnn"),
        ({"model": POOLED | {"latent_dim": 5}}, "another head: its model.latent_dim is 4, and"),
        ({"model": {"embedding": "pooled"}}, "head.normalize_features is True, and .* False"),
        ({"init": {"parts": ["decoder"]}}, "without decoding .*: leave decoder out of init.parts"),
        ({"init": {"freeze": ["decoder"]}}, "without decoding .*: leave decoder out of init.parts"),
        (
            {"objective": {"name": "autoencoder"}, "consistency": None},
            "a posterior of the kind gaussian, and this config's objective asks for code",
        ),
    ],
)
def test_what_is_of_another_architecture_is_refused(tmp_path, source, sections, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        tiny_train(starting(tmp_path, source, **sections), tmp_path / "run")
    assert str(caught.value).startswith(f"init.from: {source} ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_part_of_the_same_architecture_is_taken_where_others_differ(tmp_path, source):
    model = POOLED | {"latent_dim": 7, "head": {"initial_log_variance": -2.0}}
    config = starting(tmp_path, source, init=FROZEN, model=model)
    tiny_train(config, tmp_path / "run")
    ours, theirs = (weights(place, "encoder.") for place in (tmp_path / "run", source))
    assert len(same(ours, theirs)) == len(ours) > 0


def test_an_encoder_is_taken_into_frames_and_out_of_them(tmp_path, source):
    framed = starting(tmp_path, source, init=FROZEN, model=POOLED | {"frames": "z"})
    tiny_train(framed, tmp_path / "framed")
    within, theirs = weights(tmp_path / "framed", "encoder."), weights(source, "encoder.")
    renamed = {name.replace("encoder.encoder.", "encoder."): one for name, one in within.items()}
    assert len(same(renamed, theirs)) == len(theirs) > 0
    tiny_train(starting(tmp_path, tmp_path / "framed", init=FROZEN), tmp_path / "unframed")
    ours = weights(tmp_path / "unframed", "encoder.")
    assert len(same(ours, theirs)) == len(theirs)


def test_a_source_that_is_missing_damaged_or_of_another_kind_is_told_before_data_is_read(
    tmp_path, source
):
    def refusal(place):
        config = starting(tmp_path, place, data={"name": "modelnet10", "root": "nowhere"})
        with pytest.raises(UserError) as caught:
            run_training(config, tmp_path / "run")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "gone is not a folder" in refusal(tmp_path / "gone")
    damaged = tmp_path / "damaged"
    read_model(source).save_pretrained(damaged)
    content = bytearray((damaged / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "model.safetensors").write_bytes(content)
    assert "model.safetensors is damaged" in refusal(damaged)

    write_export(Descriptor("octants").eval(), tmp_path / "descriptor")
    with pytest.raises(UserError, match="holds a Descriptor, and this config trains a PointVAE"):
        tiny_train(starting(tmp_path, tmp_path / "descriptor"), tmp_path / "run")
