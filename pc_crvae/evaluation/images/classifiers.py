"""Classifiers fitted on the latents of training images, scored on those of held-out ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.images import ImageSet
from pc_crvae.embedding.extraction import extract
from pc_crvae.evaluation.classes import set_to_take_instead
from pc_crvae.evaluation.images.observations import IMAGES_AT_ONCE, ImageModel
from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.images.report import ClassifierScore
from pc_crvae.evaluation.probe.classifier_settings import (
    Classifier,
    LinearSVM,
    LogisticRegression,
    NearestNeighbors,
)
from pc_crvae.evaluation.probe.classifiers import fit_classifier
from pc_crvae.evaluation.probe.linear_svm import accuracy
from pc_crvae.randomness.keys import keyed_numpy_generator

FOLDS = 3  # over which the classifiers' parameters are chosen
_C_GRID = (1e-3, 1e-2, 1e-1, 1.0)
_NEIGHBOURS = (1, 5, 20)
CLASSIFIERS: dict[str, Classifier] = {
    "linear_svm": LinearSVM(c=_C_GRID),
    "logistic_regression": LogisticRegression(name="logistic_regression", c=_C_GRID),
    "knn": NearestNeighbors(name="knn", k=_NEIGHBOURS),
}


def classify(
    model: ImageModel,
    train: ImageSet,
    held_out: ImageSet,
    protocol: ImageProtocol,
    notes: list[str],
) -> dict[str, ClassifierScore] | None:
    """Score `CLASSIFIERS` on the posterior means of grey images.

    Args:
        model: the model that the means are of.
        train: the training images, of which at most ``protocol.train_items`` are fitted on.
        held_out: all of these are scored on.
        protocol: the number of training images and the seed.
        notes: a list; the reason why there are no classifiers is added to it.

    Returns:
        By classifier; None where the labels do not allow any.
    """
    order = keyed_numpy_generator("classifiers' images", protocol.seed).permutation(len(train))
    rows = order[: protocol.train_items]
    why_none = _why_none(train, held_out, rows)
    if why_none or train.labels is None or held_out.labels is None:
        notes.append(f"no classifiers: {why_none}")
        return None
    labels = train.labels[rows]
    features = _features(model, train, rows)
    tested = _features(model, held_out, np.arange(len(held_out)))
    found = {}
    for name, classifier in CLASSIFIERS.items():
        fitted = fit_classifier(classifier, features, labels, folds=FOLDS, seed=protocol.seed)
        found[name] = ClassifierScore(
            accuracy=accuracy(held_out.labels, fitted.predict(tested)),
            chosen=fitted.chosen,
            converged=fitted.converged,
            train_items=len(rows),
            test_items=len(held_out),
        )
    return found


def _why_none(train: ImageSet, held_out: ImageSet, rows: NDArray[np.int64]) -> str:
    """Why classifiers cannot be fitted on some training images and scored, if they cannot."""
    if train.labels is None or held_out.labels is None:
        return f"{held_out.name} has no labels"
    known = np.unique(train.labels)
    if train.classes != held_out.classes or not np.isin(held_out.labels, known).all():
        return (
            f"images of the {held_out.split} split of {held_out.name} are of classes that its "
            f"training split has none of{set_to_take_instead(held_out.name)}"
        )
    if len(known) < 2:
        return f"all images of {train.name} are of one class"
    too_few = _too_few_to_choose_by(train.labels[rows], train.classes)
    return too_few and f"{too_few}, with more training images there may be enough"


def _too_few_to_choose_by(labels: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    """What the folds of these images would lack, if anything."""
    drawn, counts = np.unique(labels, return_counts=True)
    if len(drawn) < 2:
        return f"all {len(labels)} training images show {classes[drawn[0]]}"
    if counts.min() < FOLDS:
        rarest = classes[drawn[counts.argmin()]]
        return (
            f"of the {len(labels)} training images {counts.min()} show {rarest}, fewer than the "
            f"{FOLDS} folds that classifiers are chosen by"
        )
    fewest = len(labels) - -(-len(labels) // FOLDS)
    if fewest < max(_NEIGHBOURS):
        return (
            f"{len(labels)} training images leave {fewest} to fit on in a fold, fewer than the "
            f"{max(_NEIGHBOURS)} neighbours that are tried"
        )
    return ""


def _features(
    model: ImageModel, images: ImageSet, rows: NDArray[np.int64]
) -> NDArray[np.floating[Any]]:
    starts = range(0, len(rows), IMAGES_AT_ONCE)
    parts = (images.batch(rows[start : start + IMAGES_AT_ONCE]) for start in starts)
    return extract(model, parts)["mean"]
