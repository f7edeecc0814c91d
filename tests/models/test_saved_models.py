"""A saved model comes back bit by bit, and nothing else comes back in its place."""

import errno
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import pc_crvae
from helpers.fuzzing import bounds, flip_bits
from helpers.toy_models import clouds, point_vae
from pc_crvae.config import PointModelConfig
from pc_crvae.errors import UserError
from pc_crvae.models.points.vae import PointVAE

MODELS = {
    "pointnet, plane": {},
    "dgcnn, sphere": {
        "encoder": {"name": "dgcnn", "widths": [8, 8], "embedding": 16, "k": 4},
        "decoder": {"name": "folding", "source": "sphere", "points": 12, "widths": [8]},
    },
    "foldingnet, gaussian": {
        "encoder": {"name": "foldingnet", "k": 4, "widths": [8], "graph_widths": [16]},
        "decoder": {"name": "folding", "source": "gaussian", "points": 12, "widths": [8]},
    },
    "batch-norm, fully connected": {
        "encoder": {"name": "pointnet", "widths": [8, 16], "batch_norm": True},
        "head": {"normalize_features": True, "widths": [8], "batch_norm": True},
        "decoder": {"name": "fully_connected", "points": 12, "widths": [8]},
    },
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(folder, model_class=PointVAE):
    """The one sentence with which a folder is refused."""
    with pytest.raises(UserError) as caught:
        model_class.from_pretrained(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rewrite(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _pointnet(widths):
    return {"encoder": {"name": "pointnet", "widths": widths, "batch_norm": False}}


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "saved"
    point_vae().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("posterior", ["gaussian", "code"])
@pytest.mark.parametrize("kind", MODELS)
def test_a_saved_model_comes_back_bit_by_bit(tmp_path, kind, posterior):
    model = point_vae(posterior=posterior, **MODELS[kind])
    model.train()
    model.posterior(clouds(8))  # moves the batch-norm's running statistics
    model.data = {"name": "shapes", "up": None}
    model.save_pretrained(tmp_path / "a")
    loaded = PointVAE.from_pretrained(tmp_path / "a")

    points = clouds(4, seed=3)
    assert torch.equal(loaded.embed(points), model.embed(points))
    assert torch.equal(loaded.reconstruct(points), model.reconstruct(points))
    assert loaded.architecture == model.architecture
    assert (loaded.posterior_kind, loaded.points, loaded.data) == (posterior, 16, model.data)
    assert not loaded.training


def test_a_saved_model_is_loaded_by_the_package_s_own_function(saved):
    points = clouds(2)
    assert torch.equal(pc_crvae.load(saved).embed(points), point_vae().embed(points))
    assert torch.equal(pc_crvae.load(str(saved)).embed(points), point_vae().embed(points))


def test_saving_what_was_loaded_gives_the_same_files(saved, tmp_path):
    PointVAE.from_pretrained(str(saved)).save_pretrained(str(tmp_path / "again" / "saved"))
    assert contents(tmp_path / "again" / "saved") == contents(saved)


def test_a_saved_model_says_what_it_is(saved):
    description = json.loads((saved / "config.json").read_text())
    assert description["class"] == "PointVAE"
    assert description["format_version"] == 1
    assert description["input"] == {"up": "z", "normalization": "mean at 0, largest radius 1"}
    assert PointModelConfig.model_validate_json(json.dumps(description["architecture"]))
    assert set(contents(saved)) == {"config.json", "model.safetensors", "README.md"}
    assert set(load_file(saved / "model.safetensors")) == set(point_vae().state_dict())


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"latent_dim": 5}, r"decoder\..* is \(.*\), not \(.*\)"),
        (_pointnet([8, 8]), r"encoder\..* is \(8,\), not \(16,\)"),
        (_pointnet([8]), r"encoder\..* is missing, not \(16,\)"),
        (_pointnet([8, 16, 16]), r"encoder\..* is \(16,\), not part of it"),
    ],
)
def test_the_weights_of_another_model_are_refused(saved, tmp_path, other, difference):
    point_vae(**other).save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    assert "is damaged (it is not what config.json beside it was written with)" in refusal(saved)
    rewrite(saved, sha256={})  # as 0.1 wrote it
    message = refusal(saved)
    assert "holds the weights of another model" in message
    assert re.search(difference, message)


def test_an_auto_encoder_s_weights_are_not_a_vae_s(saved, tmp_path):
    point_vae(posterior="code").save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    rewrite(saved, sha256={})
    assert "log_variance" in refusal(saved)


@pytest.mark.parametrize("kept", [0, 5, 100, 0.5, -1])
def test_truncated_weights_are_refused(saved, kept):
    path = saved / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    assert f"{path} is damaged" in refusal(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_flipped_bit_is_refused_or_changes_nothing(saved, name):
    """A bit of white space, or one of a digest, say."""
    model = point_vae()
    expected = model.state_dict()

    def check_same(loaded):
        assert all(torch.equal(loaded.state_dict()[key], expected[key]) for key in expected)
        assert loaded.description() == model.description()

    refused = flip_bits(saved / name, lambda: PointVAE.from_pretrained(saved), check_same, count=60)
    assert refused > 40


def test_an_export_without_checksums_loads_as_before(saved):
    path = saved / "config.json"
    description = json.loads(path.read_text())
    assert set(description.pop("sha256")) == {"model.safetensors", "config.json"}
    path.write_text(json.dumps(description))
    points = clouds(2)
    assert torch.equal(PointVAE.from_pretrained(saved).embed(points), point_vae().embed(points))


def test_a_description_that_was_changed_says_how_to_have_it_so(saved):
    rewrite(saved, points=24)
    assert 'if you changed it yourself, remove its "sha256"' in refusal(saved)
    rewrite(saved, sha256={})
    assert PointVAE.from_pretrained(saved).points == 24


BOMBS = {
    "a latent of four billion": lambda said: said["architecture"].update(latent_dim=2**31 - 1),
    "a latent of more": lambda said: said["architecture"].update(latent_dim=2**62),
    "twenty thousand layers": lambda said: said["architecture"]["encoder"].update(
        widths=[8] * 20_000
    ),
    "a wide layer": lambda said: said["architecture"]["decoder"].update(widths=[2**31 - 1]),
    "points without end": lambda said: said["architecture"]["decoder"].update(points=2**60),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_description_takes_no_more_memory_than_the_weights_are_worth(saved, bomb):
    path = saved / "config.json"
    said = json.loads(path.read_text())
    del said["sha256"]
    BOMBS[bomb](said)
    path.write_text(json.dumps(said))
    with bounds():
        message = refusal(saved)
    assert str(path) in message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"class": ' + "9" * 5000 + "}"])
def test_a_description_that_no_parser_takes_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    assert "is damaged: it is not JSON" in refusal(saved)


def test_weights_that_are_no_safetensors_are_refused(saved):
    (saved / "model.safetensors").write_bytes(b"not tensors at all" * 100)
    assert "is damaged" in refusal(saved)


@pytest.mark.parametrize(
    "text", ["", "{", "\0", '{"class": "PointVAE"', '"PointVAE"', "[]", "null"]
)
def test_a_damaged_description_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    message = refusal(saved)
    assert str(saved / "config.json") in message
    assert "is damaged" in message or "unknown model" in message


def test_a_description_that_is_no_text_is_refused(saved):
    (saved / "config.json").write_bytes(b"\xff\xfe\x00")
    assert "is damaged" in refusal(saved)


@pytest.mark.parametrize("key", ["architecture", "posterior", "points", "data"])
def test_a_description_that_lacks_a_part_is_refused(saved, key):
    description = json.loads((saved / "config.json").read_text())
    del description[key]
    (saved / "config.json").write_text(json.dumps(description))
    assert refusal(saved) == f"{saved / 'config.json'}: {key} is missing"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"class": "ImageVAE"}, "describes a ImageVAE, not a PointVAE"),
        ({"format_version": 2}, "has format version 2, and this version of pc_crvae reads 1"),
        ({"format_version": None}, "has format version None"),
        ({"architecture": {"latent": 3}}, "latent is not a known key, did you mean latent_dim?"),
        ({"architecture": []}, "should hold keys with values"),
        ({"posterior": "uniform"}, "posterior should be 'gaussian' or 'code', not 'uniform'"),
        ({"points": "many"}, "points should be a valid integer, not 'many'"),
        ({"data": []}, "data should be"),
    ],
)
def test_a_description_of_something_else_is_refused(saved, changes, sentence):
    rewrite(saved, **changes)
    message = refusal(saved)
    assert message.startswith(str(saved / "config.json"))
    assert sentence in message


def test_another_class_is_refused(saved):
    class OtherVAE(PointVAE):
        pass

    assert "describes a PointVAE, not a OtherVAE" in refusal(saved, OtherVAE)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    message = refusal(saved)
    assert name in message
    assert str(saved) in message


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert f"{tmp_path / 'none'} is neither a folder nor a model" in refusal(tmp_path / "none")


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_on_a_full_disk_nothing_is_overwritten(saved, monkeypatch, suffix):
    before = contents(saved)
    write = Path.write_bytes

    def no_space(self, content):
        if self.suffix != suffix:
            return write(self, content)
        write(self, b"half of")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_space)
        with pytest.raises(UserError, match=r"could not write .*: No space left on device"):
            point_vae(seed=1).save_pretrained(saved)
    assert contents(saved) == before


def test_saving_over_a_model_replaces_it(saved):
    point_vae(seed=1).save_pretrained(saved)
    points = clouds()
    assert torch.equal(PointVAE.from_pretrained(saved).embed(points), point_vae(1).embed(points))


def test_saving_where_a_file_is_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="could not write"):
        point_vae().save_pretrained(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_the_caller_s_model_card_is_kept(saved):
    (saved / "README.md").write_text("my own words")
    point_vae().save_pretrained(saved)
    assert (saved / "README.md").read_text() == "my own words"


def test_half_precision_halves_the_matrices_and_comes_back_as_float32(tmp_path):
    model = point_vae(**MODELS["batch-norm, fully connected"])
    with torch.no_grad():
        model.encoder.perceptrons[0].norm.running_var.fill_(1e6)  # beyond float16
    model.save_pretrained(tmp_path / "full")
    model.save_pretrained(tmp_path / "half", half=True)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    matrices = {name for name, value in model.named_parameters() if value.ndim >= 2}
    assert {name for name, value in stored.items() if value.dtype == torch.float16} == matrices
    assert json.loads((tmp_path / "half" / "config.json").read_text())["matrices"] == "float16"
    loaded = PointVAE.from_pretrained(tmp_path / "half")
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    for name, value in model.state_dict().items():
        expected = value.half().float() if name in matrices else value
        assert torch.equal(loaded.state_dict()[name], expected)
    points = clouds(4)
    torch.testing.assert_close(loaded.embed(points), model.embed(points), rtol=5e-3, atol=5e-3)
    halves = sum(2 * model.get_parameter(name).numel() for name in matrices)
    sizes = [(tmp_path / kind / "model.safetensors").stat().st_size for kind in ("full", "half")]
    assert sizes[0] - sizes[1] == pytest.approx(halves, abs=64)  # the header says F16 for F32


def test_a_weight_beyond_half_precision_is_refused_and_nothing_is_written(saved, tmp_path):
    model = point_vae()
    with torch.no_grad():
        model.head.mean.weight[0, 0] = 1e5
    before = contents(saved)
    with pytest.raises(UserError, match=r"head\.mean\.weight holds a weight beyond 65,504"):
        model.save_pretrained(saved, half=True)
    assert contents(saved) == before


def test_a_flipped_bit_in_half_precision_is_found_out(tmp_path):
    point_vae().save_pretrained(tmp_path, half=True)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)
    assert "is damaged" in refusal(tmp_path)
