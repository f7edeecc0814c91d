"""Retrieval: what test items find of their classes among each other, without a classifier."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import Field

from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.metrics.retrieval import Retrieval, retrieve
from pc_crvae.evaluation.probe.metrics.base import Metric, Name, Row, Task, per_cent, spread


class RetrievalRow(Row):
    """What test items retrieve under a setting.

    Attributes:
        mean_average_precision: the mean over the probe seeds, in [0, 1].
        std: the sample standard deviation over the seeds, 0 where there is one.
        of_seeds: the mean average precision, one per seed.
        precision_at: the mean precision over the seeds, by k.
        queries: items that asked.
        alone_in_their_class: items that did not.
    """

    mean_average_precision: float
    std: float
    of_seeds: tuple[float, ...]
    precision_at: dict[str, float]
    queries: int
    alone_in_their_class: int


class RetrievalMetric(Metric[bool, dict[str, Retrieval], RetrievalRow]):
    """Mean average precision by setting; no rows where no class has two test items."""

    key = "retrieval"
    section = bool
    default = Field(True, description="score it beside the classifier")
    row = RetrievalRow
    title = "retrieval, mean average precision"
    by_setting = True
    always_reported = True

    def describe(self, asked: bool) -> str:
        """How it is scored."""
        if not asked:
            return "none"
        return "each test shape among the others, by cosine distance, not standardised"

    def measure(self, asked: bool, task: Task) -> Callable[[Labels], dict[str, Retrieval]]:
        """Return what ranks the test items of each setting by their cosine distances."""

        def score(labels: Labels) -> dict[str, Retrieval]:
            if np.unique(labels, return_counts=True)[1].max() < 2:
                return {}
            return {setting: retrieve(items, labels) for setting, items in task.test.items()}

        return score

    def rows(
        self, asked: bool, found: Sequence[dict[str, Retrieval]], name: Name
    ) -> list[RetrievalRow]:
        """A row for each setting."""
        rows = []
        for setting in found[0]:
            of_seeds = [one[setting] for one in found]
            means = tuple(one.mean_average_precision for one in of_seeds)
            rows.append(
                RetrievalRow(
                    **name,
                    setting=setting,
                    mean_average_precision=float(np.mean(means)),
                    std=spread(means),
                    of_seeds=means,
                    precision_at={
                        str(k): float(np.mean([one.precision_at[k] for one in of_seeds]))
                        for k in of_seeds[0].precision_at
                    },
                    queries=of_seeds[0].queries,
                    alone_in_their_class=of_seeds[0].alone,
                )
            )
        return rows

    def cells(self, row: RetrievalRow) -> dict[str, str]:
        """The mean average precision."""
        shown = per_cent(row.mean_average_precision, row.std, len(row.of_seeds))
        return {row.setting: shown}
