"""The probe for anyone's features: the whole protocol on arrays, with no model."""

import hashlib
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pc_crvae.embedding.names import GIVEN
from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import FEWER_FOLDS, WITH_ONE_C, check_enough_of_each, check_several
from pc_crvae.evaluation.metrics.arrays import check_features
from pc_crvae.evaluation.probe.assembly import Probed, assemble
from pc_crvae.evaluation.probe.cross_validation import CrossValidation, Held, cross_validate
from pc_crvae.evaluation.probe.metrics.base import ALIGNED
from pc_crvae.evaluation.probe.outcomes import predict_items
from pc_crvae.evaluation.probe.protocol import AS_THEY_ARE, ProbeProtocol, changed, load_protocol
from pc_crvae.evaluation.probe.report import FeaturesCut, ProbeReport, TrainAndTestFeatures
from pc_crvae.evaluation.reports import Part
from pc_crvae.utils.files import read_npz


def probe_features(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
    *,
    protocol: ProbeProtocol | str | Path = "ours",
    progress: Callable[[str], None] | None = None,
    cross_validation: CrossValidation | None = None,
) -> ProbeReport:
    """Return the report alone of `probe_arrays`."""
    arrays = train_features, train_labels, test_features, test_labels
    return probe_arrays(
        *arrays, protocol=protocol, progress=progress, cross_validation=cross_validation
    ).report


def probe_arrays(
    train_features: ArrayLike,
    train_labels: ArrayLike,
    test_features: ArrayLike,
    test_labels: ArrayLike,
    *,
    protocol: ProbeProtocol | str | Path = "ours",
    progress: Callable[[str], None] | None = None,
    cross_validation: CrossValidation | None = None,
) -> Probed:
    """Probe features: fit on the training items, score on the test items.

    Test labels are read once everything is predicted. What a protocol says of points, pools and
    turns was up to whoever made the features, and is left out; so are near-copies, which are found
    by the shapes.

    Args:
        train_features: (n, d) finite real numbers.
        train_labels: (n,) integers of any values, or strings.
        test_features: (m, d).
        test_labels: (m,) labels that occur in training.
        protocol: a protocol, the name of one that comes with the package, or a YAML file.
        progress: a function to call with a line that says what is being done.
        cross_validation: the folds of a second estimate, on the training items; None for none.

    Returns:
        A report with one row, of ``given`` ``features``, and the predictions.

    Raises:
        UserError: features that are not finite, real and (n, d), or empty; lengths or
            dimensions that differ; a protocol that turns shapes; a single class, one with fewer
            items than folds, or one in test that training lacks.
    """
    rules = _for_features(protocol)
    train = _features(train_features, "training features")
    test = _features(test_features, "test features")
    if train.shape[1] != test.shape[1]:
        raise UserError(
            f"training features have {train.shape[1]} dimensions and test features "
            f"{test.shape[1]}: both should come from one encoder"
        )
    _check_length(test, test_labels, "test")
    _check_length(train, train_labels, "training")
    named = _labels(train_labels, "training")
    classes, labels = np.unique(named, return_inverse=True)
    labels = labels.astype(np.int64)
    names = list(classes)
    check_several(labels, names)
    if rules.chooses:
        check_enough_of_each(labels, rules.folds, names, WITH_ONE_C)
    if cross_validation is not None:
        check_enough_of_each(labels, cross_validation.folds, names, FEWER_FOLDS)
    scorers = []
    for seed in rules.seeds:
        if progress is not None:
            progress(f"probe seed {seed}")
        scorers.append(predict_items(train, labels, {ALIGNED: test}, rules, seed))

    of_test = _labels(test_labels, "test")
    places = _places_of(of_test, classes)
    outcomes = {GIVEN: [score(places) for score in scorers]}
    data = TrainAndTestFeatures(
        train=_describe(train, named, "train"), test=_describe(test, of_test, "test")
    )
    parts: dict[str, Part] = {}
    if cross_validation is not None:
        held = {GIVEN: [Held(train, outcomes[GIVEN][0].chosen)]}
        how = rules.classifier, cross_validation, rules.standardise
        parts["cross_validation"] = cross_validate(
            held, labels, *how, seeds=rules.seeds[:1], progress=progress
        )
    return assemble(outcomes, places, list(map(str, classes)), rules, data, None, **parts)


def read_features(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the arrays ``features`` and ``labels`` of an .npz file; nothing in it is unpickled.

    Raises:
        UserError: it cannot be read or lacks one of them.
    """
    arrays = read_npz(path, ["features", "labels"])
    return arrays["features"], arrays["labels"]


def _for_features(protocol: ProbeProtocol | str | Path) -> ProbeProtocol:
    rules = protocol if isinstance(protocol, ProbeProtocol) else load_protocol(protocol)
    if rules.average_over is not None:
        raise UserError(
            f"the protocol {rules.name} turns shapes before they are encoded, and features have "
            "been made already: take ours"
        )
    return changed(rules, f"protocol {rules.name}", points=None, pool=None, **AS_THEY_ARE)


def _features(values: ArrayLike, what: str) -> NDArray[np.floating]:
    features = np.asarray(values)
    if features.dtype.kind not in "fiu":
        raise UserError(f"the {what} have the type {features.dtype}: they should be real numbers")
    if features.ndim != 2:
        raise UserError(
            f"the {what} have the shape {features.shape}: they should be (n, d), one row per item"
        )
    if 0 in features.shape:
        raise UserError(f"the {what} are empty, of shape {features.shape}")
    real = features.astype(np.float64, copy=False)
    check_features(real, what)
    return real


def _check_length(features: NDArray[Any], labels: ArrayLike, what: str) -> None:
    count = len(labels) if isinstance(labels, Sized) else 0
    if count != len(features):
        raise UserError(
            f"there are {len(features)} rows of {what} features and {count} {what} labels: there "
            "should be one label per row"
        )


def _labels(values: ArrayLike, what: str) -> NDArray[Any]:
    labels = np.asarray(values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuUSb":
        raise UserError(
            f"the {what} labels have the type {labels.dtype} and the shape {labels.shape}: they "
            "should be integers or strings, (n,)"
        )
    return labels


def _places_of(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    if (labels.dtype.kind in "US") != (classes.dtype.kind in "US"):
        raise UserError(
            f"training labels have the type {classes.dtype} and test labels {labels.dtype}: "
            "both should name classes alike"
        )
    missing = np.setdiff1d(labels, classes)
    if len(missing):
        raise UserError(
            f"{len(missing)} classes of the test labels are missing from training, such as "
            f"{missing[0]}: a probe needs training items of every class"
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def _describe(
    features: NDArray[np.floating], labels: NDArray[Any], split: Literal["train", "test"]
) -> FeaturesCut:
    of_labels = hashlib.sha256(repr(labels.tolist()).encode()).hexdigest()
    digest = hashlib.sha256(repr(features.shape).encode() + of_labels.encode())
    digest.update(np.ascontiguousarray(features, dtype="<f8").data)
    return FeaturesCut(
        split=split,
        count=len(features),
        dimensions=features.shape[1],
        sha256=digest.hexdigest(),
        labels_sha256=of_labels,
    )
