"""``train`` as a user meets it: exit status, what is printed, what is left on disk."""

import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.tiny_hdf5 import write_hdf5
from helpers.tiny_runs import acting_after, read_metrics, tiny_values, write_card
from pc_crvae.cli import main
from pc_crvae.cli import train as command
from pc_crvae.config import load_config
from pc_crvae.data import load
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import run as training_run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, without data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PC_CRVAE_DATA", raising=False)


@pytest.fixture
def config(tmp_path):
    """A config file for two epochs in a second."""
    write_card(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(tiny_values(tmp_path)))
    return path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, *arguments):
    """The one sentence that ``train`` answers ``arguments`` with."""
    assert main(["train", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("error: ").strip()


def test_a_run_has_everything_in_its_folder(config, tmp_path, capsys):
    logging = {"tensorboard": True, "probe_every_epochs": 1, "pictures_every_epochs": 2}
    overrides = [f"logging.{name}={yaml.safe_dump(value)}" for name, value in logging.items()]

    assert main(["train", str(config), *overrides, "training.learning_rate=2e-3"]) == 0

    run = Run(tmp_path / "runs" / "small")
    resolved = yaml.safe_load(run.config.read_text())
    assert resolved["training"]["learning_rate"] == 2e-3
    assert resolved["checkpoints"]["keep"] == 2  # a default
    validation = [line for line in read_metrics(run.folder) if line["split"] == "validation"]
    assert all(0 <= line["probe_accuracy"] <= 1 for line in validation)
    assert [path.name for path in run.pictures.iterdir()] == ["epoch-0002.png"]
    events = EventAccumulator(str(run.events)).Reload().Tags()
    assert "reconstructions" in events["images"]
    assert "validation/kl_per_dimension" in events["histograms"]
    assert {"train/learning_rate", "train/consistency"} < set(events["scalars"])
    for folder in (run.folder, run.best, *run.states()):
        assert (folder / "model.safetensors").is_file()
        assert (folder / "config.json").is_file()
    said = capsys.readouterr().out
    assert said.count("epoch 2/2") == said.count("  kl: how far codes are from the prior") == 1
    assert re.search(
        r"reconstructions: .* lie \d+\.\d % of the shape's radius away.*\n"
        r"(warning: .*\n)?"
        r"trained: runs/small, 2 epochs of 40 items in \d+\.\d minutes; a linear classifier .*\n"
        r"model: runs/small \(.*\n"
        r"reconstructions: runs/small/pictures/epoch-0002.png \(open this first: .*\n"
        r"next, how good its vectors are on test shapes: pc-crvae probe --ckpt runs/small\n$",
        said,
    )


def test_a_set_without_labels_is_trained_on_without_the_probe_and_says_so(
    config, tmp_path, capsys, monkeypatch
):
    def without_labels(config):
        return [replace(clouds, labels=None) for clouds in load_splits(config)]

    monkeypatch.setattr(training_run, "load_splits", without_labels)
    overrides = ["training.epochs=1", "logging.probe_every_epochs=1"]
    assert main(["train", str(config), *overrides]) == 0
    said = capsys.readouterr().out
    assert "tiny has no labels: training goes on without the validation probe" in said
    (line,) = re.findall(r"^next, vectors of shapes: pc-crvae (.*)$", said, re.MULTILINE)
    assert "tools/" not in said
    assert main([*shlex.split(line), "--points", "32"]) == 0  # as it stands
    assert Path("embeddings.npz").is_file()
    lines = read_metrics(tmp_path / "runs" / "small")
    assert any(line["split"] == "validation" for line in lines)
    assert not any("probe_accuracy" in line for line in lines)


def test_the_folder_of_the_data_is_named_as_in_every_command(config, tmp_path, capsys):
    values = yaml.safe_load(config.read_text())
    values["data"] = {"name": "modelnet40", "points": 32}
    config.write_text(yaml.safe_dump(values))
    place = tmp_path / "elsewhere"
    assert f"not there (looked for {place})" in refused(capsys, config, "--data-root", place)
    # Of a mixture it is the one set that has files.
    assert f"not there (looked for {place})" in refused(capsys, "modelnet10", "--data-root", place)
    two = "data=[{name: modelnet10, share: 0.5}, {name: modelnet40, share: 0.5}]"
    assert "2 of the mixture have files" in refused(capsys, config, two, "--data-root", place)


def test_what_comes_next_is_what_the_labels_allow(config):
    known = load_splits(load_config(config))

    def labelled(labels):
        return tuple(replace(part, labels=labels(part)) for part in known)

    one_class = labelled(lambda part: np.zeros_like(part.labels))
    unlabelled = labelled(lambda part: None)
    few = labelled(lambda part: np.where(np.arange(len(part)) == 0, 1, 0))
    assert "pc-crvae probe --ckpt run" in command._next(Path("run"), "shapes", known)
    for items in (one_class, unlabelled, few):
        line = command._next(Path("run"), "shapes", items)
        assert "pc-crvae embed --ckpt run --data shapes --split test --out " in line
    assert "embed --ckpt run MY_MESHES --out" in command._next(Path("run"), None, known)
    digits = load("digits", "test")
    line = command._next(Path("run"), "digits", (digits, digits))
    assert "pc-crvae evaluate --ckpt run" in line


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epoch=3", "training.epoch is not a known key, did you mean epochs?"),
        ("trainig.epochs=3", "trainig is not a known key, did you mean training?"),
        ("training.epochs=many", "training.epochs should be a valid integer, not 'many'"),
        ("training.epochs=0", "training.epochs should be greater than or equal to 1, not 0"),
        ("data.validation_fraction=0.5", "data.validation_fraction should be less than 0.5"),
        ("model.encoder.name=pointnot", "model.encoder.name should be one of"),
        ("training.epochs", "must be written section.key=value"),
        ("training.accumulation=3", "batch_size 8 must be a multiple of training.accumulation 3"),
        ("data.name=shape", "no data set is called shape, did you mean shapes"),
        ("data.points=65", "tiny has 64 points a cloud, fewer than the 65 asked for"),
        ("training.batch_size=64", "40 items to train on, fewer than training.batch_size 64"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(config, tmp_path, capsys, override, sentence):
    assert sentence in refused(capsys, config, override)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("training: {epochs: 1, epochs: 2}", "the key 'epochs' is given twice"),
        ("training: [", "is not valid YAML"),
        ("- training", "must hold keys and values, not a list"),
    ],
)
def test_a_config_that_cannot_be_read_is_refused(tmp_path, capsys, text, sentence):
    (tmp_path / "broken.yaml").write_text(text)
    assert sentence in refused(capsys, "broken.yaml")


def test_a_missing_config_is_answered_with_the_nearest_there_is(capsys):
    sentence = refused(capsys, "configs/quikstart.yaml")
    assert "there is no config configs/quikstart.yaml: did you mean quickstart.yaml?" in sentence


def test_missing_data_is_answered_with_where_to_get_and_put_it(tmp_path, capsys):
    sentence = refused(capsys, "modelnet40", "--out", "run")
    assert re.search(r"https?://", sentence)
    assert "data.root" in sentence
    assert not (tmp_path / "run").exists()


def test_a_missing_data_root_is_named(tmp_path, capsys):
    assert str(tmp_path / "nowhere") in refused(
        capsys, "modelnet10-fast", f"data.root={tmp_path / 'nowhere'}"
    )


def test_data_at_a_relative_path_is_found_from_another_folder_too(config, tmp_path, monkeypatch):
    write_hdf5(tmp_path / "mine")
    data = ["data.name=modelnet10", "data.root=mine", "data.points=16"]
    sizes = ["data.validation_fraction=0.4", "training.batch_size=2", "training.epochs=1"]
    assert main(["train", str(config), *data, *sizes, "--out", "run"]) == 0
    recorded = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert recorded["data"]["root"] == str(tmp_path / "mine")

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["probe", "--ckpt", str(tmp_path / "run"), "--seeds", "1"]) == 0


def test_a_card_at_a_relative_path_is_found_from_another_folder_too(config, tmp_path, monkeypatch):
    arguments = ["data.name=tiny.yaml", "training.epochs=1", "--out", "run"]
    assert main(["train", str(config), *arguments]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["probe", "--ckpt", str(tmp_path / "run"), "--seeds", "1"]) == 0


def test_a_run_is_replaced_only_when_asked(config, tmp_path, capsys):
    arguments = ["train", str(config), "training.epochs=1", "--out", "run"]
    assert main(arguments) == 0
    before = contents(tmp_path / "run")
    capsys.readouterr()

    sentence = refused(capsys, *arguments[1:])
    assert "--resume" in sentence
    assert "--overwrite" in sentence
    assert contents(tmp_path / "run") == before
    assert "give one" in refused(capsys, *arguments[1:], "--resume", "--overwrite")
    assert contents(tmp_path / "run") == before

    assert main([*arguments, "seed=1", "--overwrite"]) == 0
    after = contents(tmp_path / "run")
    weights = tmp_path / "run" / "model.safetensors"
    assert after[weights] != before[weights]


@pytest.mark.parametrize("file", ["thesis.tex", "config.yaml"])
def test_a_folder_that_is_no_run_is_never_replaced(config, tmp_path, capsys, file):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / file).write_text("seed: 0")
    sentence = refused(capsys, config, "--out", "mine", "--overwrite")
    assert "mine is not the folder of a run" in sentence
    assert contents(tmp_path / "mine") == {tmp_path / "mine" / file: b"seed: 0"}


@pytest.mark.parametrize("out", ["file", "file/run", "/proc/run"])
def test_an_output_folder_that_cannot_be_made_is_refused(config, tmp_path, capsys, out):
    (tmp_path / "file").write_text("in the way")
    assert out in refused(capsys, config, "--out", out)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_changed_config_is_not_resumed(config, capsys):
    assert main(["train", str(config), "training.epochs=1", "--out", "run"]) == 0
    capsys.readouterr()
    sentence = refused(capsys, config, "training.epochs=2", "--out", "run", "--resume")
    assert "run was started with training.epochs = 1, not 2" in sentence


def test_nothing_to_resume_is_said(config, tmp_path, capsys):
    assert "no run to resume in run" in refused(capsys, config, "--out", "run", "--resume")
    assert not (tmp_path / "run").exists()


def test_a_damaged_state_is_refused(config, tmp_path, capsys):
    with acting_after(7, lambda: signal.raise_signal(signal.SIGTERM)), pytest.raises(SystemExit):
        main(["train", str(config), "--out", "run"])
    capsys.readouterr()
    (state,) = (tmp_path / "run").rglob("step-00000007/state.pt")
    state.write_bytes(state.read_bytes()[:-1000])
    assert "state.pt is damaged" in refused(capsys, config, "--out", "run", "--resume")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(config, capsys, number, status):
    with (
        acting_after(7, lambda: signal.raise_signal(number)),
        pytest.raises(SystemExit) as stopped,
    ):
        main(["train", str(config), "--out", "run"])
    assert stopped.value.code == status
    said = capsys.readouterr().err
    assert "stopped after step 7 of 10" in said
    assert "--resume" in said

    assert main(["train", str(config), "--out", "run", "--resume"]) == 0
    assert main(["train", str(config), "--out", "run", "--resume"]) == 0
    assert "trained already" in capsys.readouterr().out


def test_a_signal_from_outside_stops_the_script_with_its_state_saved(config, tmp_path):
    script = Path(__file__).parents[2] / "tools" / "train.py"
    command = [sys.executable, str(script), str(config), "training.epochs=100000", "--out", "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not Run(tmp_path / "run").states():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 143
    (step,) = re.findall(r"stopped after step (\d+) of", said.decode())
    assert Run(tmp_path / "run").load_state()["step"] == int(step)


def test_a_full_disk_is_one_sentence(config, tmp_path, capsys, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    with acting_after(3, lambda: monkeypatch.setattr(Path, "write_bytes", full)):
        assert main(["train", str(config), "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: could not write .*: No space left on device; .*\n", said)


def test_a_term_that_is_not_finite_is_one_sentence(config, capsys):
    overrides = ["training.learning_rate=1e30", "training.warmup_epochs=0"]
    assert main(["train", str(config), *overrides, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: the term \S+ became \S+ at step 2, so training stopped .*\n", said)
    assert Path("run/config.yaml").is_file()
