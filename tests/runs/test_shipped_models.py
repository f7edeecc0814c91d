"""Models that come with the package are opened by their names."""

import shutil
from pathlib import Path

import pytest
import torch

import pc_crvae
from helpers.tiny_runs import write_card
from helpers.toy_models import clouds, point_vae
from pc_crvae.cli import main
from pc_crvae.config import InitConfig
from pc_crvae.errors import UserError
from pc_crvae.models.exports import write_export
from pc_crvae.runs.saved import SavedModel
from pc_crvae.training.initialization import Origin
from pc_crvae.utils import resources


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder that stands for the package's own, with one model; nothing is where one works."""
    folder = tmp_path / "package" / "shipped"
    model = point_vae()
    model.data = {"name": str(write_card(tmp_path)), "up": None}
    write_export(model, folder / "pretrained", half=True)
    monkeypatch.setattr(resources, "SHIPPED", folder)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def refusal(*arguments):
    with pytest.raises(UserError) as caught:
        pc_crvae.load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_is_loaded_by_its_name(shipped):
    points = clouds(3)
    expected = SavedModel.open(shipped / "pretrained").model.embed(points)
    assert torch.equal(pc_crvae.load("pretrained").embed(points), expected)
    index = pc_crvae.embed(points.numpy(), model="pretrained")
    torch.testing.assert_close(torch.from_numpy(index.vectors), expected)
    assert pc_crvae.search(index, "1", model="pretrained", top=1)[0].id == "1"


def test_a_path_that_exists_is_taken_with_a_note(shipped, capsys):
    other = point_vae(seed=1)
    write_export(other, Path("pretrained"))
    points = clouds(3)
    with pytest.warns(UserWarning, match="pretrained is taken as the path that exists"):
        loaded = pc_crvae.load("pretrained")
    assert torch.equal(loaded.embed(points), other.embed(points))
    card = str(write_card(Path()))
    assert main(["embed", "--ckpt", "pretrained", "--data", card, "--out", "a.npz"]) == 0
    assert "note: pretrained is taken as the path that exists" in capsys.readouterr().err


def test_without_such_a_path_there_is_no_note(shipped, recwarn, capsys):
    pc_crvae.load("pretrained")
    assert not [w for w in recwarn if "pretrained" in str(w.message)]
    assert SavedModel.open("pretrained").note is None


def test_an_unknown_name_is_answered_with_those_there_are(shipped):
    assert "export, or pretrained" in refusal("pretraned")
    assert "holds no best checkpoint: use the last" in refusal("pretrained", "best")


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "description"])
def test_a_damaged_one_is_answered_by_installing_again(shipped, damage):
    weights = shipped / "pretrained" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    weights.write_bytes(content[:-9] if damage == "cut" else content)
    if damage == "gone":
        weights.unlink()
    if damage == "description":
        (shipped / "pretrained" / "config.json").write_text("{")
    said = refusal("pretrained")
    assert said.startswith("the model pretrained, which comes with the package, is damaged (")
    assert said.endswith("by pip install --force-reinstall --no-deps pc-crvae")


def test_what_is_made_of_one_goes_to_a_folder_of_one_s_own(shipped, capsys):
    before = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    strip = ["--pairs", "1", "--steps", "2", "--renderer", "matplotlib"]
    assert main(["interpolate", "--ckpt", "pretrained", *strip]) == 0
    assert Path("reports/pretrained/interpolation/strip-1.png").is_file()
    assert main(["generation", "--ckpt", "pretrained", "--count", "4", "--points", "8"]) == 0
    assert Path("reports/pretrained/generation.json").is_file()
    assert main(["report", "--ckpt", "pretrained", "--items", "8"]) == 0
    page = Path("reports/pretrained/report.html").read_text()
    assert "pc-crvae probe --ckpt pretrained" in page
    after = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    assert after == before
    assert not Path("pretrained").exists()  # which would be taken for the model from then on


@pytest.mark.parametrize("made", [False, True], ids=["nothing", "another report"])
def test_compare_says_how_to_probe_one_that_was_not(shipped, capsys, made):
    if made:
        Path("reports/pretrained").mkdir(parents=True)
    assert main(["compare", "pretrained", "pretrained"]) == 2
    said = capsys.readouterr().err
    assert "pretrained was not probed in this working directory" in said
    assert "pc-crvae probe --ckpt pretrained --data CARD" in said


def test_training_starts_from_one_by_its_name(shipped):
    init = InitConfig.model_validate({"from": "pretrained"})
    points = clouds(2)
    started = Origin.read(init).model
    assert torch.equal(started.embed(points), pc_crvae.load("pretrained").embed(points))
    shutil.rmtree(shipped / "pretrained")
    with pytest.raises(UserError, match=r"init\.from: pretrained is not a folder"):
        Origin.read(init)
