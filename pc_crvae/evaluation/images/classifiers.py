"""Classifiers fitted on the latents of training images, scored on those of held-out ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.images import ImageSet
from pc_crvae.embedding.extraction import extract
from pc_crvae.errors import UserError
from pc_crvae.evaluation import classes
from pc_crvae.evaluation.images.observations import IMAGES_AT_ONCE, ImageModel
from pc_crvae.evaluation.images.protocol import ImageProtocol
from pc_crvae.evaluation.images.report import ClassifierScore
from pc_crvae.evaluation.metrics.accuracy import accuracy
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe import classifier_settings
from pc_crvae.evaluation.probe.classifiers import fit_classifier
from pc_crvae.randomness.keys import keyed_numpy_generator

_FOLDS = 3  # over which the classifiers' parameters are chosen, as reports say in words
_C_GRID = (1e-3, 1e-2, 1e-1, 1.0)
_NEIGHBOURS = (1, 5, 20)
CLASSIFIERS: tuple[classifier_settings.Classifier, ...] = (
    classifier_settings.LinearSVM(c=_C_GRID),
    classifier_settings.LogisticRegression(name="logistic_regression", c=_C_GRID),
    classifier_settings.NearestNeighbors(name="knn", k=_NEIGHBOURS),
)


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
    try:
        labels, of_held_out = _checked_labels(train, held_out, rows)
    except UserError as error:
        notes.append(f"no classifiers: {error}")
        return None
    features = _features(model, train, rows)
    tested = _features(model, held_out, np.arange(len(held_out)))
    found: dict[str, ClassifierScore] = {}
    for classifier in CLASSIFIERS:
        fitted = fit_classifier(classifier, features, labels, folds=_FOLDS, seed=protocol.seed)
        found[classifier.name] = ClassifierScore(
            accuracy=accuracy(of_held_out, fitted.predict(tested)),
            chosen=fitted.chosen,
            converged=fitted.converged,
            train_items=len(rows),
            test_items=len(held_out),
        )
    return found


def _checked_labels(
    train: ImageSet, held_out: ImageSet, rows: NDArray[np.int64]
) -> tuple[Labels, Labels]:
    """The labels of some training images and of the others, where they allow classifiers."""
    labels, of_held_out = classes.labels_of(train)[rows], classes.labels_of(held_out)
    classes.check_same_classes(train, held_out)
    classes.check_several(labels, train.classes)
    classes.check_enough_of_each(labels, _FOLDS, train.classes, "more training images")
    fewest = len(labels) - -(-len(labels) // _FOLDS)
    if fewest < max(_NEIGHBOURS):
        raise UserError(
            f"{len(labels)} training images leave {fewest} to fit on in a fold, fewer than the "
            f"{max(_NEIGHBOURS)} neighbours that are tried: take more training images"
        )
    return labels, of_held_out


def _features(
    model: ImageModel, images: ImageSet, rows: NDArray[np.int64]
) -> NDArray[np.floating[Any]]:
    starts = range(0, len(rows), IMAGES_AT_ONCE)
    parts = (images.batch(rows[start : start + IMAGES_AT_ONCE]) for start in starts)
    return extract(model, parts)["mean"]
