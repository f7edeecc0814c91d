"""The probe of a model: what a classifier reads off a frozen encoder, under which rotations.

The classifier is fitted on training shapes as they are, and scored on test shapes as they are,
rotated about the vertical, and rotated in any way; so is retrieval among the test shapes
(:mod:`pc_crvae.evaluation.metrics.retrieval`). The untrained encoder is always scored beside the
trained one, on the very same points, rotations and folds, because much of what a linear classifier
reads is there before any training; so may be the strongest of a few descriptors, which need none
(:mod:`pc_crvae.evaluation.probe.training_free`).

The test split is small, so the same rows may be cross-validated on the training items too
(:mod:`pc_crvae.evaluation.probe.cross_validation`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet
from pc_crvae.embedding.names import GIVEN, REPRESENTATIONS, TRAINING_FREE, Encode, Encoded
from pc_crvae.errors import UserError
from pc_crvae.evaluation import classes
from pc_crvae.evaluation.metrics.accuracy import accuracy
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.assembly import Probed, assemble
from pc_crvae.evaluation.probe.cross_validation import (
    CrossValidation,
    Held,
    RowName,
    cross_validate,
)
from pc_crvae.evaluation.probe.kept_fits import fit_once
from pc_crvae.evaluation.probe.linear_svm import fit_linear_svm
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.near_copies import near_copies_of
from pc_crvae.evaluation.probe.outcomes import Outcome, predict_items
from pc_crvae.evaluation.probe.protocol import AS_THEY_ARE, ProbeProtocol
from pc_crvae.evaluation.probe.training_free import Candidates, Chosen, choose_training_free
from pc_crvae.evaluation.reports import Part, TrainAndTest
from pc_crvae.evaluation.rotations import rotated

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel
    from pc_crvae.models.pretrained import Pretrained

_VALIDATION_C = 1e-3


def probe_encoders(
    encode: Encode,
    untrained: Callable[[int], Encode] | None,
    train: ItemSet,
    test: ItemSet,
    protocol: ProbeProtocol,
    progress: Callable[[str], None] | None = None,
    training_free: Candidates | None = None,
    cross_validation: CrossValidation | None = None,
) -> Probed:
    """Probe a trained encoder and, beside it, freshly initialised ones; or a descriptor alone.

    Args:
        encode: the frozen encoder.
        untrained: a freshly initialised encoder of the same architecture for a probe seed; None
            where nothing was trained, and there is a row of given features alone.
        train: labelled shapes that classifiers are fitted on, as they are.
        test: labelled shapes of the same classes; their labels are only scored against.
        protocol: the rest, as `protocol_for` returns it.
        progress: a function to call with a line that says what is being done.
        training_free: the descriptors of which the strongest has a row too; None for no such row.
        cross_validation: the folds of a second estimate, on the training items, whose repeats are
            of the probe seeds in turn; None for none.

    Raises:
        UserError: a split without labels, splits of different classes, a single class or one
            with fewer items than folds, too few points, or features that are not finite.
    """
    classes.check_same_classes(train, test)
    if train.holds == "points":
        _check_points(train, test, protocol)
    train_labels, test_labels = classes.labels_of(train), classes.labels_of(test)
    classes.check_several(train_labels, train.classes)
    if protocol.chooses:
        remedy = classes.WITH_ONE_C if train.holds == "points" else classes.WITH_ONE_C_FOR_IMAGES
        classes.check_enough_of_each(train_labels, protocol.folds, train.classes, remedy)
    elif training_free is not None:
        classes.check_enough_of_each(train_labels, 2, train.classes, classes.NO_TRAINING_FREE)
    if cross_validation is not None:
        classes.check_enough_of_each(
            train_labels, cross_validation.folds, train.classes, classes.FEWER_FOLDS
        )
    encoders = {GIVEN[0]: _under_every_seed(encode)}
    rows: dict[str, dict[Encoded, RowName]] = {GIVEN[0]: {"mean": GIVEN}}
    if untrained is not None:
        encoders = {"trained": _under_every_seed(encode), "untrained": untrained}
        rows = {
            features: {key: (features, REPRESENTATIONS[key]) for key in protocol.representations}
            for features in encoders
        }
    outcomes: dict[RowName, list[Outcome]] = {
        rows[features][key]: [] for key in protocol.representations for features in encoders
    }
    chosen: Chosen | None = None
    held: dict[RowName, list[Held]] = {}
    for seed in protocol.seeds:
        first = seed == protocol.seeds[0]
        train_batch, test_batch = (
            items.batch(range(len(items)), protocol.points or 0, "probe", seed)
            for items in (train, test)
        )
        turned = {
            setting: rotated(test_batch, setting, "probe rotation", setting, seed)
            for setting in protocol.settings
        }
        if first and training_free is not None:
            candidates = training_free(train_batch)
            chosen = choose_training_free(candidates, train_batch, train_labels, protocol, progress)
            outcomes[chosen.row] = []
            rows[TRAINING_FREE] = {"mean": chosen.row}
            encoders[TRAINING_FREE] = _under_every_seed(chosen.encode)
        for features, encoder_for in encoders.items():
            probed = encoder_for(seed)
            if progress is not None:
                progress(f"probe seed {seed}: {features.replace('_', '-')} encoder")
            bar = chosen if features == TRAINING_FREE else None
            encoded = {"mean": bar.train} if bar and first else probed(train_batch)
            encoded_test = {setting: probed(batch) for setting, batch in turned.items()}
            for key, row in rows[features].items():
                of_test: dict[str, NDArray[np.floating]] = {
                    setting: of[key] for setting, of in encoded_test.items()
                }
                of_train = encoded[key]
                fitted = None
                if bar is not None:
                    fitted = bar.fitted if first else bar.fit(of_train, train_labels, protocol)
                elif features == "untrained":
                    rule = protocol.standardise, protocol.folds, seed
                    fitted = fit_once(Task(of_train, train_labels, {}, *rule), protocol.classifier)
                score = predict_items(of_train, train_labels, of_test, protocol, seed, fitted)
                outcomes[row].append(score(test_labels))
                if cross_validation is not None:
                    made = Held(of_train, outcomes[row][-1].chosen)
                    held.setdefault(row, []).append(made)
    parts: dict[str, Part] = {} if chosen is None else {TRAINING_FREE: chosen.report}
    if cross_validation is not None:
        in_order = {row: held[row] for row in outcomes}
        rules = protocol.classifier, cross_validation, protocol.standardise
        parts["cross_validation"] = cross_validate(
            in_order, train_labels, *rules, seeds=protocol.seeds, progress=progress
        )
    data = TrainAndTest.of(train, test)
    copies = near_copies_of(train, test, protocol)
    return assemble(outcomes, test_labels, test.classes, protocol, data, copies, **parts)


def _under_every_seed(encode: Encode) -> Callable[[int], Encode]:
    return lambda seed: encode


def protocol_for(
    model: "Pretrained", protocol: ProbeProtocol, train: ItemSet, test: ItemSet
) -> ProbeProtocol:
    """Return the protocol as it applies to a model and its data.

    For clouds, points left open are those the model trained with, or as many as the data has. A
    model of images is probed by its posterior mean, on images as they are.

    Raises:
        UserError: the protocol is about clouds, and these are images.
    """
    if train.holds == "points":
        if protocol.points is not None:
            return protocol
        available = (items.array.shape[1] for items in (train, test))
        points = cast("PointModel", model).points
        return protocol.model_copy(update={"points": min(points, *available)})
    if "mean" not in protocol.representations or protocol.points or protocol.pool:
        raise UserError(
            f"the protocol {protocol.name} is about features pooled over points, and "
            f"{train.name} holds images: take ours"
        )
    if protocol.average_over is not None:
        raise UserError(
            f"the protocol {protocol.name} averages over turned shapes, and {train.name} holds "
            "images: take ours"
        )
    return protocol.model_copy(update=AS_THEY_ARE)


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


def _check_points(train: ItemSet, test: ItemSet, protocol: ProbeProtocol) -> None:
    for items in (train, test):
        available = items.array.shape[1]
        if protocol.points is None or protocol.points > available:
            raise UserError(
                f"the protocol {protocol.name} draws {protocol.points or 'no'} points of each "
                f"cloud, and those of {items.name} have {available}"
            )
