"""Few shots: a few classes told apart after a few labelled items of each.

No test label is read before all is predicted: an episode's classifier answers for every test item,
and its queries are drawn among the answers when they are scored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe import classifier_settings
from pc_crvae.evaluation.probe.metrics import base
from pc_crvae.evaluation.reports import Part
from pc_crvae.randomness.keys import keyed_numpy_generator


class FewShot(Section):
    """Episodes of a few classes, told apart after a few labelled items of each."""

    ways: Annotated[int, Field(ge=2)] = Field(5, description="classes of an episode")
    shots: PositiveInt = Field(10, description="labelled items of each class")
    queries: PositiveInt = Field(20, description="items of each class to classify")
    trials: PositiveInt = Field(10, description="episodes")
    queries_from: Literal["test", "train"] = Field(
        "test", description="split of the queries; in train they are others than the labelled"
    )
    classifier: classifier_settings.ClassifierSection = Field(
        classifier_settings.LinearSVM(c=(1e-2,)),
        description="one value of its parameter: few shots leave no folds",
    )


class EpisodeKind(Part):
    """What the episodes of a row have in common.

    Attributes:
        ways: classes of an episode.
        shots: labelled items of each class.
        queries: items of each class that are classified.
        queries_from: the split of the queries.
    """

    ways: int
    shots: int
    queries: int
    queries_from: Literal["test", "train"]


class FewShotRow(base.Accuracies, EpisodeKind, base.Row):
    """What episodes of a kind score, over their trials and the probe seeds."""


_Kinds = tuple[FewShot, ...]


class FewShotMetric(base.Metric[_Kinds, list[list[float]], FewShotRow]):
    """A row for each kind of episode."""

    key = "few_shot"
    section = _Kinds
    default = ()
    row = FewShotRow
    title = "few shots"

    def check(self, asked: _Kinds) -> None:
        """Refuse a classifier whose parameter is to be chosen."""
        for kind in asked:
            classifier_settings.check_one_value(kind.classifier, self.key)

    def measure(self, asked: _Kinds, task: base.Task) -> Callable[[Labels], list[list[float]]]:
        """Predict in the episodes of each kind."""
        episodes = [predict_episodes(task, kind) for kind in asked]
        return lambda labels: [
            [score_episode(episode, labels, kind.queries) for episode in of_kind]
            for kind, of_kind in zip(asked, episodes, strict=True)
        ]

    def rows(
        self, asked: _Kinds, found: Sequence[list[list[float]]], name: base.Name
    ) -> list[FewShotRow]:
        """A row for each kind."""
        rows = []
        for place, kind in enumerate(asked):
            accuracies = [score for of_seed in found for score in of_seed[place]]
            of_kind = kind.model_dump(include=set(EpisodeKind.model_fields))
            scores = base.summarize_accuracies(accuracies)
            rows.append(FewShotRow(**name, setting=base.ALIGNED, **of_kind, **scores))
        return rows

    def cells(self, row: FewShotRow) -> dict[str, str]:
        """The accuracy, under the kind of episode."""
        return {f"{row.ways}-way {row.shots}-shot": row.shown}


@dataclass(frozen=True)
class Episode:
    """One few-shot episode, predicted and not yet scored.

    Attributes:
        classes: (ways,) the labels told apart, ascending.
        predictions: (n,) for every item of the split that queries come from.
        candidates: (n,) labels of these items where they are training items that were not shown,
            -1 for those that were; None for test items.
        key: the key that fixes the draw of the queries.
    """

    classes: Labels
    predictions: Labels
    candidates: Labels | None
    key: tuple[int | str, ...]


def predict_episodes(task: base.Task, few_shot: FewShot) -> list[Episode]:
    """Draw episodes, fit each one's classifier on its labelled items, and predict.

    Raises:
        UserError: fewer classes than an episode has, or a class with too few training items.
    """
    train, train_labels = task.train, task.train_labels
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
        key = ("few shot", few_shot.ways, few_shot.shots, trial, task.seed)
        generator = keyed_numpy_generator(*key)
        classes = np.sort(generator.permutation(labels)[: few_shot.ways])
        shown = np.concatenate(
            [
                generator.permutation(np.flatnonzero(train_labels == label))[: few_shot.shots]
                for label in classes
            ]
        )
        fitted = task.fit_few(few_shot.classifier, shown)
        candidates = None
        if few_shot.queries_from == "train":
            candidates = train_labels.copy()
            candidates[shown] = -1
        predicted = fitted.predict(
            train if few_shot.queries_from == "train" else task.test[base.ALIGNED]
        )
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
