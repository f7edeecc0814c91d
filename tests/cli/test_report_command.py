"""``report`` as a user meets it: where the page goes, what it refuses, what it goes on without."""

import json
import shutil

import pytest

from helpers.refusals import refused
from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs on procedural shapes."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder), folder / "run")
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, to be spoilt."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_the_page_lies_in_the_run_or_where_it_is_told(run, tmp_path, capsys):
    before = sorted(path.name for path in run.iterdir())
    assert main(["report", "--ckpt", str(run), "--items", "9"]) == 0
    assert sorted(path.name for path in run.iterdir()) == sorted([*before, "report.html"])
    said = capsys.readouterr().out
    assert said.startswith(f"page: {run / 'report.html'} (open this first: ")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("<circle ") == 9
    for words in ("epochs trained", "KL to the prior by latent dimension", "config.yaml"):
        assert words in page
    elsewhere = tmp_path / "pages" / "one.html"
    assert main(["report", "--ckpt", str(run), "--items", "9", "--out", str(elsewhere)]) == 0
    assert elsewhere.read_bytes() == (run / "report.html").read_bytes()


def test_a_damaged_record_is_told_and_the_rest_is_written(run, capsys):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"split": "tr\xff\n')
    assert main(["report", "--ckpt", str(run), "--items", "1"]) == 0
    said = capsys.readouterr().out
    assert "metrics.jsonl, line" in said
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "is damaged" in page
    assert "<circle" not in page  # a single item makes no map
    assert "reconstructions</h3>" in page


def test_an_export_outside_its_run_has_no_curves(run, tmp_path, capsys):
    export = tmp_path / "export"
    export.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(run / name, export / name)
    assert main(["report", "--ckpt", str(export), "--items", "2"]) == 0
    page = (export / "report.html").read_text(encoding="utf-8")
    assert "an export outside its run" in page


def test_a_checkpoint_and_the_best_state_have_pages_of_their_own(run, capsys):
    (step, *_) = sorted((run / "checkpoints").glob("step-*"))
    assert main(["report", "--ckpt", str(step), "--items", "2"]) == 0
    assert "epochs trained" in (step / "report.html").read_text(encoding="utf-8")
    assert main(["report", "--ckpt", str(run), "--which", "best", "--items", "2"]) == 0
    assert "its best state" in (run / "report.html").read_text(encoding="utf-8")


def test_data_that_is_gone_is_told_and_data_that_was_named_must_be_there(run, capsys):
    card = run.parent / "gone.yaml"
    description = json.loads((run / "config.json").read_text())
    description["data"]["name"] = str(card)
    del description["sha256"]
    shutil.rmtree(run / "checkpoints")  # whose newest export would be taken
    (run / "config.json").write_text(json.dumps(description))
    assert main(["report", "--ckpt", str(run)]) == 0
    assert str(card) in capsys.readouterr().out
    assert "--data-root" in (run / "report.html").read_text(encoding="utf-8")
    assert str(card) in refused(capsys, "report", "--ckpt", run, "--data", card)
    assert "digits holds images" in refused(capsys, "report", "--ckpt", run, "--data", "digits")


def test_a_wrong_argument_is_refused_in_one_sentence(run, tmp_path, capsys):
    assert "is not a folder" in refused(capsys, "report", "--ckpt", tmp_path / "nowhere")
    assert "no saved model" in refused(capsys, "report", "--ckpt", tmp_path)
    assert "--items must be at least 1, not 0" in refused(
        capsys, "report", "--ckpt", run, "--items", "0"
    )
    assert "must be at most 1,000, not" in refused(
        capsys, "report", "--ckpt", run, "--items", "1001"
    )
    assert "must end in .html" in refused(
        capsys, "report", "--ckpt", run, "--out", tmp_path / "page.pdf"
    )
    (run / "report.html").mkdir()
    assert "report.html" in refused(capsys, "report", "--ckpt", run, "--items", "2")
    assert not list((run / "report.html").iterdir())
