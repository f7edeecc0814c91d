import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.poison import PoisonedLabels
from helpers.solids import CLASSES, clouds
from pc_crvae.data.images import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.retrieval import retrieve
from pc_crvae.evaluation.probe import run as module
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM, NearestNeighbors, Ridge
from pc_crvae.evaluation.probe.linear_svm import FittedProbe, fit_linear_svm
from pc_crvae.evaluation.probe.metrics.clustering import Clustering
from pc_crvae.evaluation.probe.metrics.few_shot import FewShot
from pc_crvae.evaluation.probe.metrics.low_label import LowLabel
from pc_crvae.evaluation.probe.protocol import ProbeProtocol, load_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders, protocol_for, validation_probe
from pc_crvae.evaluation.probe.table import format_table
from pc_crvae.evaluation.reports import DataCut


def run_probe(*arguments, **options):
    """The report as JSON has it."""
    return probe_encoders(*arguments, **options).report.plain()


def table_of(plain):
    return format_table(ProbeReport.model_validate(plain))


def changed(**changes):
    return PROTOCOL.model_copy(update=changes)


PROTOCOL = ProbeProtocol(points=24, seeds=(0, 1), classifier=LinearSVM(c=(1e-3, 1e-1)))


def spreads(points):
    spread = points.std(axis=1)
    return {"mean": spread, "pooled": np.hstack([spread, np.abs(points).max(axis=1)])}


def noise_encoder(seed):
    def encode(points):
        rng = np.random.default_rng(seed)
        return {"mean": rng.normal(size=(len(points), 4)), "pooled": np.ones((len(points), 2))}

    return encode


class Recorder:
    """An encoder that remembers the clouds it was shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, points):
        self.seen.append(points.copy())
        return spreads(points)


@pytest.fixture(scope="module")
def train():
    return clouds("train")


@pytest.fixture(scope="module")
def test():
    return clouds("test")


@pytest.fixture(scope="module")
def report(train, test):
    return run_probe(spreads, noise_encoder, train, test, PROTOCOL)


def find(rows, features, setting):
    (row,) = [r for r in rows if (r["features"], r["setting"]) == (features, setting)]
    return row


def test_the_report_survives_json_unchanged(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_rows_are_the_posterior_mean_and_extra_rows_the_pooled_features(report):
    for rows, representation in (
        (report["rows"], "posterior_mean"),
        (report["extra_rows"], "pooled"),
    ):
        assert [(row["features"], row["setting"]) for row in rows] == [
            (features, setting)
            for features in ("trained", "untrained")
            for setting in ("aligned", "z", "so3")
        ]
        assert {row["representation"] for row in rows} == {representation}
        assert {row["classifier"] for row in rows} == {"linear_svm"}


def test_mean_and_sample_standard_deviation_are_taken_over_the_seeds(report):
    for row in report["rows"] + report["extra_rows"]:
        first, second = row["accuracies"]
        assert row["accuracy_mean"] == pytest.approx((first + second) / 2)
        assert row["accuracy_std"] == pytest.approx(abs(first - second) / 2**0.5)
        assert row["class_mean"] == pytest.approx(np.mean(row["class_means"]))
        assert len(row["c"]) == 2


def test_features_that_know_the_axes_suffer_from_turns_and_noise_knows_nothing(report):
    aligned, turned, tumbled = (
        find(report["rows"], "trained", setting)["accuracy_mean"]
        for setting in ("aligned", "z", "so3")
    )
    assert aligned > 0.9
    assert aligned > turned > tumbled
    assert find(report["rows"], "untrained", "aligned")["accuracy_mean"] < 0.6


def test_ours_gives_the_numbers_it_has_always_given(report):
    trained = [row for row in report["rows"] if row["features"] == "trained"]
    assert [row["accuracies"] for row in trained] == [
        [1, 1],
        [28 / 36, 29 / 36],
        [16 / 36, 16 / 36],
    ]
    assert {tuple(row["c"]) for row in trained} == {(0.1, 0.001)}
    pooled = [row["accuracies"] for row in report["extra_rows"] if row["features"] == "trained"]
    assert pooled == [[35 / 36, 1], [26 / 36, 28 / 36], [16 / 36, 16 / 36]]
    noise = find(report["rows"], "untrained", "z")
    assert noise["accuracies"] == [19 / 36, 13 / 36]
    retrieved = find(report["retrieval"][:6], "trained", "so3")["of_seeds"]
    assert retrieved == pytest.approx([0.44865952768284983, 0.539384986192506])
    assert report["paired"][0]["interval"] == pytest.approx([0.3611111111111111, 0.75])


def test_two_runs_agree_to_the_last_digit(report, train, test):
    assert run_probe(spreads, noise_encoder, train, test, PROTOCOL) == report


def test_trained_and_untrained_encoders_see_the_very_same_clouds(train, test):
    trained, untrained = Recorder(), Recorder()
    run_probe(trained, lambda seed: untrained, train, test, PROTOCOL)
    assert len(trained.seen) == len(PROTOCOL.seeds) * (1 + len(PROTOCOL.settings))
    for ours, theirs in zip(trained.seen, untrained.seen, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_each_seed_draws_points_turns_and_an_untrained_encoder_anew(train, test):
    recorder, asked = Recorder(), []

    def untrained(seed):
        asked.append(seed)
        return spreads

    run_probe(recorder, untrained, train, test, PROTOCOL)
    assert asked == list(PROTOCOL.seeds)
    per_seed = 1 + len(PROTOCOL.settings)
    for first, second in zip(recorder.seen[:per_seed], recorder.seen[per_seed:], strict=True):
        assert not np.array_equal(first, second)


def test_test_shapes_are_turned_rigidly_about_z_or_any_axis(train, test):
    recorder = Recorder()
    run_probe(recorder, noise_encoder, train, test, changed(seeds=(5,)))
    _, aligned, about_z, about_any = (points.astype(np.float64) for points in recorder.seen)
    np.testing.assert_array_equal(aligned, test.batch(range(len(test)), 24, "probe", 5))
    for turned in (about_z, about_any):
        moved = np.linalg.norm(turned - aligned, axis=2).max(axis=1)
        assert (moved > 1e-3).all()
        assert len(np.unique(moved)) == len(test)
        np.testing.assert_allclose(
            turned @ turned.transpose(0, 2, 1), aligned @ aligned.transpose(0, 2, 1), atol=1e-5
        )
        # Proper rotations: the signed volume of any three points is kept.
        np.testing.assert_allclose(
            np.linalg.det(turned[:, :3]), np.linalg.det(aligned[:, :3]), atol=1e-5
        )
    np.testing.assert_allclose(about_z[..., 2], aligned[..., 2], atol=1e-6)
    assert np.abs(about_any[..., 2] - aligned[..., 2]).max() > 0.1


def test_the_classifier_is_fitted_on_unturned_training_shapes(train, test):
    recorder = Recorder()
    run_probe(recorder, noise_encoder, train, test, changed(seeds=(5,)))
    np.testing.assert_array_equal(recorder.seen[0], train.batch(range(len(train)), 24, "probe", 5))


def test_labels_of_test_shapes_reach_nothing_but_the_score(train, test, monkeypatch):
    predict, predictions = FittedProbe.predict, []

    def remember(self, features):
        predictions[-1].append(predict(self, features))
        return predictions[-1][-1]

    monkeypatch.setattr(FittedProbe, "predict", remember)
    poisoned = replace(test, labels=(test.labels + 1) % 3)
    reports, encoders = [], []
    for split in (test, poisoned):
        predictions.append([])
        encoders.append(Recorder())
        reports.append(run_probe(encoders[-1], noise_encoder, train, split, PROTOCOL))
    honest, misled = reports
    for ours, theirs in zip(encoders[0].seen, encoders[1].seen, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(*predictions, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for row, other in zip(honest["rows"], misled["rows"], strict=True):
        assert row["c"] == other["c"]
    best, worst = (find(r["rows"], "trained", "aligned")["accuracy_mean"] for r in reports)
    assert best > 0.9
    assert worst < 0.1


def test_no_test_label_is_read_but_to_score(train, test, monkeypatch, report):
    scoring = []

    def allowed_in(function):
        def score(*arguments, **options):
            scoring.append(function)
            try:
                return function(*arguments, **options)
            finally:
                scoring.pop()

        return score

    monkeypatch.setattr(module, "assemble", allowed_in(module.assemble))
    monkeypatch.setattr(DataCut, "of", allowed_in(DataCut.of))
    # It refuses classes that training does not have, and nothing else follows from it.
    checked = allowed_in(module.classes.check_same_classes)
    monkeypatch.setattr(module.classes, "check_same_classes", checked)
    predict = module.predict_items
    monkeypatch.setattr(module, "predict_items", lambda *arguments: allowed_in(predict(*arguments)))
    poisoned = test.subset(range(len(test)))
    labels = PoisonedLabels(test.labels, lambda: bool(scoring))
    object.__setattr__(poisoned, "labels", labels)
    found = run_probe(spreads, noise_encoder, train, poisoned, PROTOCOL)
    assert labels.reads > 0
    assert found == report
    for function in (fit_linear_svm, retrieve):
        with pytest.raises(AssertionError, match="before scoring"):
            function(spreads(test.points)["mean"], labels)


def test_all_that_a_protocol_may_ask_for_is_in_the_report_and_the_table(train, test):
    protocol = changed(
        seeds=(0,),
        other_classifiers=(NearestNeighbors(name="knn"), Ridge(name="ridge")),
        low_label=LowLabel(fractions=(0.25,), draws=2),
        few_shot=(FewShot(ways=2, shots=3, queries=4, trials=2),),
        clustering=Clustering(restarts=2),
    )
    found = run_probe(spreads, noise_encoder, train, test, protocol)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for section, rows in {
        "other_classifiers": 8,
        "low_label": 4,
        "few_shot": 4,
        "clustering": 4,
    }.items():
        assert len(found[section]) == rows
    knn = found["other_classifiers"][0]
    assert (knn["features"], knn["representation"]) == ("trained", "posterior_mean")
    assert knn["classifier"] == "knn"
    assert knn["accuracy_mean"] > 0.9
    assert knn["k"][0] in (1, 5, 20)
    assert found["clustering"][0]["nmi"] > found["clustering"][1]["nmi"]
    table = table_of(found)
    for title in ("knn", "ridge", "25 %", "2-way 3-shot", "NMI", "ARI"):
        assert title in table
    assert "untrained pooled" in table


def test_the_confusion_matrix_counts_true_class_by_row_over_the_seeds(train, test):
    def name_pole_a_slab(points):
        features = spreads(points)
        return features | {"mean": features["mean"] if len(points) == len(train) else slab}

    slab = np.repeat(spreads(test.points)["mean"][12:13], len(test) - 1, axis=0)
    shorter = test.subset(range(len(test) - 1))
    confusion = run_probe(name_pole_a_slab, noise_encoder, train, shorter, PROTOCOL)["confusion"]
    assert confusion == {
        "classes": list(CLASSES),
        "matrix": [[0, 24, 0], [0, 24, 0], [0, 22, 0]],
    }


def test_the_report_says_how_to_repeat_it(report, train, test):
    assert report["protocol"]["points"] == 24
    assert report["protocol"]["seeds"] == [0, 1]
    assert report["protocol"]["c_grid"] == [1e-3, 1e-1]
    assert report["data"]["train"]["sha256"] == train.fingerprint()
    assert report["data"]["test"]["sha256"] == test.fingerprint()
    assert report["data"]["test"]["count"] == 36
    assert set(report["versions"]) >= {"python", "torch", "numpy", "scikit-learn"}


def test_one_seed_has_no_spread_and_says_so(train, test):
    report = run_probe(spreads, noise_encoder, train, test, changed(seeds=(4,)))
    for row in report["rows"]:
        assert row["accuracy_std"] == 0.0
        assert "one probe seed" in row["note"]
    assert "±" not in table_of(report)


def test_a_choice_at_the_end_of_the_grid_is_noted(train, test):
    grid = (1e-9, 1e-8)
    protocol = changed(classifier=LinearSVM(c=grid))
    for row in run_probe(spreads, noise_encoder, train, test, protocol)["rows"]:
        assert ("largest C" in row.get("note", "")) == (1e-8 in row["c"])


def test_the_table_lines_up_and_shows_per_cent(report):
    row = find(report["rows"], "trained", "aligned")
    row = row | {"accuracy_mean": 0.8899, "accuracy_std": 0.0031}
    rows = [row if r["features"] + r["setting"] == "trainedaligned" else r for r in report["rows"]]
    lines = table_of(report | {"rows": rows}).splitlines()[:5]
    assert lines[0].split() == ["accuracy", "(class", "mean)", "aligned", "z", "SO(3)"]
    assert lines[1].startswith("trained posterior mean ")
    assert f"  89.0 ± 0.3 ({100 * row['class_mean']:.1f})  " in lines[1]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "trained posterior mean",
        "untrained posterior mean",
        "trained pooled",
        "untrained pooled",
    ]
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 100


def test_each_trained_row_is_compared_with_the_strongest_untrained_one(report):
    for row in report["paired"]:
        trained = [
            found
            for found in report["rows"] + report["extra_rows"]
            if (found["features"], found["setting"], found["representation"])
            == ("trained", row["setting"], row["trained"])
        ]
        strongest = max(
            found["accuracy_mean"]
            for found in report["rows"] + report["extra_rows"]
            if (found["features"], found["setting"]) == ("untrained", row["setting"])
        )
        assert row["difference"] == pytest.approx(trained[0]["accuracy_mean"] - strongest)
        assert row["interval"][0] <= row["difference"] <= row["interval"][1]
    lines = [line for line in table_of(report).splitlines() if " less " in line]
    assert len(lines) == len(report["paired"]) == 6
    assert all("less the strongest untrained row" in line for line in lines)


def test_retrieval_stands_beside_the_probe_for_every_encoder_and_setting(report, test):
    rows = report["retrieval"]
    assert [(row["features"], row["representation"], row["setting"]) for row in rows] == [
        (features, representation, setting)
        for representation in ("posterior_mean", "pooled")
        for features in ("trained", "untrained")
        for setting in ("aligned", "z", "so3")
    ]
    for row in rows:
        assert row["queries"] == len(test)
        assert row["alone_in_their_class"] == 0
        assert row["mean_average_precision"] == pytest.approx(np.mean(row["of_seeds"]))
        assert list(row["precision_at"]) == ["1", "5", "10"]
    lines = [" ".join(line.split()) for line in table_of(report).splitlines()[5:10]]
    assert lines[0] == "retrieval, mean average precision"
    first, second = rows[0]["of_seeds"]
    shown = f"{50 * (first + second):.1f} ± {100 * abs(first - second) / 2**0.5:.1f}"
    assert lines[1].startswith(f"trained posterior mean {shown}")
    assert lines[4].startswith("untrained pooled")


def test_retrieval_is_of_the_very_features_that_are_probed(report, test):
    points = test.batch(range(len(test)), PROTOCOL.points, "probe", 0)
    expected = retrieve(spreads(points)["mean"], test.labels)
    found = find(report["retrieval"][:6], "trained", "aligned")
    assert found["of_seeds"][0] == pytest.approx(expected.mean_average_precision)
    assert found["of_seeds"][0] > find(report["retrieval"][:6], "trained", "so3")["of_seeds"][0]
    constant = [row for row in report["retrieval"] if row["features"] == "untrained"][3:]
    for row in constant:  # every one as far: the share of one's class among the others
        assert row["of_seeds"] == pytest.approx([11 / 35] * 2)
        assert row["precision_at"]["10"] == pytest.approx(11 / 35)


def test_a_test_split_of_one_shape_a_class_is_probed_without_retrieval(train, test):
    report = run_probe(spreads, noise_encoder, train, test.subset([0, 12, 24]), PROTOCOL)
    assert report["retrieval"] == []
    assert "retrieval" not in table_of(report)


def test_progress_names_seed_and_encoder(train, test):
    told = []
    run_probe(spreads, noise_encoder, train, test, PROTOCOL, progress=told.append)
    assert told == [
        f"probe seed {seed}: {features} encoder"
        for seed in (0, 1)
        for features in ("trained", "untrained")
    ]


def test_unlabelled_and_mismatched_splits_are_refused(train, test):
    with pytest.raises(UserError, match="test split of solids has no labels"):
        run_probe(spreads, noise_encoder, train, replace(test, labels=None), PROTOCOL)
    said = r"the splits train and test of solids have different classes \({}\): a classifier"
    for classes, why in {
        ("a", "b", "c"): "pole is in train alone",
        (*CLASSES, "cone"): "cone is in test alone",
        CLASSES[::-1]: "they come in another order",
    }.items():
        with pytest.raises(UserError, match=said.format(why)):
            run_probe(spreads, noise_encoder, train, replace(test, classes=classes), PROTOCOL)


def test_a_class_that_is_too_small_is_named_with_a_protocol_that_does(train, test):
    few = train.subset([*range(12), *range(12, 14), *range(24, 36)])
    with pytest.raises(
        UserError,
        match=r"^the class slab has 2 training items, fewer than the 3 folds of the "
        r"cross-validation: .* or take a protocol with one C, such as occo",
    ):
        run_probe(spreads, noise_encoder, few, test, PROTOCOL)
    for name in ("occo", "crosspoint"):
        assert not load_protocol(name).chooses
    occo = protocol_for(SimpleNamespace(points=24), load_protocol("occo"), few, test)
    assert run_probe(spreads, noise_encoder, few, test, occo)["extra_rows"]
    with pytest.raises(UserError, match="all training items have the class ball: a probe needs"):
        run_probe(spreads, noise_encoder, train.subset(range(24, 36)), test, occo)


def images(split):
    """Bright and dark images: told apart by their mean."""
    rng = np.random.default_rng(len(split))
    labels = np.arange(24) % 2
    array = rng.integers(100, size=(24, 1, 4, 4)) + 100 * labels[:, None, None, None]
    ids = tuple(f"{split}{row}" for row in range(24))
    return ImageSet(
        name="lights",
        split=split,
        images=array.astype(np.uint8),
        labels=labels,
        classes=("dark", "bright"),
        ids=ids,
    )


def test_images_are_probed_as_they_are_by_their_posterior_mean(train, test):
    def encode(batch):
        return {"mean": batch.mean(axis=(2, 3))}

    lit, lit_too = images("train"), images("test")
    protocol = protocol_for(None, ProbeProtocol(seeds=(0,)), lit, lit_too)
    found = run_probe(encode, lambda seed: encode, lit, lit_too, protocol)
    assert [(row["representation"], row["setting"]) for row in found["rows"]] == [
        ("posterior_mean", "aligned")
    ] * 2
    assert found["extra_rows"] == []
    assert "without_near_copies" not in found
    assert "near" not in table_of(found)
    assert found["rows"][0]["accuracy_mean"] == 1
    with pytest.raises(
        UserError, match=r"the class bright has 1 training item, .* a protocol of one's own"
    ):
        run_probe(encode, lambda seed: encode, lit.subset([0, 1, 2, 4]), lit_too, protocol)
    with pytest.raises(UserError, match="lights holds images: take ours"):
        protocol_for(None, load_protocol("strl"), lit, lit_too)
    with pytest.raises(UserError, match="averages over turned shapes, and lights holds images"):
        protocol_for(None, load_protocol("averaged-z"), lit, lit_too)


def test_points_left_open_are_the_models_or_as_many_as_the_data_has(train, test):
    for trained_with, drawn in {24: 24, 1024: 40}.items():
        model = SimpleNamespace(points=trained_with)
        assert protocol_for(model, ProbeProtocol(), train, test).points == drawn
        assert protocol_for(model, ProbeProtocol(points=8), train, test).points == 8
    for points, said in {41: "draws 41 points", None: "draws no points"}.items():
        with pytest.raises(UserError, match=f"{said} of each cloud, and those of solids have 40"):
            run_probe(spreads, noise_encoder, train, test, changed(points=points))


def test_the_validation_probe_scores_held_out_shapes(train, test):
    features, held_out = spreads(train.points)["mean"], spreads(test.points)["mean"]
    assert validation_probe(features, train.labels, held_out, test.labels) > 0.9
    shifted = (test.labels + 1) % 3
    assert validation_probe(features, train.labels, held_out, shifted) < 0.1
