import dataclasses
import functools

import numpy as np
import pytest
from matplotlib.image import imread

from pc_crvae.config import PointModelConfig
from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.errors import UserError
from pc_crvae.evaluation.robustness import run
from pc_crvae.evaluation.robustness.encoding import posterior_encoder
from pc_crvae.evaluation.robustness.picture import robustness_curves
from pc_crvae.evaluation.robustness.protocol import RobustnessProtocol
from pc_crvae.evaluation.robustness.reference import corruption_errors
from pc_crvae.evaluation.robustness.report import RobustnessReport
from pc_crvae.evaluation.robustness.run import run_robustness
from pc_crvae.evaluation.robustness.table import format_robustness
from pc_crvae.models.points.vae import PointVAE

EDGES = np.linspace(0, 1, 7)


def shapes(split, count, points=40):
    """Shells and balls, which only radii tell apart."""
    rng = np.random.default_rng(count)
    clouds = rng.normal(size=(count, points, 3))
    clouds /= np.linalg.norm(clouds, axis=2, keepdims=True)
    labels = np.arange(count) % 2
    radii = np.where(labels[:, None] == 1, rng.uniform(size=(count, points)) ** (1 / 3), 1)
    return CloudSet(
        name="toy",
        split=split,
        points=normalize(clouds * radii[:, :, None]),
        labels=labels,
        classes=("shell", "ball"),
        ids=tuple(map(str, range(count))),
    )


def posteriors(mean, log_variance, pooled):
    return {"mean": mean, "log_variance": log_variance, "pooled": pooled}


def radial(clouds):
    """Features that no turn changes: how radii are spread."""
    histograms = [np.histogram(np.linalg.norm(one, axis=1), EDGES)[0] / len(one) for one in clouds]
    features = np.array(histograms, dtype=np.float32)
    return posteriors(features, np.zeros_like(features), features)


def by_place(clouds):
    """Features that turns change: the first points, as they come."""
    features = np.stack([np.asarray(one)[:4].reshape(-1) for one in clouds]).astype(np.float32)
    return posteriors(features, np.zeros_like(features), features)


def measured(trained=radial, untrained=by_place, train=None, test=None, **protocol):
    values = {"points": 40, "point_counts": (8, 20), "seeds": (0, 1), "parts": ("rotation",)}
    return run_robustness(
        trained,
        lambda seed: untrained,
        train or shapes("train", 24),
        test or shapes("test", 14),
        RobustnessProtocol(**values | protocol),
    )


def rows_where(rows, **values):
    return [
        row for row in rows if all(getattr(row, name) == value for name, value in values.items())
    ]


def test_features_that_no_turn_changes_keep_their_accuracy_and_do_not_drift():
    report = measured()
    found = rows_where(report.rows, features="trained")
    assert len(found) == 2 * 6
    for row in found:
        assert row.accuracies == found[0].accuracies
        assert row.accuracy_mean == 1
    for row in rows_where(report.drift, features="trained"):
        assert row.cosine == pytest.approx(1, abs=1e-4)
        assert row.centered_cosine == pytest.approx(1, abs=1e-2)
        assert row.kl == pytest.approx(0, abs=1e-4)
    for row in rows_where(report.drift, features="untrained"):
        assert row.cosine < 0.9
        assert row.kl > 0.1
        assert row.kl_per_dimension == pytest.approx(row.kl / 12)


def test_drift_is_the_closed_form_from_the_moved_posterior_to_the_unmoved_one():
    def counting(clouds):
        """q = N([n, 1], e^(n / 40)) for n points."""
        sizes = np.array([len(one) for one in clouds], dtype=np.float32)[:, None]
        mean = np.hstack([sizes, np.ones_like(sizes)])
        log_variance = np.repeat(sizes / 40, 2, axis=1)
        return posteriors(mean, log_variance, mean + by_place(clouds)["mean"][:, :2])

    report = measured(trained=counting, parts=("points",), seeds=(0,))
    (row,) = rows_where(report.drift, features="trained", level=20)
    variance, variance_there = np.exp(20 / 40), np.exp(1)
    shared = np.log(variance_there / variance) + variance / variance_there - 1
    assert row.kl == pytest.approx((2 * shared + (20 - 40) ** 2 / variance_there) / 2)
    ours, unmoved = np.array([20.0, 1]), np.array([40.0, 1])
    lengths = np.linalg.norm(ours) * np.linalg.norm(unmoved)
    assert row.cosine == pytest.approx(ours @ unmoved / lengths)


def test_what_all_shapes_share_is_left_out_of_the_centred_cosine():
    def shared(clouds):
        encoded = by_place(clouds)
        return encoded | {"mean": encoded["mean"] + 1000}

    report = measured(trained=shared, seeds=(0,))
    for row in rows_where(report.drift, features="trained", condition="so3"):
        (plain,) = rows_where(report.drift, features="untrained", condition="so3")
        assert row.cosine > 0.999
        assert row.centered_cosine == pytest.approx(plain.centered_cosine, abs=1e-3)
        assert row.centered_cosine < 0.9


def test_posteriors_without_a_density_have_no_divergence():
    def code(clouds):
        return {name: radial(clouds)[name] for name in ("mean", "pooled")}

    report = measured(trained=code, parts=("points",), seeds=(0,))
    for row in rows_where(report.drift, features="trained"):
        assert row.kl is None
        assert row.cosine > 0.5
    assert " - " in format_robustness(report)


def test_classifiers_are_fitted_on_training_labels_alone(monkeypatch):
    fitted = []
    fit = run.fit_linear_svm

    def spy(features, labels, **options):
        fitted.append((len(features), labels.tolist()))
        return fit(features, labels, **options)

    monkeypatch.setattr(run, "fit_linear_svm", spy)
    train, test = shapes("train", 24), shapes("test", 14)
    honest = measured(train=train, test=test, seeds=(0,))
    assert len(fitted) == 2 * 2 * 3
    assert all(one == (24, train.labels.tolist()) for one in fitted)
    poisoned = measured(
        train=train, test=dataclasses.replace(test, labels=1 - test.labels), seeds=(0,)
    )
    for ours, theirs in zip(honest.rows, poisoned.rows, strict=True):
        assert ours.accuracy_mean == pytest.approx(1 - theirs.accuracy_mean)
    assert honest.drift == poisoned.drift


def test_training_shapes_are_turned_as_the_table_says():
    seen = []

    def recording(clouds):
        seen.append(np.asarray(clouds))
        return radial(clouds)

    measured(trained=recording, seeds=(0,))
    aligned, about_z, any_turn = seen[:3]
    assert len(seen) == 3 + 3
    assert all(len(clouds) == 24 for clouds in seen[:3])
    np.testing.assert_allclose(about_z[..., 2], aligned[..., 2], atol=1e-6)
    assert (np.abs(about_z - aligned).max(axis=(1, 2)) > 0.01).all()
    assert (np.abs(any_turn[..., 2] - aligned[..., 2]).max(axis=1) > 0.01).all()
    np.testing.assert_allclose(
        np.linalg.norm(any_turn, axis=2), np.linalg.norm(aligned, axis=2), atol=1e-6
    )


def test_progress_is_told_as_often_as_promised():
    steps = []
    protocol = RobustnessProtocol(points=40, point_counts=(8,), seeds=(0, 1), parts=("points",))
    run_robustness(
        radial,
        lambda seed: by_place,
        shapes("train", 24),
        shapes("test", 14),
        protocol,
        advance=lambda: steps.append(None),
    )
    assert len(steps) == protocol.steps == 2 * 2 * (1 + 2)


def test_an_encoder_that_needs_more_points_is_said_with_the_condition():
    def picky(clouds):
        if len(clouds[0]) < 10:
            raise ValueError("this encoder needs 10")
        return radial(clouds)

    with pytest.raises(UserError, match=r"under points count 8 \(this encoder needs 10\)"):
        measured(trained=picky, parts=("points",))


def test_sets_that_do_not_go_together_are_refused():
    train, test = shapes("train", 24), shapes("test", 14)
    with pytest.raises(UserError, match="has no labels"):
        measured(train=dataclasses.replace(train, labels=None), test=test)
    rows = np.flatnonzero(train.labels == 0)[:2].tolist()
    few = train.subset(rows + np.flatnonzero(train.labels > 0).tolist())
    with pytest.raises(UserError, match=r"the class \w+ has 2 training items, fewer than the 3"):
        measured(train=few, test=test)
    with pytest.raises(UserError, match=r"the splits train and test of .* have different classes"):
        measured(train=train, test=dataclasses.replace(test, classes=("a", "b")))
    for values in ({"seeds": ()}, {"seeds": (0, 0)}, {"elevations": (91,)}):
        with pytest.raises(UserError):
            RobustnessProtocol(**values)


@pytest.mark.parametrize("posterior", ["gaussian", "code"])
def test_clouds_of_different_sizes_are_encoded_as_each_alone(posterior):
    config = PointModelConfig.model_validate(
        {
            "encoder": {"name": "pointnet", "widths": (8, 16), "batch_norm": True},
            "latent_dim": 4,
            "decoder": {"name": "fully_connected", "points": 16, "widths": (16,)},
            "likelihood": {"scale": 1.0},
        }
    )
    model = PointVAE(config, posterior=posterior)
    rng = np.random.default_rng(0)
    clouds = [rng.normal(size=(size, 3)).astype(np.float32) for size in (30, 7, 30, 12)]
    together = posterior_encoder(model)(clouds)
    for row, cloud in enumerate(clouds):
        alone = posterior_encoder(model)(cloud[None])
        np.testing.assert_allclose(together["mean"][row], alone["mean"][0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            together["pooled"][row], alone["pooled"][0], rtol=1e-5, atol=1e-6
        )
    assert ("log_variance" not in together) == (posterior == "code")
    assert model.training


@functools.cache
def measured_corruptions():
    return measured(
        train=shapes("train", 12, 520),
        test=shapes("test", 6, 520),
        points=520,
        parts=("corruption", "points"),
    )


def corruption_rows(features, accuracies):
    """Rows of both representations, with these accuracies, one a seed, everywhere."""
    return [
        row.model_copy(
            update={
                "features": features,
                "accuracies": accuracies,
                "accuracy_mean": np.mean(accuracies),
            }
        )
        for row in rows_where(measured_corruptions().rows, features="trained", part="corruption")
    ]


def test_corruption_errors_are_over_the_reference_s_mean_errors():
    rows = corruption_rows("trained", [0.9, 0.7]) + corruption_rows("untrained", [0.5, 0.7])
    trained, *_, untrained = corruption_errors(rows)
    assert trained.mce == pytest.approx([0.1 / 0.4, 0.3 / 0.4])
    assert trained.mce_mean == pytest.approx(0.5)
    assert trained.mce_std == pytest.approx(0.5 / np.sqrt(2))
    assert trained.ce["jitter"] == pytest.approx(0.5)
    assert untrained.mce_mean == pytest.approx(1)
    better = [
        row.model_copy(update={"accuracies": (1.0, 1.0)})
        if (row.features, row.condition) == ("trained", "jitter")
        else row
        for row in rows
    ]
    assert corruption_errors(better)[0].mce == pytest.approx([6 / 7 * 0.1 / 0.4, 6 / 7 * 0.3 / 0.4])


def test_a_reference_without_any_error_measures_nothing_and_says_so():
    rows = corruption_rows("trained", [0.9, 0.7]) + corruption_rows("untrained", [1.0, 1.0])
    for row in corruption_errors(rows):
        assert row.mce_mean is None
        assert "makes no error under scale" in row.note


def test_a_report_is_read_as_it_was_written(tmp_path):
    report = measured_corruptions()
    report.write(tmp_path / "report.json")
    assert RobustnessReport.read(tmp_path / "report.json") == report


def test_curves_are_drawn_of_whatever_has_levels(tmp_path):
    report = measured_corruptions()
    robustness_curves(report, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size < 300_000
    few = [row for row in report.rows if row.part != "corruption"]
    robustness_curves(report.model_copy(update={"rows": few}), tmp_path / "few.png")
    assert imread(tmp_path / "few.png").size < imread(tmp_path / "curves.png").size
