import json

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score
from sklearn.svm import SVC

from helpers.poison import PoisonedLabels
from pc_crvae import evaluation
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.accuracy import accuracy, class_mean_accuracy
from pc_crvae.evaluation.metrics.clustering import cluster
from pc_crvae.evaluation.metrics.retrieval import retrieve
from pc_crvae.evaluation.probe import features as module
from pc_crvae.evaluation.probe.classifier_settings import KernelSVC
from pc_crvae.evaluation.probe.features import probe_arrays
from pc_crvae.evaluation.probe.linear_svm import fit_linear_svm
from pc_crvae.evaluation.probe.metrics.few_shot import FewShot
from pc_crvae.evaluation.probe.metrics.low_label import LowLabel
from pc_crvae.evaluation.probe.protocol import ProbeProtocol, parse_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.table import format_table


def probe_features(**given):
    """The report as JSON has it."""
    return evaluation.probe_features(**given).plain()


EVERYTHING = ProbeProtocol(
    seeds=(0, 1),
    other_classifiers=(KernelSVC(name="svc_linear"),),
    low_label=LowLabel(fractions=(0.1, 1.0), draws=2),
    few_shot=(FewShot(ways=3, shots=4, queries=5, trials=3),),
    clustering={"restarts": 2},
)


def blobs(seed, per_class=20, spread=0.6):
    """Features of 4 classes, the first twice as many."""
    labels = np.repeat(np.arange(4), [2 * per_class, per_class, per_class, per_class])
    centres = np.random.default_rng(99).normal(size=(4, 5))
    noise = np.random.default_rng(seed).normal(size=(len(labels), 5))
    return (centres[labels] + spread * noise).astype(np.float32), labels


def given(**changes):
    """The four arrays, some of them exchanged."""
    (train, train_labels), (test, test_labels) = blobs(0), blobs(1)
    arrays = {
        "train_features": train,
        "train_labels": train_labels,
        "test_features": test,
        "test_labels": test_labels,
    }
    return arrays | changes


@pytest.fixture(scope="module")
def report():
    return probe_features(**given(), protocol=EVERYTHING)


def test_the_report_survives_json_unchanged_and_repeats_to_the_last_digit(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert probe_features(**given(), protocol=EVERYTHING) == report


def test_the_numbers_are_those_of_the_parts(report):
    arrays = given()
    (row,) = report["rows"]
    for place, seed in enumerate(EVERYTHING.seeds):
        svm = fit_linear_svm(arrays["train_features"], arrays["train_labels"], seed=seed)
        predicted = svm.predict(arrays["test_features"])
        assert row["accuracies"][place] == accuracy(arrays["test_labels"], predicted)
        assert row["class_means"][place] == class_mean_accuracy(arrays["test_labels"], predicted)
        assert row["c"][place] == svm.c
    (other,) = report["other_classifiers"]
    train, test = arrays["train_features"].astype(float), arrays["test_features"].astype(float)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    oracle = SVC(kernel="linear").fit((train - mean) / deviation, arrays["train_labels"])
    expected = oracle.score((test - mean) / deviation, arrays["test_labels"])
    assert other["accuracy_mean"] == pytest.approx(expected)
    clusters = cluster((test - mean) / deviation, 4, restarts=2, seed=1)
    nmi = normalized_mutual_info_score(arrays["test_labels"], clusters)
    assert report["clustering"][0]["nmis"][1] == pytest.approx(nmi)
    found = retrieve(arrays["test_features"].astype(float), arrays["test_labels"])
    assert report["retrieval"][0]["mean_average_precision"] == found.mean_average_precision


def test_few_labels_and_shots_are_scored_over_draws_trials_and_seeds(report):
    tenth, whole = report["low_label"]
    assert (tenth["fraction"], tenth["labels"], len(tenth["accuracies"])) == (0.1, 10, 2 * 2)
    assert (whole["labels"], len(whole["accuracies"])) == (100, 2)
    assert tenth["accuracy_mean"] <= whole["accuracy_mean"]
    assert 0 < tenth["class_mean"] <= 1
    (shots,) = report["few_shot"]
    assert len(shots["accuracies"]) == 2 * 3
    assert shots["accuracy_std"] == pytest.approx(np.std(shots["accuracies"], ddof=1))
    table = format_table(ProbeReport.model_validate(report))
    for title in ("10 %", "3-way 4-shot", "svc linear", "NMI", "retrieval"):
        assert title in table


def test_the_report_holds_protocol_data_seeds_and_versions(report):
    assert report["protocol"]["seeds"] == [0, 1]
    assert report["protocol"]["low_label"]["fractions"] == [0.1, 1.0]
    assert report["data"]["test"]["count"] == 100
    moved = given()
    moved["test_features"] = moved["test_features"] + np.float32(1e-3)
    other = probe_features(**moved, protocol="point-mae")
    assert other["data"]["train"] == report["data"]["train"]
    assert other["data"]["test"]["sha256"] != report["data"]["test"]["sha256"]
    assert {"python", "numpy", "scikit-learn"} <= set(report["versions"])


@pytest.mark.parametrize("names", [("d", "a", "c", "b"), (30, -2, 7, 10**12)])
def test_labels_may_be_strings_or_any_integers(names, report):
    arrays = given()
    for which in ("train_labels", "test_labels"):
        arrays[which] = np.array(names)[arrays[which]]
    renamed = probe_features(**arrays, protocol="point-mae")
    plain = probe_features(**given(), protocol="point-mae")
    assert renamed["rows"][0]["accuracies"] == plain["rows"][0]["accuracies"]
    assert renamed["confusion"]["classes"] == [str(name) for name in sorted(names)]
    as_lists = {name: values.tolist() for name, values in arrays.items()}
    assert probe_features(**as_lists, protocol="point-mae")["rows"] == renamed["rows"]


def test_a_class_that_the_test_items_lack_is_no_obstacle():
    arrays = given()
    there = arrays["test_labels"] != 2
    arrays["test_features"] = arrays["test_features"][there]
    arrays["test_labels"] = arrays["test_labels"][there]
    assert probe_features(**arrays)["rows"][0]["accuracy_mean"] > 0.5


def test_test_labels_are_read_only_once_all_is_predicted(monkeypatch, report):
    done = []
    predict_items = module.predict_items

    def counted(*arguments):
        outcome = predict_items(*arguments)
        done.append(outcome)
        return outcome

    monkeypatch.setattr(module, "predict_items", counted)
    poisoned = PoisonedLabels(given()["test_labels"], lambda: len(done) == 2)
    found = probe_features(**given(test_labels=poisoned), protocol=EVERYTHING)
    assert poisoned.reads > 0
    assert found["rows"] == report["rows"]
    done.clear()
    with pytest.raises(AssertionError, match="before scoring"):
        np.unique(poisoned)


def test_predictions_are_those_the_report_scores():
    probed = probe_arrays(**given(), protocol="point-mae")
    predictions = probed.predictions
    (name,) = predictions.rows
    assert name == "given.features.aligned"
    assert tuple(predictions.correct(name).mean(axis=1)) == probed.report.rows[0].accuracies


def two_of(labels, label):
    """Rows of all classes, but of one only two."""
    return np.flatnonzero((labels != label) | (np.cumsum(labels == label) <= 2))


LABELS = given()["train_labels"]
FEW = two_of(LABELS, 3)
NAN = np.where(np.arange(100)[:, None] < 2, np.nan, given()["train_features"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_features": NAN}, "2 of 100 rows of the training features are NaN"),
        ({"test_features": np.full((100, 5), np.inf)}, "100 of 100 rows of the test features"),
        ({"train_labels": LABELS[1:]}, "100 rows of training features and 99 training labels"),
        ({"test_labels": LABELS[1:]}, "100 rows of test features and 99 test labels"),
        (
            {"train_labels": np.zeros(100, int)},
            "all training items have the class 0: a probe",
        ),
        ({"test_labels": LABELS + 1}, "1 classes of the test labels are missing from training"),
        ({"test_labels": LABELS.astype(str)}, "both should name classes alike"),
        ({"train_features": np.zeros(100)}, r"shape (100,): they should be (n, d)"),
        ({"train_features": np.zeros((0, 5)), "train_labels": []}, "are empty"),
        ({"test_features": np.zeros((0, 5)), "test_labels": []}, "are empty"),
        ({"test_features": np.zeros((100, 4))}, "5 dimensions and test features 4"),
        ({"train_features": np.zeros((100, 5), object)}, "type object"),
        ({"train_features": np.zeros((100, 5), complex)}, "type complex128"),
        ({"train_labels": np.array([{}] * 100)}, "integers or strings"),
        ({"train_labels": LABELS + 0.5}, "integers or strings"),
        ({"train_labels": 3}, "100 rows of training features and 0 training labels"),
        (
            {"train_features": given()["train_features"][FEW], "train_labels": LABELS[FEW]},
            "the class 3 has 2 training items, fewer than the 3 folds of the cross-validation: add "
            "items of it, leave it out, or take a protocol with one C, such as occo or crosspoint",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(UserError) as refused:
        probe_features(**given(**changes))
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_protocol_that_turns_shapes_is_refused_of_features():
    with pytest.raises(UserError, match="averaged-so3 turns shapes before they are encoded"):
        probe_features(**given(), protocol="averaged-so3")


def test_fewer_items_than_folds_do_where_there_is_nothing_to_choose():
    few = {"train_features": given()["train_features"][FEW], "train_labels": LABELS[FEW]}
    assert probe_features(**given(**few), protocol="strl")["rows"]


def test_what_a_protocol_says_of_points_and_turns_is_left_to_the_features_maker():
    protocol = parse_protocol({"points": 2048, "pool": "max_mean", "settings": ["aligned"]}, "here")
    described = probe_features(**given(), protocol=protocol)["protocol"]
    assert described["points"] is None
    assert described["pool"] is None
    assert described["settings"] == ["aligned"]
