"""Clustering: how far the clusters of the test items are their classes."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import Field
from sklearn.preprocessing import StandardScaler

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.metrics.clustering import agreement, cluster
from pc_crvae.evaluation.probe.metrics import base


class Clustering(Section):
    """k-means of the test items, k the number of classes, scored by NMI and ARI."""

    restarts: PositiveInt = Field(10, description="starts, of which the tightest counts")


class ClusteringRow(base.Row):
    """How far clusters and classes agree, with sample standard deviations over the seeds.

    Attributes:
        nmi: normalised mutual information, over the probe seeds, in [0, 1].
        ari: adjusted Rand index; 0 is chance.
        nmis: one per seed.
        aris: one per seed.
    """

    nmi: float
    nmi_std: float
    ari: float
    ari_std: float
    nmis: tuple[float, ...]
    aris: tuple[float, ...]


_Agreement = tuple[float, float]
"""NMI and ARI."""


class ClusteringMetric(base.Metric[Clustering, _Agreement, ClusteringRow]):
    """NMI and ARI of k-means clusters of the unturned test items."""

    key = "clustering"
    section = Clustering | None
    row = ClusteringRow
    title = "clusters"

    def measure(self, asked: Clustering, task: base.Task) -> Callable[[Labels], _Agreement]:
        """Cluster the test items, standardised as they are for the classifier."""
        inputs = task.test[base.ALIGNED].astype(np.float64)
        if task.standardise:
            inputs = StandardScaler().fit(task.train.astype(np.float64)).transform(inputs)
        classes = len(np.unique(task.train_labels))
        clusters = cluster(inputs, classes, restarts=asked.restarts, seed=task.seed)
        return lambda labels: agreement(np.asarray(labels), clusters)

    def rows(
        self, asked: Clustering, found: Sequence[_Agreement], name: base.Name
    ) -> list[ClusteringRow]:
        """One row."""
        nmis, aris = zip(*found, strict=True)
        row = ClusteringRow(
            **name,
            setting=base.ALIGNED,
            nmi=float(np.mean(nmis)),
            nmi_std=base.spread(nmis),
            ari=float(np.mean(aris)),
            ari_std=base.spread(aris),
            nmis=nmis,
            aris=aris,
        )
        return [row]

    def cells(self, row: ClusteringRow) -> dict[str, str]:
        """Both scores."""
        return {
            "NMI": base.per_cent(row.nmi, row.nmi_std, len(row.nmis)),
            "ARI": base.per_cent(row.ari, row.ari_std, len(row.aris)),
        }
