"""The training-free row: how its descriptor is chosen, and that it stands beside the others."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.probe_protocols import protocol_names
from helpers.toy_models import with_encoder
from pc_crvae.config import PointModelConfig
from pc_crvae.errors import UserError
from pc_crvae.evaluation import training_free as descriptors
from pc_crvae.evaluation.encoders import probe_model
from pc_crvae.evaluation.metrics.accuracy import class_mean_accuracy
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM, NearestNeighbors, Ridge
from pc_crvae.evaluation.probe.classifiers import held_out_predictions
from pc_crvae.evaluation.probe.protocol import ProbeProtocol, load_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.probe.table import format_table
from pc_crvae.evaluation.probe.training_free import choose_training_free
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.points.vae import PointVAE

PROTOCOL = ProbeProtocol(
    points=24,
    seeds=(3, 1),
    classifier=LinearSVM(c=(1e-3, 1e-1)),
    settings=("aligned", "z"),
    retrieval=False,
)


def spreads(points):
    return {"mean": points.std(axis=1), "pooled": np.abs(points).max(axis=1)}


def noise(points):
    return {"mean": np.random.default_rng(0).normal(size=(len(points), 4))}


def test_the_best_class_mean_within_the_training_items_is_taken_and_all_are_reported(train):
    candidates = {"noise": noise, "spreads": spreads, "again": spreads}
    for classifier in (LinearSVM(c=(1e-3, 1e-1)), Ridge(name="ridge", alpha=(1.0, 10.0))):
        protocol = PROTOCOL.model_copy(update={"classifier": classifier})
        found = choose_training_free(candidates, train.points, train.labels, protocol)
        assert found.report.chosen == "spreads"  # of equals the first
        assert [each.kind for each in found.report.candidates] == list(candidates)
        scores = [each.class_mean for each in found.report.candidates]
        assert scores[0] < 0.6 < 0.8 < scores[1] == scores[2]
        fixed = {"c": (found.fitted.chosen,)} if hasattr(classifier, "c") else {}
        fixed = fixed or {"alpha": (found.fitted.chosen,)}
        held_out = held_out_predictions(
            classifier.model_copy(update=fixed), found.train, train.labels, folds=3, seed=3
        )
        np.testing.assert_array_equal(held_out, found.fitted.held_out)
        assert scores[1] == class_mean_accuracy(train.labels, held_out)


def test_a_classifier_without_a_choice_is_cross_validated_all_the_same(train):
    protocol = PROTOCOL.model_copy(update={"classifier": LinearSVM(c=(0.1,))})
    candidates = {"noise": noise, "spreads": spreads}
    found = choose_training_free(candidates, train.points, train.labels, protocol)
    assert found.report.chosen == "spreads"
    assert found.report.candidates[0].class_mean < 0.6


def test_every_class_counts_alike_in_the_choice():
    labels = np.repeat([0, 1, 2], [60, 6, 6])
    jitter = 1e-3 * np.random.default_rng(0).normal(size=72)
    alike, apart = np.zeros((72, 1)), np.zeros((72, 14))
    alike[:, 0] = 10 * (labels > 0) + jitter  # the small classes are one
    apart[:, 0] = 10 * labels + jitter
    apart[:12, 0], apart[:12, 2:] = 10, 0.5 * np.eye(12)  # a fifth of the large one looks small
    candidates = {"alike": lambda _: {"mean": alike}, "apart": lambda _: {"mean": apart}}
    rules = {"classifier": NearestNeighbors(name="knn", k=(1,)), "standardise": False}
    protocol = PROTOCOL.model_copy(update=rules)
    found = choose_training_free(candidates, np.zeros((72, 4, 3)), labels, protocol)
    first, second = found.report.candidates
    assert first.accuracy > second.accuracy
    assert first.class_mean < second.class_mean
    assert found.report.chosen == "apart"


def test_its_rows_and_differences_stand_beside_those_of_the_encoders(train, test, tmp_path):
    asked = []

    def candidates(points):
        asked.append(points)
        return {"noise": noise, "spreads": spreads}

    def untrained(seed):
        return lambda points: noise(points) | {"pooled": noise(points)["mean"]}

    told = []
    found = probe_encoders(spreads, untrained, train, test, PROTOCOL, told.append, candidates)
    report = found.report
    assert report.training_free.chosen == "spreads"
    rows = [row for row in report.rows if row.features == "training_free"]
    assert [(row.representation, row.setting) for row in rows] == [
        ("spreads", "aligned"),
        ("spreads", "z"),
    ]
    trained = [row for row in report.rows if row.features == "trained"]
    for ours, theirs in zip(trained, rows, strict=True):
        assert ours.accuracies[0] == theirs.accuracies[0]  # the very same features and C
        assert len(theirs.accuracies) == 2
        assert theirs.c == (ours.c[0],) * 2  # held
    assert not [row for row in report.extra_rows if row.features == "training_free"]
    assert "training_free.spreads.z" in found.predictions.rows
    sides = [(row.trained, row.setting, row.training_free) for row in report.paired[:4]]
    assert sides == [
        (representation, setting, "spreads")
        for representation in ("posterior_mean", "pooled")
        for setting in ("aligned", "z")
    ]
    means = [row.accuracy_mean for row in (trained[0], rows[0])]
    assert report.paired[0].difference == pytest.approx(means[0] - means[1])
    assert [row.training_free for row in report.paired[4:]] == [None] * 4
    assert {row.untrained for row in report.paired[4:]} <= {"posterior_mean", "pooled"}
    # Nothing of the test split had been seen, and it was asked once, under the first seed.
    np.testing.assert_array_equal(*asked, train.batch(range(len(train)), 24, "probe", 3))
    assert told.index("training-free candidate noise") < told.index("probe seed 3: trained encoder")
    assert "probe seed 1: training-free encoder" in told

    report.write(tmp_path / "probe.json")
    assert ProbeReport.read(tmp_path / "probe.json") == report
    table = format_table(report)
    assert "\ntraining-free spreads " in table
    first, *_ = (part.splitlines() for part in table.split("\n\n") if part.startswith("less "))
    assert first[0] == "less the training-free row (spreads)"
    difference, (low, high) = report.paired[0].difference, report.paired[0].interval
    shown = f"{100 * difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    assert first[1].startswith("trained posterior mean ")
    assert shown in first[1]
    assert "training-free: spreads, of the best class mean by cross-validation" in table


def test_a_class_of_one_item_leaves_nothing_to_choose_by(train, test):
    fixed = PROTOCOL.model_copy(update={"classifier": LinearSVM(c=(0.1,))})
    few = train.subset(np.flatnonzero((train.labels != 2) | (np.arange(len(train)) == 24)))

    def untrained(seed):
        return spreads

    def candidates(points):
        return {"spreads": spreads}

    with pytest.raises(UserError, match=r"class ball has 1 training item, .*--no-training-free"):
        probe_encoders(spreads, untrained, few, test, fixed, training_free=candidates)
    probe_encoders(spreads, untrained, few, test, fixed)


def test_the_choice_does_not_depend_on_the_test_split(train, test):
    def candidates(points):
        return {"noise": noise, "spreads": spreads}

    misled = replace(test, labels=(test.labels + 1) % 3)
    reports = [
        probe_encoders(
            spreads, lambda seed: spreads, train, split, PROTOCOL, training_free=candidates
        ).report
        for split in (test, misled)
    ]
    assert reports[0].training_free == reports[1].training_free
    assert reports[0].rows != reports[1].rows


def framed(frames):
    point_model = with_encoder(name="pointnet", widths=[8, 16], batch_norm=False)
    values = point_model.architecture.model_dump(mode="json") | {"frames": frames}
    return PointVAE(PointModelConfig.model_validate(values, strict=False), points=24).eval()


def test_it_is_as_invariant_as_the_model_that_is_probed(train, test):
    for frames, invariant in (("z", True), (None, False)):
        model = framed(frames)
        assert descriptors.frames_of(model) == frames
        batch = train.batch(range(6), 24, "x")
        turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
        beside = descriptors.descriptors_beside(model, batch, lambda encode: encode)
        assert list(beside) == ["bps", "octants", "bps+octants"]
        for encode in beside.values():
            plain, turned = encode(batch)["mean"], encode(batch @ turn.T)["mean"]
            assert np.allclose(plain, turned, atol=1e-3) == invariant


def test_a_model_of_clouds_has_the_row_and_a_descriptor_has_none(train, test):
    one = PROTOCOL.model_copy(update={"seeds": (0,), "settings": ("aligned",)})
    report = probe_model(framed("z"), train, test, one).report
    assert report.training_free.frames == "z"
    assert report.training_free.chosen in descriptors.KINDS
    (row,) = [row for row in report.rows if row.features == "training_free"]
    assert row.representation == report.training_free.chosen
    assert report.protocol.training_free is True
    without = one.model_copy(update={"training_free": False})
    plain = probe_model(framed("z"), train, test, without).report
    assert plain.training_free is None
    assert [row for row in report.rows if row.features != "training_free"] == list(plain.rows)
    alone = probe_model(Descriptor("bps", points=24), train, test, one).report
    assert alone.protocol.training_free is False
    assert alone.training_free is None
    assert {row.features for row in alone.rows} == {"given"}


def test_ours_ask_for_it_and_published_protocols_do_not():
    asking = {name for name in protocol_names() if load_protocol(name).training_free}
    assert asking == {"ours", "ours-full", "averaged-z", "averaged-so3"}
