import json

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.cli import main
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run
from pc_crvae.runs.record import read_curve, read_record


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    config = tiny_config(folder, training={"epochs": 2}, logging={"every_steps": 1})
    tiny_train(config, folder / "run")
    return folder / "run"


def rewritten(run, folder, change):
    """A copy of the run's record, each of whose lines went through ``change``."""
    copy = folder / "copy"
    copy.mkdir()
    Run(copy).config.write_bytes(Run(run).config.read_bytes())
    lines = [json.loads(text) for text in Run(run).metrics.read_text().splitlines()]
    Run(copy).metrics.write_text("".join(change(line) + "\n" for line in lines))
    return copy


def test_minutes_are_those_that_the_recorded_speeds_make(run, tmp_path):
    def steady(line):
        if line["split"] == "train":
            line["items_per_second"] = 8 / 15 if line["step"] > 5 else 8 / 6
        return json.dumps(line)

    # Batches of 8: steps of 6 seconds in the first epoch, of 15 in the second; 5 steps each.
    curve = read_curve(rewritten(run, tmp_path, steady), "objective")
    assert curve.minutes == pytest.approx((0.5, 1.75))
    assert curve.epochs == (1, 2)
    recorded = [json.loads(text) for text in Run(run).metrics.read_text().splitlines()]
    assert curve.values == tuple(
        line["objective"] for line in recorded if line["split"] == "validation"
    )


def test_a_record_holds_every_curve_and_the_last_of_each_list(run, tmp_path):
    recorded = [json.loads(text) for text in Run(run).metrics.read_text().splitlines()]
    of_validation = [line for line in recorded if line["split"] == "validation"]
    record = read_record(run)
    assert record.curves["validation", "objective"] == read_curve(run, "objective")
    assert ("train", "learning_rate") in record.curves
    assert record.curves["validation", "active_units"].epochs == (1.0, 2.0)
    last = of_validation[-1]["kl_per_dimension"]
    assert record.lists["validation", "kl_per_dimension"] == tuple(last)
    # null stands for an infinity, which no curve goes through.
    copy = rewritten(run, tmp_path, lambda line: json.dumps(line | {"kl": None}))
    assert ("validation", "kl") not in read_record(copy).curves


def test_what_was_not_recorded_is_told_with_what_was(run):
    with pytest.raises(UserError, match=r"never recorded accuracy of validation: it has .*kl"):
        read_curve(run, "accuracy")


def test_a_damaged_record_and_a_folder_without_one_are_told(run, tmp_path):
    cut = rewritten(run, tmp_path, lambda line: json.dumps(line)[:-4])
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1, is damaged"):
        read_curve(cut, "objective")
    Run(cut).metrics.write_bytes(b'{"split": "\xff"}\n')
    with pytest.raises(UserError, match=r"line 1, is damaged"):
        read_record(cut)
    with pytest.raises(UserError, match="is no run"):
        read_curve(tmp_path, "objective")


def test_the_command_draws_and_says_where(run, tmp_path, capsys):
    picture = tmp_path / "curves.png"
    assert main([str(run), "--of", "objective", "--out", str(picture)], command="curves") == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "run: " in capsys.readouterr().out
    assert main([str(run), "--out", str(tmp_path / "curves.txt")], command="curves") == 2
