"""How much of a frozen representation is left when shapes are rotated, corrupted or seen in part.

A linear SVM is fitted on the features of training shapes and scored on those of test shapes under
every condition of :mod:`.conditions`; beside its accuracy stands how far the posterior
of a shape has moved. The untrained encoder is put through all of it as well, on the very same
clouds. Nothing is chosen by a test label: they are scored against, at the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.embedding.names import (
    REPRESENTATIONS,
    Encoded,
    Features,
    Representations,
    Setting,
)
from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import check_enough_of_each, check_same_classes, labels_of
from pc_crvae.evaluation.metrics.accuracy import accuracy
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.linear_svm import FittedProbe, fit_linear_svm
from pc_crvae.evaluation.reports import TrainAndTest, in_words, library_versions
from pc_crvae.evaluation.robustness import conditions
from pc_crvae.evaluation.robustness.drift import Drift, drift_between, drift_row
from pc_crvae.evaluation.robustness.encoding import Encode, posterior_encoder
from pc_crvae.evaluation.robustness.protocol import TRAINING_ROTATIONS, RobustnessProtocol
from pc_crvae.evaluation.robustness.reference import Reference, check_reference, corruption_errors
from pc_crvae.evaluation.robustness.report import DescribedProtocol, RobustnessReport, accuracy_row
from pc_crvae.evaluation.rotations import rotated
from pc_crvae.evaluation.untrained import untrained_like
from pc_crvae.models.points.vae import PointVAE

Probes = dict[tuple[Features, Encoded, Setting], FittedProbe]
"""By encoder, representation and rotation of the training shapes."""


def encoders_beside(
    model: PointVAE, train: CloudSet, protocol: RobustnessProtocol
) -> tuple[Encode, Callable[[int], Encode]]:
    """Return what encodes by a model, and what makes an untrained one like it of a seed."""

    def untrained(seed: int) -> Encode:
        points, how = protocol.points, protocol.untrained
        new = untrained_like(model, seed, train, points=points, how=how)
        return posterior_encoder(cast(PointVAE, new))

    return posterior_encoder(model), untrained


def run_robustness(
    trained: Encode,
    untrained: Callable[[int], Encode],
    train: CloudSet,
    test: CloudSet,
    protocol: RobustnessProtocol,
    *,
    reference: Reference | None = None,
    advance: Callable[[], None] = lambda: None,
) -> RobustnessReport:
    """Score a trained encoder and, beside it, freshly initialised ones, under every condition.

    Args:
        trained: the frozen encoder.
        untrained: a freshly initialised encoder of the same architecture for a seed.
        train: labelled shapes that classifiers are fitted on.
        test: labelled shapes of the same classes; their labels are only scored against.
        protocol: the rest.
        reference: the encoder whose corruption errors are 1; None for the untrained encoder,
            representation by representation.
        advance: called after each of the ``protocol.steps`` sets of clouds.

    Raises:
        UserError: a split without labels, splits of different classes, a class with fewer shapes
            than folds, shapes of too few points, or features that are not finite.
    """
    check_same_classes(train, test)
    train_labels, test_labels = labels_of(train), labels_of(test)
    if len(protocol.c_grid) > 1:
        check_enough_of_each(train_labels, protocol.folds, train.classes)
    conditions.check_points(protocol.conditions, protocol.points, test.points.shape[1])
    if reference is not None:
        check_reference(reference, protocol.points, protocol.seeds, test.fingerprint())
    accuracies: dict[tuple[Features, Encoded, Setting, conditions.Condition], list[float]] = {}
    drifts: dict[tuple[Features, conditions.Condition], list[Drift]] = {}
    for seed in protocol.seeds:
        encoders: dict[Features, Encode] = {"trained": trained, "untrained": untrained(seed)}
        probes = _fit(encoders, train, train_labels, protocol, seed, advance)
        unmoved: dict[Features, Representations] = {}
        for condition, features, encoded in _encoded(encoders, test, protocol, seed):
            drift = drift_between(encoded, unmoved.setdefault(features, encoded))
            drifts.setdefault((features, condition), []).append(drift)
            for how in _fitted_on(condition, protocol):
                for name in REPRESENTATIONS:
                    predicted = probes[features, name, how].predict(encoded[name])
                    key = features, name, how, condition
                    accuracies.setdefault(key, []).append(accuracy(test_labels, predicted))
            advance()
    rows = tuple(accuracy_row(*key, of_seeds) for key, of_seeds in accuracies.items())
    as_they_are = protocol.conditions[0]
    return RobustnessReport(
        rows=rows,
        drift=tuple(
            drift_row(*key, of_seeds) for key, of_seeds in drifts.items() if key[1] != as_they_are
        ),
        corruption_errors=corruption_errors(rows, reference),
        protocol=DescribedProtocol(**asdict(protocol), **in_words("robustness")),
        data=TrainAndTest.of(train, test),
        versions=library_versions(),
    )


def _fit(
    encoders: dict[Features, Encode],
    train: CloudSet,
    labels: Labels,
    protocol: RobustnessProtocol,
    seed: int,
    advance: Callable[[], None],
) -> Probes:
    clouds = _probed_clouds(train, protocol, seed)
    probes: Probes = {}
    for how in protocol.training_rotations:
        shown = rotated(clouds, how, "robustness training turn", how, seed)
        for features, encode in encoders.items():
            encoded = encode(shown)
            for name in REPRESENTATIONS:
                probes[features, name, how] = fit_linear_svm(
                    encoded[name],
                    labels,
                    c_grid=protocol.c_grid,
                    folds=protocol.folds,
                    seed=seed,
                )
            advance()
    return probes


def _encoded(
    encoders: dict[Features, Encode], test: CloudSet, protocol: RobustnessProtocol, seed: int
) -> Iterator[tuple[conditions.Condition, Features, Representations]]:
    """The test shapes under each condition, as each encoder sees them."""
    as_they_are = _probed_clouds(test, protocol, seed)
    for condition in protocol.conditions:
        clouds = conditions.apply_condition(condition, as_they_are, test, seed)
        for features, encode in encoders.items():
            yield condition, features, _encode_under(condition, encode, clouds)


def _probed_clouds(items: CloudSet, protocol: RobustnessProtocol, seed: int) -> NDArray[np.float32]:
    # The probe's own draws of points: at as many points, its rows and these agree.
    return items.batch(range(len(items)), protocol.points, "probe", seed)


def _fitted_on(condition: conditions.Condition, protocol: RobustnessProtocol) -> Sequence[Setting]:
    if condition.part != "rotation":
        return ("aligned",)
    return [how for how in protocol.training_rotations if condition.name in TRAINING_ROTATIONS[how]]


def _encode_under(
    condition: conditions.Condition, encode: Encode, clouds: conditions.Clouds
) -> Representations:
    try:
        return encode(clouds)
    except ValueError as error:
        raise UserError(
            f"the encoder does not take the shapes under {condition} ({error}): leave out the part "
            f"{condition.part}, or what of it is too few points"
        ) from error
