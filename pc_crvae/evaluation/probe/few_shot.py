"""Few labels: classifiers fitted on a share of the training labels, or on a few of a few classes.

Nothing here takes a test label before all is predicted: an episode's classifier answers for every
test item, and its queries are drawn among the answers when they are scored.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.classifiers import fit_classifier
from pc_crvae.evaluation.probe.linear_svm import Labels
from pc_crvae.evaluation.probe.protocol import FewShot, LowLabel
from pc_crvae.randomness.keys import keyed_numpy_generator

Features = NDArray[np.floating]


@dataclass(frozen=True)
class Episode:
    """One few-shot episode, predicted and not yet scored.

    Attributes:
        classes: (ways,) the labels told apart, ascending.
        predictions: (n,) for every item of the split that queries come from.
        candidates: (n,) labels of these items where they are training items that were not shown,
            -1 for those that were; None for test items.
        key: what fixes the draw of the queries.
    """

    classes: Labels
    predictions: Labels
    candidates: Labels | None
    key: tuple[int | str, ...]


def stratified_share(labels: Labels, fraction: float, *key: int | str) -> Labels:
    """Draw a share of each class, rounded, at least one item: indices, ascending.

    Args:
        labels: (n,).
        fraction: in (0, 1].
        key: what fixes the draw.
    """
    generator = keyed_numpy_generator("labelled share", *key)
    kept = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = max(1, round(fraction * len(rows)))
        kept.append(generator.permutation(rows)[:count])
    drawn: Labels = np.sort(np.concatenate(kept)).astype(np.int64)
    return drawn


def predict_from_share(
    train: Features,
    train_labels: Labels,
    test: Features,
    low_label: LowLabel,
    fraction: float,
    *,
    standardise: bool,
    seed: int,
) -> list[tuple[int, Labels]]:
    """Predict the test items from a share of the training labels.

    Returns:
        For each draw how many labels there were, and the predictions (n,); one draw of the
        whole.

    Raises:
        UserError: as `fit_classifier`.
    """
    found = []
    for draw in range(1 if fraction == 1 else low_label.draws):
        rows = stratified_share(train_labels, fraction, round(fraction * 1e9), draw, seed)
        fitted = fit_classifier(
            low_label.classifier, train[rows], train_labels[rows], standardise=standardise
        )
        found.append((len(rows), fitted.predict(test)))
    return found


def predict_episodes(
    train: Features,
    train_labels: Labels,
    test: Features,
    few_shot: FewShot,
    *,
    standardise: bool,
    seed: int,
) -> list[Episode]:
    """Draw episodes, fit each one's classifier on its labelled items, and predict.

    Raises:
        UserError: fewer classes than an episode has, or a class with too few training items.
    """
    labels, counts = np.unique(train_labels, return_counts=True)
    needed = few_shot.shots + (few_shot.queries if few_shot.queries_from == "train" else 0)
    if len(labels) < few_shot.ways:
        raise UserError(
            f"episodes of {few_shot.ways} classes cannot be drawn from {len(labels)}: leave "
            f"{few_shot.ways}-way episodes out of the protocol"
        )
    enough = labels[counts >= needed]
    if len(enough) < len(labels):
        raise UserError(
            f"class {labels[counts.argmin()]} has {counts.min()} training items, fewer than the "
            f"{needed} that an episode of {few_shot.shots} shots needs: ask for fewer"
        )
    episodes = []
    for trial in range(few_shot.trials):
        key = ("few shot", few_shot.ways, few_shot.shots, trial, seed)
        generator = keyed_numpy_generator(*key)
        classes = np.sort(generator.permutation(labels)[: few_shot.ways])
        shown = np.concatenate(
            [
                generator.permutation(np.flatnonzero(train_labels == label))[: few_shot.shots]
                for label in classes
            ]
        )
        fitted = fit_classifier(
            few_shot.classifier, train[shown], train_labels[shown], standardise=standardise
        )
        candidates = None
        if few_shot.queries_from == "train":
            candidates = train_labels.copy()
            candidates[shown] = -1
        predicted = fitted.predict(train if few_shot.queries_from == "train" else test)
        episodes.append(Episode(classes, predicted, candidates, key))
    return episodes


def score_episode(episode: Episode, test_labels: Labels, queries: int) -> float:
    """Draw the episode's queries and return the share predicted right, in [0, 1].

    Raises:
        UserError: a class of the episode has fewer items to ask about.
    """
    labels = test_labels if episode.candidates is None else episode.candidates
    generator = keyed_numpy_generator("queries", *episode.key)
    right = []
    for label in episode.classes:
        rows = np.flatnonzero(labels == label)
        if len(rows) < queries:
            raise UserError(
                f"class {label} has {len(rows)} items to ask about, fewer than the {queries} "
                "queries of an episode: ask for fewer"
            )
        asked = generator.permutation(rows)[:queries]
        right.append(episode.predictions[asked] == label)
    return float(np.concatenate(right).mean())
