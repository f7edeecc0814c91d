"""How much of a frozen representation is left when test shapes are turned, spoilt or seen in part.

A linear SVM is fitted on the features of training shapes and scored on those of test shapes under
every condition of :mod:`.conditions`; beside its accuracy stands how far the posterior
of a shape has moved. The untrained encoder is put through all of it as well, on the very same
clouds. Nothing is chosen by a test label: they are scored against, at the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import check_enough_of_each, check_same_classes
from pc_crvae.evaluation.probe.linear_svm import (
    DEFAULT_C_GRID,
    FittedProbe,
    Labels,
    accuracy,
    fit_linear_svm,
)
from pc_crvae.evaluation.reports import DataCut, library_versions
from pc_crvae.evaluation.robustness.conditions import (
    PARTS,
    Clouds,
    Condition,
    Part,
    apply_condition,
    check_points,
    conditions_of,
    turn,
)
from pc_crvae.evaluation.robustness.corruptions import CORRUPTIONS, SEVERITIES
from pc_crvae.evaluation.robustness.report import (
    FEATURES,
    REPRESENTATIONS,
    Drift,
    Reference,
    accuracy_rows,
    check_reference,
    corruption_errors,
    drift_rows,
)
from pc_crvae.latents.posteriors import DiagonalGaussian, gaussian_kl
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import evaluating

_POINTS_AT_ONCE = 64 * 1024

TRAINING_TURNS = {"aligned": ("aligned", "z", "so3"), "z": ("z", "so3"), "so3": ("so3",)}
"""How the classifier's training shapes are turned, and the turns its test shapes come under."""


@dataclass(frozen=True)
class Encoded:
    """What an encoder makes of n clouds.

    Attributes:
        mean: (n, d) posterior means.
        log_variance: (n, d) of the posterior; None for a plain auto-encoder, which has none.
        pooled: (n, f) the encoder's features, before the posterior's head.
    """

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32] | None
    pooled: NDArray[np.float32]


Encode = Callable[[Clouds], Encoded]


@dataclass(frozen=True)
class RobustnessProtocol:
    """What decides the numbers, apart from the encoders and the data.

    Attributes:
        points: points drawn of each shape, under every condition but those of fewer or more.
        seeds: each is one draw of points, turns, corruptions, cameras, folds and untrained weights.
        parts: of the table, in any order.
        elevations: of the cameras that occluded shapes are seen from, in degrees.
        point_counts: for the part ``points``.
        c_grid: penalties C of the SVM, among which cross-validation chooses.
        folds: of that cross-validation.

    Raises:
        UserError: a value out of its range.
    """

    points: int = 1024
    seeds: tuple[int, ...] = (0, 1, 2)
    parts: tuple[Part, ...] = PARTS
    elevations: tuple[int, ...] = (0, 30, 60)
    point_counts: tuple[int, ...] = (64, 128, 256, 512, 1024)
    c_grid: tuple[float, ...] = DEFAULT_C_GRID
    folds: int = 3

    def __post_init__(self) -> None:
        for name in ("seeds", "parts", "elevations", "point_counts"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise UserError(f"{name} must be at least one and distinct, not {values}")
        if not set(self.parts) <= set(PARTS):
            raise UserError(f"parts must be among {', '.join(PARTS)}, not {self.parts}")
        if self.points < 1 or min(self.point_counts) < 1:
            raise UserError("shapes of fewer than 1 point have no features: ask for more points")
        if not all(-90 <= elevation <= 90 for elevation in self.elevations):
            raise UserError(f"elevations must lie between -90 and 90, not {self.elevations}")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that the test shapes are put under, as they are first."""
        return conditions_of(self.parts, self.elevations, self.point_counts)

    @property
    def training_turns(self) -> tuple[str, ...]:
        """How training shapes are turned, a classifier each."""
        return tuple(TRAINING_TURNS) if "rotation" in self.parts else ("aligned",)

    @property
    def steps(self) -> int:
        """Sets of clouds that encoders are run on."""
        turns, conditions = len(self.training_turns), len(self.conditions)
        return len(self.seeds) * len(FEATURES) * (turns + conditions)


def posterior_encoder(model: PretrainedVAE) -> Encode:
    """Encode by a model of points, clouds of one size together."""

    def encode(clouds: Clouds) -> Encoded:
        sizes = np.array([len(cloud) for cloud in clouds])
        parts: list[tuple[NDArray[np.int64], Encoded]] = []
        with evaluating(model):
            for size in np.unique(sizes):
                rows = np.flatnonzero(sizes == size)
                at_once = max(1, _POINTS_AT_ONCE // int(size))
                for start in range(0, len(rows), at_once):
                    part = rows[start : start + at_once]
                    parts.append((part, _encode(model, np.stack([clouds[row] for row in part]))))
        return _joined(parts, len(sizes))

    return encode


def run_robustness(
    trained: Encode,
    untrained: Callable[[int], Encode],
    train: CloudSet,
    test: CloudSet,
    protocol: RobustnessProtocol,
    *,
    reference: Reference | None = None,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Score a trained encoder and, beside it, freshly initialised ones, under every condition.

    Args:
        trained: the frozen encoder.
        untrained: a freshly initialised encoder of the same architecture for a seed.
        train: labelled shapes that classifiers are fitted on.
        test: labelled shapes of the same classes; their labels are only scored against.
        protocol: the rest.
        reference: whose corruption errors are 1; None for the untrained encoder, representation
            by representation.
        advance: called after each of the ``protocol.steps`` sets of clouds.

    Returns:
        A report of plain numbers, strings and lists, ready for JSON: ``rows`` of accuracies in
        [0, 1], ``drift``, ``corruption_errors`` (none without corruptions), ``protocol``, ``data``
        and ``versions``.

    Raises:
        UserError: a split without labels, splits of different classes, a class with fewer shapes
            than folds, shapes of too few points, or features that are not finite.
    """
    train_labels, test_labels = _labels_of(train, test)
    if len(protocol.c_grid) > 1:
        check_enough_of_each(train.classes, train_labels, protocol.folds)
    check_points(protocol.conditions, protocol.points, test.points.shape[1])
    if reference is not None:
        check_reference(reference, protocol.points, protocol.seeds, test.fingerprint())
    accuracies: dict[tuple[str, str, str, Condition], list[float]] = {}
    drifts: dict[tuple[str, Condition], list[Drift]] = {}
    for seed in protocol.seeds:
        # The probe's own draws of points: at as many points, its rows and these agree.
        train_clouds, test_clouds = (
            items.batch(range(len(items)), protocol.points, "probe", seed)
            for items in (train, test)
        )
        encoders = {"trained": trained, "untrained": untrained(seed)}
        probes: dict[tuple[str, str, str], FittedProbe] = {}
        for how in protocol.training_turns:
            turned = turn(train_clouds, how, "robustness training turn", how, seed)
            for features, encode in encoders.items():
                encoded = encode(turned)
                for representation in REPRESENTATIONS:
                    probes[features, representation, how] = fit_linear_svm(
                        getattr(encoded, representation),
                        train_labels,
                        c_grid=protocol.c_grid,
                        folds=protocol.folds,
                        seed=seed,
                    )
                advance()
        unmoved: dict[str, Encoded] = {}
        for condition in protocol.conditions:
            clouds = apply_condition(condition, test_clouds, test, seed)
            for features, encode in encoders.items():
                encoded = _encode_under(condition, encode, clouds)
                drift = _drift(encoded, unmoved.setdefault(features, encoded))
                drifts.setdefault((features, condition), []).append(drift)
                for how in _fitted_on(condition, protocol):
                    for representation in REPRESENTATIONS:
                        predicted = probes[features, representation, how].predict(
                            getattr(encoded, representation)
                        )
                        key = features, representation, how, condition
                        accuracies.setdefault(key, []).append(accuracy(test_labels, predicted))
                advance()
    rows = accuracy_rows(accuracies)
    return {
        "rows": rows,
        "drift": drift_rows(
            {key: found for key, found in drifts.items() if key[1] != protocol.conditions[0]}
        ),
        "corruption_errors": corruption_errors(rows, reference),
        "protocol": _describe(protocol),
        "data": {"train": DataCut.of(train).plain(), "test": DataCut.of(test).plain()},
        "versions": library_versions(),
    }


def _fitted_on(condition: Condition, protocol: RobustnessProtocol) -> Sequence[str]:
    if condition.part != "rotation":
        return ("aligned",)
    return [how for how in protocol.training_turns if condition.name in TRAINING_TURNS[how]]


def _encode_under(condition: Condition, encode: Encode, clouds: Clouds) -> Encoded:
    try:
        return encode(clouds)
    except ValueError as error:
        raise UserError(
            f"the encoder does not take the shapes under {condition} ({error}): leave out "
            f"--parts {condition.part}, or what of it is too few points"
        ) from error


def _encode(model: PretrainedVAE, batch: NDArray[np.float32]) -> Encoded:
    pooled = model.features(torch.from_numpy(batch).to(model.device))
    posterior = model.head(pooled)
    log_variance = (
        posterior.log_variance.cpu().numpy() if isinstance(posterior, DiagonalGaussian) else None
    )
    return Encoded(posterior.mean.cpu().numpy(), log_variance, pooled.float().cpu().numpy())


def _joined(parts: Sequence[tuple[NDArray[np.int64], Encoded]], count: int) -> Encoded:
    """Put the rows of all parts where they belong."""

    def whole(name: str) -> NDArray[np.float32]:
        first: NDArray[np.float32] = getattr(parts[0][1], name)
        values = np.empty((count, first.shape[1]), dtype=np.float32)
        for rows, encoded in parts:
            values[rows] = getattr(encoded, name)
        return values

    has_density = parts[0][1].log_variance is not None
    return Encoded(whole("mean"), whole("log_variance") if has_density else None, whole("pooled"))


def _drift(moved: Encoded, unmoved: Encoded) -> Drift:
    cosine = _cosine(moved.mean, unmoved.mean)
    center = unmoved.mean.mean(axis=0, dtype=np.float64)
    centered = _cosine(moved.mean - center, unmoved.mean - center)
    dimensions = moved.mean.shape[1]
    if moved.log_variance is None or unmoved.log_variance is None:
        return Drift(cosine, centered, None, dimensions)
    first, second = (
        DiagonalGaussian(
            torch.from_numpy(encoded.mean).double(), torch.from_numpy(variance).double()
        )
        for encoded, variance in ((moved, moved.log_variance), (unmoved, unmoved.log_variance))
    )
    kl: NDArray[np.float64] = gaussian_kl(first, second).sum(dim=1).numpy()
    return Drift(cosine, centered, kl, dimensions)


def _cosine(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    cosine: NDArray[np.float64] = (unit_rows(first) * unit_rows(second)).sum(axis=1)
    return cosine


def _labels_of(train: CloudSet, test: CloudSet) -> tuple[Labels, Labels]:
    check_same_classes(train, test)
    if train.labels is None or test.labels is None:
        raise UserError(f"{train.name} has no labels: classifiers need a labelled set")
    return train.labels, test.labels


def _describe(protocol: RobustnessProtocol) -> dict[str, Any]:
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(protocol).items()
    }
    return values | {
        "classifier": "linear SVM, one-vs-rest, squared hinge, L2, intercept regularised, on "
        "features standardised by the training shapes; C by stratified cross-validation on them",
        "fitted_on": "training shapes as they are, of as many points as `points`; for rotation "
        "also turned, each shape once",
        "accuracy_std": "sample standard deviation over the seeds (ddof = 1)",
        "corruptions": f"{len(CORRUPTIONS)} corruptions at severities {SEVERITIES[0]} to "
        f"{SEVERITIES[-1]}, after the recipes of Ren, Pan & Liu (ICML 2022) for clouds of 1,024 "
        "points, drawn anew",
        "occlusion": "points hidden from a camera at an elevation, at an azimuth drawn for each "
        "shape, are removed (Katz et al. 2007); what is left stays in place, or is centred and "
        "scaled to radius 1",
        "drift": "cosine of the posterior means, as they are and less the mean of all shapes' as "
        "they are (centered), and KL(q(z|t(x)) || q(z|x)) in nats, means over "
        "the test shapes",
    }
