"""``probe`` as a user meets it: the table, the report, and what it refuses."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml

from helpers.refusals import refused
from helpers.tiny_runs import tiny_config, tiny_train, tiny_values
from pc_crvae.cli import main
from pc_crvae.data import load
from pc_crvae.runs.saved import SavedModel


@pytest.fixture
def quick(tmp_path):
    """Options for a probe of little work."""
    path = tmp_path / "quick.yaml"
    path.write_text(
        "name: quick\nrepresentations: [mean]\nsettings: [aligned]\n"
        "classifier: {name: svc_linear, c: [1.0]}\nseeds: [0]\nretrieval: false\n"
        "training_free: false\n"
    )
    return ["--protocol", str(path)]


def test_the_report_holds_the_table_the_protocol_and_the_data(trained, pictured, capsys):
    run = pictured
    assert main(["probe", "--ckpt", str(run), "--seeds", "2", "--table", str(run / "t.md")]) == 0

    report = json.loads((run / "probe.json").read_text())
    kind = report["training_free"]["chosen"]
    for rows, representation in (("rows", "posterior_mean"), ("extra_rows", "pooled")):
        beside = {("training_free", kind)} if rows == "rows" else set()
        assert {
            (row["features"], row["representation"], row["setting"]) for row in report[rows]
        } == {
            (*name, setting)
            for name in {("trained", representation), ("untrained", representation)} | beside
            for setting in ("aligned", "z", "so3")
        }
        for row in report[rows]:
            assert row["classifier"] == "linear_svm"
            assert len(row["accuracies"]) == 2
            assert 0 <= row["accuracy_mean"] <= 1
            assert 0 <= row["class_mean"] <= 1
            assert row["accuracy_std"] >= 0
    assert {(row["features"], row["setting"]) for row in report["retrieval"]} == {
        (features, setting)
        for features in ("trained", "untrained", "training_free")
        for setting in ("aligned", "z", "so3")
    }
    assert all(0 < row["mean_average_precision"] <= 1 for row in report["retrieval"])
    assert report["protocol"]["seeds"] == [0, 1]
    assert report["protocol"]["name"] == "ours"
    assert report["protocol"]["c_grid"] == [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert report["transfer"] is False
    for split in ("train", "test"):
        assert load(trained / "tiny.yaml", split).fingerprint() in report["data"][split].values()
    assert (run / "probe-confusion.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "untrained" in said
    assert f"training-free {kind}" in said
    assert "retrieval, mean average precision" in said
    assert f"report: {run / 'probe.json'}" in said
    table = (run / "t.md").read_text()
    assert table.startswith("| features | aligned | z | SO(3) |\n")
    assert "| training-free" in table
    assert "Mean ± standard deviation over 2 probe seeds." in table
    assert f"table: {run / 't.md'}" in said


def test_a_table_of_no_known_form_is_refused_before_the_work(run, capsys):
    said = refused(capsys, "probe", "--ckpt", run, "--table", run / "table.docx")
    assert "must end in .md, .csv or .tex" in said
    assert not (run / "probe.json").exists()


def test_a_set_without_labels_is_not_probed_and_says_so(run, monkeypatch, capsys):
    split_of = SavedModel.split

    def without_labels(saved, split):
        return replace(split_of(saved, split), labels=None)

    monkeypatch.setattr(SavedModel, "split", without_labels)
    assert main(["probe", "--ckpt", str(run)]) == 0
    said = capsys.readouterr()
    assert "tiny has no labels, so there is nothing to probe; next: pc-crvae embed " in said.out
    assert said.err == ""
    assert not (run / "probe.json").exists()


def test_the_validation_split_is_what_training_held_out(run, tmp_path, capsys):
    protocol = tmp_path / "quick.yaml"  # two training shapes a class are too few to choose C by
    protocol.write_text(
        "name: quick\nsource: nobody\nretrieval: false\nsettings: [aligned]\nseeds: [0]\n"
        "classifier: {name: linear_svm, c: [0.1]}\n"
        "training_free: false\n"
    )
    given = ["--ckpt", str(run), "--split", "validation", "--protocol", str(protocol)]
    assert main(["probe", *given]) == 0
    report = json.loads((run / "probe-validation.json").read_text())
    train, held_out = SavedModel.open(run).training_splits()
    for split, items in {"train": train, "test": held_out}.items():
        assert items.fingerprint() in report["data"][split].values()
    assert not (run / "probe.json").exists()
    said = capsys.readouterr().out
    assert f"next, all of the run on one page: pc-crvae report --ckpt {run}" in said
    other = ["--data", "shapes", "--split", "validation"]
    assert "these are other data: take the test split" in refused(
        capsys, "probe", "--ckpt", run, *other
    )


def test_probing_twice_gives_the_same_numbers(run, tmp_path):
    for name in ("one.json", "two.json"):
        report = ["--json", str(tmp_path / name), "--seeds", "1"]
        assert main(["probe", "--ckpt", str(run), *report]) == 0
    assert (tmp_path / "one.json").read_text() == (tmp_path / "two.json").read_text()
    one, two = ((tmp_path / f"{name}-predictions.npz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert (tmp_path / "one-confusion.png").is_file()
    assert not (run / "probe.json").exists()


def test_training_items_are_cross_validated_where_that_is_asked_for(run, tmp_path, quick, capsys):
    asked = ["--cross-validate", "--cv-repeats", "2", "--cv-folds", "2"]
    assert main(["probe", "--ckpt", str(run), *quick, *asked]) == 0
    found = json.loads((run / "probe.json").read_text())["cross_validation"]
    assert (found["items"], found["repeats"], found["folds"]) == (60, 2, 2)
    assert [row["features"] for row in found["rows"]] == ["trained", "untrained"]
    assert [pair["against"] for pair in found["differences"]] == ["untrained"]
    assert "training items, 2 folds 2 times, 95 % intervals" in capsys.readouterr().out


def test_the_training_free_row_can_be_left_out(run):
    assert main(["probe", "--ckpt", str(run), "--seeds", "1", "--no-training-free"]) == 0
    report = json.loads((run / "probe.json").read_text())
    assert {row["features"] for row in report["rows"]} == {"trained", "untrained"}
    assert "training_free" not in report


def test_the_best_state_and_a_checkpoint_can_be_probed_too(run, tmp_path, quick):
    (checkpoint,) = (run / "checkpoints").glob("step-*")
    for name, arguments in {
        "best": ["--ckpt", str(run), "--which", "best"],
        "step": ["--ckpt", str(checkpoint)],
    }.items():
        report = tmp_path / f"{name}.json"
        assert main(["probe", *arguments, *quick, "--json", str(report)]) == 0
        probed = json.loads(report.read_text())["checkpoint"]["path"]
        assert probed == str(run / "checkpoints" / "best" if name == "best" else checkpoint)


def test_another_data_set_can_be_probed_which_is_reported_as_transfer(
    trained, run, tmp_path, capsys, quick
):
    card = yaml.safe_load((trained / "tiny.yaml").read_text())
    card |= {"name": "other", "splits": {"train": {"count": 60, "seed": 5}} | card["splits"]}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(card))
    arguments = ["--data", str(tmp_path / "other.yaml"), *quick]
    assert main(["probe", "--ckpt", str(run), *arguments]) == 0
    report = json.loads((run / "probe.json").read_text())
    assert report["data"]["train"]["name"] == "other"
    assert report["trained_on"]["name"] == str(trained / "tiny.yaml")
    assert report["transfer"] is True
    assert f"trained on {trained / 'tiny.yaml'}, probed on other" in capsys.readouterr().out


def test_a_set_with_fewer_points_is_probed_with_as_many_as_it_has(trained, run, tmp_path, quick):
    card = yaml.safe_load((trained / "tiny.yaml").read_text()) | {"name": "coarse", "points": 20}
    (tmp_path / "coarse.yaml").write_text(yaml.safe_dump(card))
    for data, points in {tmp_path / "coarse.yaml": 20, trained / "tiny.yaml": 32}.items():
        report = tmp_path / f"{points}.json"
        arguments = ["--data", str(data), *quick, "--json", str(report)]
        assert main(["probe", "--ckpt", str(run), *arguments]) == 0
        assert json.loads(report.read_text())["protocol"]["points"] == points


def test_the_up_axis_given_is_the_one_the_data_is_read_with(trained, run, quick):
    assert main(["probe", "--ckpt", str(run), "--up", "x", *quick]) == 0
    probed = json.loads((run / "probe.json").read_text())["data"]
    for split in ("train", "test"):
        turned = load(trained / "tiny.yaml", split, up="x").fingerprint()
        assert turned != load(trained / "tiny.yaml", split).fingerprint()
        assert turned in probed[split].values()


def cut_weights(run, tmp_path):
    weights = run / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def exchange_weights(run, tmp_path):
    model = tiny_values(tmp_path)["model"] | {"latent_dim": 5}
    other = tiny_config(tmp_path, model=model, training={"epochs": 1})
    tiny_train(other, tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", run)


def rewrite(**changes):
    def damage(run, tmp_path):
        path = run / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": {}} | changes))

    return damage


DAMAGES = {
    "weights cut short": (cut_weights, "model.safetensors is damaged"),
    "weights of another model": (exchange_weights, "is not what config.json beside it was"),
    "no weights": (lambda run, _: (run / "model.safetensors").unlink(), "holds no saved model"),
    "no description": (lambda run, _: (run / "config.json").unlink(), "holds no saved model"),
    "description cut short": (
        lambda run, _: (run / "config.json").write_text('{"class": '),
        "config.json is damaged",
    ),
    "another class": (rewrite(**{"class": "Oracle"}), "holds a model of the class Oracle"),
    "another format": (rewrite(format_version=99), "has format version 99"),
    "another architecture": (rewrite(architecture={"latent": 4}), "latent is not a known key"),
    "a missing part": (rewrite(data={}), "does not say what data it is for"),
    "a wrong posterior": (rewrite(posterior="flow"), "config.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused_in_one_sentence(run, tmp_path, capsys, damage):
    do_damage, sentence = DAMAGES[damage]
    shutil.rmtree(run / "checkpoints")  # whose newest export would be taken
    do_damage(run, tmp_path)
    capsys.readouterr()
    assert sentence in refused(capsys, "probe", "--ckpt", run)
    assert not (run / "probe.json").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--protocol", "our"], "did you mean ours"),
        (["--protocol", "strl"], "the protocol strl draws 2048 points of each cloud"),
        (["--data", "modelnet4"], "did you mean modelnet40"),
        (["--data", "nowhere.yaml"], "nowhere.yaml"),
        (["--data-root", "nowhere"], "leave out data.root"),
        (["--cv-folds", "5"], "--cv-folds goes with --cross-validate, which was not asked for"),
        (["--cross-validate", "--cv-folds", "1"], "--cv-folds must be at least 2, not 1"),
        (["--cross-validate", "--cv-repeats", "0"], "--cv-repeats must be at least 1, not 0"),
        (["--cross-validate", "--cv-folds", "40"], "fewer folds by --cv-folds"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_sentence(run, capsys, arguments, sentence):
    assert sentence in refused(capsys, "probe", "--ckpt", run, *arguments)


def test_a_published_protocol_is_followed_and_named(run, tmp_path):
    protocol = tmp_path / "mine.yaml"
    protocol.write_text(
        "name: mine\nsource: a paper\npoints: 24\npool: max_mean\nrepresentations: [pooled]\n"
        "settings: [aligned]\nstandardise: false\nclassifier: {name: svc_linear, c: [0.1]}\n"
        "seeds: [0]\nretrieval: false\ntraining_free: false\n"
    )
    assert main(["probe", "--ckpt", str(run), "--protocol", str(protocol)]) == 0
    report = json.loads((run / "probe.json").read_text())
    assert report["rows"] == report["retrieval"] == []
    assert [row["features"] for row in report["extra_rows"]] == ["trained", "untrained"]
    for row in report["extra_rows"]:
        assert row["classifier"] == "svc_linear"
        assert row["c"] == [0.1]
        assert row["dimensions"] == 2 * 16
    assert report["protocol"]["source"] == "a paper"
    assert report["protocol"]["points"] == 24
    assert report["protocol"]["standardise"] is False


def test_untrained_encoders_are_calibrated_unless_told_otherwise(run, tmp_path, capsys, quick):
    reports = {}
    for name, options in {"default": [], "initial": ["--untrained", "initial"]}.items():
        path = tmp_path / f"{name}.json"
        assert main(["probe", "--ckpt", str(run), *quick, *options, "--json", str(path)]) == 0
        reports[name] = json.loads(path.read_text())
    assert reports["default"]["protocol"]["untrained"] == "calibrated"
    assert reports["initial"]["protocol"]["untrained"] == "initial"
    trained = [report["rows"][0] for report in reports.values()]
    assert trained[0] == trained[1]
    said = capsys.readouterr().out
    assert "untrained: batch-norm calibrated by a pass over the training items" in said
    assert "untrained: batch-norm as initialised" in said
    assert said.count("near-copies: ") == 2


def test_a_place_without_a_model_is_refused(tmp_path, capsys):
    assert "is not a folder" in refused(capsys, "probe", "--ckpt", tmp_path / "nowhere")
    assert "holds no saved model" in refused(capsys, "probe", "--ckpt", tmp_path)


def test_a_run_without_a_best_state_says_so(run, capsys):
    shutil.rmtree(run / "checkpoints" / "best")
    assert "use the last" in refused(capsys, "probe", "--ckpt", run, "--which", "best")


def test_a_report_that_cannot_be_written_is_one_sentence(run, tmp_path, capsys, quick):
    (tmp_path / "file").write_text("in the way")
    arguments = ["--ckpt", str(run), *quick, "--json", str(tmp_path / "file" / "report")]
    assert main(["probe", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: could not write")
    assert (tmp_path / "file").read_text() == "in the way"
