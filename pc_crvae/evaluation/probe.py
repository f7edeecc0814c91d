"""The probe's protocol: what a linear classifier reads off a frozen encoder, and under which turns.

The classifier is fitted on unturned training shapes and scored on test shapes as they are,
turned about the vertical, and turned by any rotation; so is retrieval among the test shapes
(:mod:`pc_crvae.evaluation.retrieval`). The untrained encoder is always scored beside the trained
one, on the very same points, turns and folds, because much of what a linear classifier reads is
there before any training.
"""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy
import sklearn
import torch
from numpy.typing import NDArray

from pc_crvae.data.batches import batch_of
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.linear_probe import (
    DEFAULT_C_GRID,
    Labels,
    accuracy,
    fit_linear_svm,
)
from pc_crvae.evaluation.report import (
    FEATURES,
    REPRESENTATIONS,
    SETTINGS,
    Outcome,
    compare_with_untrained,
    confusion_counts,
    describe_data,
    format_table,
    score,
    score_retrieval,
)
from pc_crvae.evaluation.retrieval import retrieve
from pc_crvae.geometry.rotations import rotate, rotation_about_z, rotation_from_quaternion
from pc_crvae.randomness import keyed_generator

__all__ = ["Encode", "ProbeProtocol", "format_table", "run_probe", "validation_probe"]

Encode = Callable[[NDArray[np.float32]], dict[str, NDArray[np.floating]]]
"""Items to the features ``mean`` (n, d), the posterior's, and, if any, ``pooled`` (n, f)."""

_VALIDATION_C = 1e-3


@dataclass(frozen=True)
class ProbeProtocol:
    """What decides a probe's numbers, apart from the encoders and the data.

    Attributes:
        points: points drawn of each cloud; None for images.
        seeds: probe seeds; each is one draw of points, turns, folds and untrained weights.
        c_grid: penalties C of the SVM, among which cross-validation chooses.
        folds: folds of that cross-validation.
        settings: how test shapes are turned, of ``aligned``, ``z`` and ``so3``; images are not.
        representations: what is probed, of ``mean`` and ``pooled``.

    Raises:
        UserError: a value out of its range.
    """

    points: int | None
    seeds: tuple[int, ...] = (0, 1, 2)
    c_grid: tuple[float, ...] = DEFAULT_C_GRID
    folds: int = 3
    settings: tuple[str, ...] = tuple(SETTINGS)
    representations: tuple[str, ...] = tuple(REPRESENTATIONS)

    def __post_init__(self) -> None:
        if self.points is None and self.settings != ("aligned",):
            raise UserError("images are probed as they are: the only setting is aligned")
        if self.points is not None and self.points < 1:
            raise UserError(f"the probe needs at least 1 point a cloud, not {self.points}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"probe seeds must be at least one and distinct, not {self.seeds}")
        if not self.c_grid or not all(0 < c < float("inf") for c in self.c_grid):
            raise UserError(f"the probe's C grid must hold positive numbers, not {self.c_grid}")
        if self.folds < 2:
            raise UserError(f"the probe's cross-validation needs 2 folds or more, not {self.folds}")
        if not self.settings or not set(self.settings) <= set(SETTINGS):
            raise UserError(
                f"probe settings must be among {', '.join(SETTINGS)}, not {self.settings}"
            )


def run_probe(
    trained: Encode,
    untrained: Callable[[int], Encode],
    train: ItemSet,
    test: ItemSet,
    protocol: ProbeProtocol,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Probe a trained encoder and, beside it, freshly initialised ones.

    Args:
        trained: the frozen encoder.
        untrained: a freshly initialised encoder of the same architecture for a probe seed.
        train: labelled shapes that classifiers are fitted on, unturned.
        test: labelled shapes of the same classes; their labels are only scored against.
        protocol: the rest.
        progress: told, in one line, what is being done.

    Returns:
        A report of plain numbers, strings and lists, ready for JSON: ``rows`` (posterior mean)
        and ``extra_rows`` (pooled), accuracies in [0, 1]; ``paired``, how far the trained rows lie
        above the strongest untrained one; ``retrieval``, what test shapes find of their classes
        among each other (no rows where no class has two); ``confusion`` of the trained
        encoder's posterior mean on aligned shapes, rows the true class, summed over seeds;
        ``protocol``, ``data`` and ``versions``.

    Raises:
        UserError: a split without labels, splits of different classes, too few points or
            samples, or features that are not finite.
    """
    _check_classes(train, test)
    train_labels, test_labels = _labels_of(train), _labels_of(test)
    outcomes: dict[tuple[str, str], list[Outcome]] = {
        (features, key): [] for key in protocol.representations for features in FEATURES
    }
    for seed in protocol.seeds:
        train_batch, test_batch = (
            batch_of(items, range(len(items)), protocol.points or 0, "probe", seed)
            for items in (train, test)
        )
        turned = {setting: _turn(test_batch, setting, seed) for setting in protocol.settings}
        for features in FEATURES:
            encode = trained if features == "trained" else untrained(seed)
            if progress is not None:
                progress(f"probe seed {seed}: {features} encoder")
            encoded = encode(train_batch)
            encoded_test = {setting: encode(batch) for setting, batch in turned.items()}
            for key in protocol.representations:
                outcome = _classify(
                    encoded[key],
                    train_labels,
                    {setting: of_test[key] for setting, of_test in encoded_test.items()},
                    test_labels,
                    protocol,
                    seed,
                )
                outcomes[features, key].append(outcome)

    def rows_of(key: str) -> list[dict[str, Any]]:
        return [
            score(features, setting, key, outcomes[features, key], test_labels, protocol.c_grid)
            for features in FEATURES
            for setting in protocol.settings
        ]

    report = {
        "rows": rows_of("mean"),
        "extra_rows": rows_of("pooled") if "pooled" in protocol.representations else [],
        "paired": [
            compare_with_untrained(setting, key, outcomes, test_labels)
            for key in protocol.representations
            for setting in protocol.settings
        ],
        "retrieval": [
            score_retrieval(features, setting, key, outcomes[features, key])
            for key in protocol.representations
            for features in FEATURES
            for setting in outcomes[features, key][0].retrieved
        ],
        "protocol": _describe(protocol),
        "data": {"train": describe_data(train), "test": describe_data(test)},
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    if "aligned" in protocol.settings:
        predictions = [outcome.predictions["aligned"] for outcome in outcomes["trained", "mean"]]
        report["confusion"] = {
            "classes": list(test.classes),
            "matrix": confusion_counts(test_labels, predictions, len(test.classes)),
        }
    return report


def validation_probe(
    train_features: NDArray[np.floating],
    train_labels: Labels,
    validation_features: NDArray[np.floating],
    validation_labels: Labels,
) -> float:
    """Accuracy in [0, 1] of the same linear SVM at one fixed C, 1e-3: the cheap look in training.

    Standardised and converged like the full probe, without its cross-validation: a fraction
    of a second for 2,500 x 256 features.

    Raises:
        UserError: a NaN feature, another number of labels than of samples, or a single class.
    """
    probe = fit_linear_svm(train_features, train_labels, c_grid=(_VALIDATION_C,))
    return accuracy(validation_labels, probe.predict(validation_features))


def _classify(
    train_features: NDArray[np.floating],
    train_labels: Labels,
    test_features: dict[str, NDArray[np.floating]],
    test_labels: Labels,
    protocol: ProbeProtocol,
    seed: int,
) -> Outcome:
    """Fit on the training shapes and predict the test shapes; score what these retrieve.

    The labels of the test shapes are for retrieval alone.
    """
    probe = fit_linear_svm(
        train_features, train_labels, c_grid=protocol.c_grid, folds=protocol.folds, seed=seed
    )
    predictions = {setting: probe.predict(of_test) for setting, of_test in test_features.items()}
    findable = np.unique(test_labels, return_counts=True)[1].max() > 1
    retrieved = {
        setting: retrieve(of_test, test_labels)
        for setting, of_test in test_features.items()
        if findable
    }
    return Outcome(predictions, retrieved, probe.c, probe.converged, train_features.shape[1])


def _turn(points: NDArray[np.float32], setting: str, seed: int) -> NDArray[np.float32]:
    """Turn each cloud of (n, P, 3) by its own rotation, fixed by setting and seed."""
    if setting == "aligned":
        return points
    generator = keyed_generator("probe rotation", setting, seed)
    if setting == "z":
        turns = torch.rand(len(points), generator=generator, dtype=torch.float64)
        rotations = rotation_about_z(2 * torch.pi * turns)
    else:
        quaternions = torch.randn(len(points), 4, generator=generator, dtype=torch.float64)
        rotations = rotation_from_quaternion(quaternions)
    turned: NDArray[np.float32] = rotate(torch.from_numpy(points), rotations).numpy()
    return turned


def _check_classes(train: ItemSet, test: ItemSet) -> None:
    if train.classes != test.classes:
        raise UserError(
            f"{train.name} and {test.name} have different classes: a probe needs the same ones in"
            " training and test"
        )


def _labels_of(clouds: ItemSet) -> Labels:
    if clouds.labels is None:
        raise UserError(
            f"the {clouds.split} split of {clouds.name} has no labels: probe a labelled set"
        )
    return clouds.labels


def _describe(protocol: ProbeProtocol) -> dict[str, Any]:
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(protocol).items()
    }
    return values | {
        "classifier": "linear SVM, one-vs-rest, squared hinge, L2, intercept regularised",
        "features": "standardised by the mean and standard deviation of the training shapes",
        "retrieval": "each test shape among the others, by cosine distance, not standardised",
        "choice_of_c": "stratified cross-validation on the training shapes, smallest of equals",
        "fitted_on": "training shapes, unturned",
        "accuracy_std": "sample standard deviation over the probe seeds (ddof = 1)",
        "seed": "fixes points, turns, folds and the untrained encoder's weights",
    }
