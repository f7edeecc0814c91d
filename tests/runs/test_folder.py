"""A run's folder: made, refused, cleared up after a kill, and found again."""

from pathlib import Path

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.config import load_config
from pc_crvae.errors import UserError
from pc_crvae.models.pretrained import EXPORT_FILES
from pc_crvae.runs.folder import Run, find_export, find_run_config


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path)


@pytest.fixture
def run(config, tmp_path):
    """A new run, with nothing saved yet."""
    run = Run(tmp_path / "run")
    run.create(config)
    return run


def write_files(folder, names=EXPORT_FILES, content="saved"):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(content)
    return folder


def test_a_new_run_holds_its_configuration_and_a_place_for_checkpoints(run, config):
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoints", "config.yaml"]
    assert load_config(run.config) == config


def test_nothing_is_made_before_it_is_created(tmp_path):
    run = Run(tmp_path / "run")
    assert not run.exists
    assert not run.folder.exists()


def test_an_empty_folder_is_free_for_a_run(tmp_path, config):
    (tmp_path / "run").mkdir()
    run = Run(tmp_path / "run")
    assert not run.exists
    run.create(config)
    assert run.exists


def test_a_run_that_is_there_stays_unless_it_is_to_be_overwritten(run, tmp_path):
    write_files(run.folder, ["metrics.jsonl"])
    changed = tiny_config(tmp_path, training={"epochs": 7})
    with pytest.raises(
        UserError, match=r"already exists: resume it, overwrite it, or choose another"
    ):
        run.create(changed)
    assert run.metrics.read_text() == "saved"

    run.create(changed, overwrite=True)
    assert not run.metrics.exists()
    assert load_config(run.config) == changed


def test_a_file_in_the_way_is_refused(tmp_path, config):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="already exists"):
        Run(tmp_path / "file").create(config)
    with pytest.raises(UserError, match="is not the folder of a run"):
        Run(tmp_path / "file").create(config, overwrite=True)
    with pytest.raises(UserError, match=r"cannot write to .*file/run: Not a directory"):
        Run(tmp_path / "file" / "run").create(config)
    assert (tmp_path / "file").read_text() == "in the way"


def test_only_where_data_lies_what_is_logged_and_when_states_are_saved_may_change(run, tmp_path):
    run.open(
        tiny_config(
            tmp_path,
            data={"root": "/elsewhere"},
            logging={"every_steps": 1},
            checkpoints={"keep": 5},
        )
    )
    with pytest.raises(UserError, match=r"started with training.epochs = 2, not 7"):
        run.open(tiny_config(tmp_path, training={"epochs": 7}))
    with pytest.raises(UserError, match=r"was started with consistency.weight = 1.0, not 0.5"):
        run.open(tiny_config(tmp_path, consistency={"weight": 0.5}))


def test_there_is_nothing_to_open_where_no_run_is(tmp_path, config):
    with pytest.raises(UserError, match="no run to resume"):
        Run(tmp_path / "run").open(config)


def test_opening_drops_a_state_that_a_kill_left_half_written(run, config):
    whole = write_files(run.checkpoints / "step-00000005", ["state.pt", *EXPORT_FILES])
    half = write_files(run.checkpoints / ".step-00000010-0a1b2c3d", ["state.pt"])
    run.open(config)
    assert not half.exists()
    assert run.states() == [whole]


def test_opening_restores_the_best_export_that_a_kill_left_aside(run, config):
    aside = write_files(run.checkpoints / ".best-0a1b2c3d", content="the best")
    run.open(config)
    assert not aside.exists()
    assert find_export(run.folder, "best") == run.best
    assert (run.best / EXPORT_FILES[0]).read_text() == "the best"


def test_opening_keeps_the_best_export_that_is_in_place(run, config):
    write_files(run.best, content="the best")
    aside = write_files(run.checkpoints / ".best-0a1b2c3d", content="left aside")
    run.open(config)
    assert not aside.exists()
    assert (run.best / EXPORT_FILES[0]).read_text() == "the best"


@pytest.mark.parametrize("name", EXPORT_FILES)
def test_half_a_best_export_is_not_restored(run, config, name):
    half = write_files(run.checkpoints / ".best-0a1b2c3d", [name])
    run.open(config)
    assert not half.exists()
    assert not run.best.exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of an epoch."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    return Run(folder / "run")


def test_a_saved_model_is_found_by_its_run_its_checkpoint_and_itself(trained):
    (checkpoint,) = trained.states()
    assert find_export(trained.folder) == trained.folder
    assert find_export(trained.folder, "best") == trained.best
    assert find_export(checkpoint) == checkpoint
    assert find_export(trained.best) == trained.best


def test_where_no_model_is_saved_none_is_found(run, tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        find_export(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no saved model"):
        find_export(run.folder)
    with pytest.raises(UserError, match="holds no best checkpoint: use the last"):
        find_export(run.folder, "best")


def test_the_configuration_is_found_from_every_export_of_a_run(trained, tmp_path):
    recorded = load_config(trained.config)
    for export in (trained.folder, trained.best, *trained.states()):
        assert find_run_config(export) == recorded
    assert find_run_config(write_files(tmp_path / "alone")) is None


def test_the_configuration_is_found_from_within_a_checkpoint(trained, monkeypatch):
    monkeypatch.chdir(trained.best)
    here = find_export(Path())
    assert find_run_config(here) == load_config(trained.config)


def test_a_state_that_no_run_has_is_refused(tmp_path):
    with pytest.raises(UserError, match="none called Best"):
        find_export(tmp_path, "Best")
