"""A run's folder: made, refused, cleared up after a kill, and found again."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.config import load_config
from pc_crvae.errors import UserError
from pc_crvae.models.exports import EXPORT_FILES
from pc_crvae.runs.finding import find_export, find_run_config
from pc_crvae.runs.folder import Run, RunExistsError
from pc_crvae.runs.saved import SavedModel, read_model


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


HALVES = {
    "nothing": [],
    "a place for checkpoints": ["checkpoints/"],
    "a lock": [".lock"],
    "half a configuration": ["checkpoints/", ".config-0a1b2c3d.yaml"],
    "a run that was overwritten": [".removed-0a1b2c3d/config.yaml", ".lock"],
}


def write_half(folder, names):
    folder.mkdir()
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(exist_ok=True)
        if not name.endswith("/"):
            path.write_text("half")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("half", HALVES)
def test_what_a_kill_left_before_there_was_a_run_is_free_for_one(tmp_path, config, half, overwrite):
    run = Run(tmp_path / "run")
    write_half(run.folder, HALVES[half])
    assert not run.exists
    with run.writing():
        run.create(config, overwrite=overwrite)
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoints", "config.yaml"]


def test_what_is_not_ours_is_never_free(tmp_path, config):
    for name in ("thesis.tex", ".config-mine.yaml", "checkpoints/thesis.tex"):
        folder = tmp_path / name.replace("/", "-")
        write_files((folder / name).parent, [(folder / name).name])
        with pytest.raises(RunExistsError):
            Run(folder).create(config)
        with pytest.raises(UserError, match="is not the folder of a run"):
            Run(folder).create(config, overwrite=True)
        assert (folder / name).read_text() == "saved"


class Killed(BaseException):
    """Stands for a death that nothing is done about."""


def stop_overwriting(folder, config, moment):
    """Overwrite a run, and die before the so many-th change of a name; return whether it did."""
    left = [moment]

    def killing(act):
        def act_or_die(*arguments, **options):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return act(*arguments, **options)

        return act_or_die

    acts = ((Path, "rename"), (Path, "mkdir"), (Path, "replace"), (shutil, "rmtree"))
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in acts:
            patch.setattr(owner, name, killing(getattr(owner, name)))
        try:
            with Run(folder).writing():
                Run(folder).create(config, overwrite=True)
        except Killed:
            return True
    return False


def test_a_stop_at_any_moment_of_overwriting_leaves_the_one_run_or_the_other(trained, tmp_path):
    old, new = load_config(trained.config), tiny_config(tmp_path, training={"epochs": 7})
    before = {path.name for path in trained.folder.iterdir()}
    outcomes = []
    stopped = True
    for moment in range(30):
        if not stopped:
            break
        for resume in (False, True):
            folder = shutil.copytree(trained.folder, tmp_path / f"run-{moment}-{resume}")
            stopped = stop_overwriting(folder, new, moment)
            run = Run(folder)
            is_new = run.config.is_file() and load_config(run.config) == new
            outcomes.append(is_new)
            with pytest.raises(RunExistsError), run.writing():
                run.create(new)
            with run.writing():
                if resume and is_new:
                    run.open(new)
                    left = [path.name for path in folder.iterdir()]
                    assert sorted(left) == [".lock", "checkpoints", "config.yaml"]
                    continue
                if resume:
                    run.open(old)
                    assert {path.name for path in folder.iterdir()} == before | {".lock"}
                    assert run.load_state()["step"] == 5
                    continue
                run.create(new, overwrite=True)
            assert load_config(run.config) == new
            assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "config.yaml"]
            assert list(run.checkpoints.iterdir()) == []
    assert not stopped
    assert outcomes == sorted(outcomes)
    assert {False, True} == set(outcomes)


def test_a_run_is_overwritten_through_a_link_which_stays(run, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(run.folder, target_is_directory=True)
    changed = tiny_config(tmp_path, training={"epochs": 7})
    with Run(link).writing():
        Run(link).create(changed, overwrite=True)
    assert link.is_symlink()
    assert load_config(run.config) == changed


def test_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with (
        pytest.raises(UserError, match=r"link is a link to .*gone, which is missing: make that"),
        Run(tmp_path / "link").writing(),
    ):
        pytest.fail("nothing is there to write to")


def test_one_process_at_a_time_writes_to_a_run(run, tmp_path):
    told = r"another process writes to the run in .*: wait for it or stop it"
    with run.writing(), pytest.raises(UserError, match=told), Run(run.folder).writing():
        pytest.fail("two write")
    assert not (run.folder / ".lock").exists()


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    run = Run(tmp_path / "run")
    with run.writing():
        assert run.folder.is_dir()
    assert not run.folder.exists()


def test_a_file_in_the_way_is_refused(tmp_path, config):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="already exists"):
        Run(tmp_path / "file").create(config)
    with pytest.raises(UserError, match="is not the folder of a run"):
        Run(tmp_path / "file").create(config, overwrite=True)
    for act in (lambda run: run.create(config), lambda run: run.writing().__enter__()):
        with pytest.raises(UserError, match=r"cannot write to .*file/run: Not a directory"):
            act(Run(tmp_path / "file" / "run"))
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


def test_opening_drops_the_files_that_a_kill_left_half_written(run, config):
    names = [".model-0a1b2c3d.safetensors", ".config-0a1b2c3d.json", ".config-0a1b2c3d.yaml"]
    halves = [run.folder / name for name in names]
    halves += [run.pictures / ".epoch-0010-0a1b2c3d.png", run.folder / ".probe-0a1b2c3d.json"]
    at_work = run.folder / ".report-0a1b2c3d.html"
    kept = [run.pictures / "epoch-0010.png", run.folder / "probe.json"]
    for path in (*halves, at_work, *kept):
        write_files(path.parent, [path.name])
    os.utime(halves[-1], (0, 0))
    run.open(config)
    assert [path for path in halves if path.exists()] == []
    assert all(path.exists() for path in (at_work, *kept))


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


@pytest.fixture
def stale(tmp_path):
    """A run whose own export is older than its newest state, as a kill in the last save leaves."""
    config = tiny_config(tmp_path)
    tiny_train(config, tmp_path / "run")
    run = Run(tmp_path / "run")
    before, newest = run.states()
    for name in EXPORT_FILES:
        shutil.copy(before / name, run.folder)
    return run, newest


WRITTEN = {"neither file": [], "the weights alone": ["model.safetensors"]}


@pytest.mark.parametrize("with_digests", [True, False], ids=["", "as in 0.1"])
@pytest.mark.parametrize("names", WRITTEN.values(), ids=WRITTEN)
def test_a_reader_sees_past_a_run_s_export_that_is_older_than_its_state(stale, names, with_digests):
    run, newest = stale
    for name in names:
        shutil.copy(newest / name, run.folder)
    if not with_digests:
        for folder in (run.folder, *run.states()):
            path = folder / "config.json"
            said = json.loads(path.read_text())
            del said["sha256"]
            path.write_text(json.dumps(said))
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    found = find_export(run.folder)
    weights = (found / "model.safetensors").read_bytes()
    assert weights == (newest / "model.safetensors").read_bytes()
    assert SavedModel.open(run.folder).weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_a_run_that_is_trained_already_is_mended_when_it_is_resumed(stale, tmp_path):
    run, newest = stale
    surplus = shutil.copytree(newest, run.checkpoints / "step-00000001")
    tiny_train(tiny_config(tmp_path), run.folder, resume=True)
    for name in EXPORT_FILES:
        assert (run.folder / name).read_bytes() == (newest / name).read_bytes()
    assert find_export(run.folder) == run.folder
    assert not surplus.exists()


def test_a_best_export_is_found_where_a_kill_left_it_aside(trained, tmp_path):
    run = Run(shutil.copytree(trained.folder, tmp_path / "run"))
    aside = run.best.rename(run.checkpoints / ".best-0a1b2c3d")
    assert find_export(run.folder, "best") == aside


def test_a_run_that_was_removed_is_not_made_again(trained, tmp_path):
    run = Run(shutil.copytree(trained.folder, tmp_path / "run"))
    model = read_model(run.best)
    shutil.rmtree(run.folder)
    for save in (
        lambda: run.save_best(model),
        lambda: run.save_state({}, model, step=1, keep=1),
    ):
        with pytest.raises(UserError, match="was removed or moved while training wrote to it"):
            save()
    assert not run.folder.exists()


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
