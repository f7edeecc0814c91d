"""The metrics of the probe beside its classifier: one module each, listed in `METRICS`."""

from typing import Any

from pc_crvae.evaluation.probe.metrics.base import Metric
from pc_crvae.evaluation.probe.metrics.clustering import ClusteringMetric
from pc_crvae.evaluation.probe.metrics.few_shot import FewShotMetric
from pc_crvae.evaluation.probe.metrics.low_label import LowLabelMetric
from pc_crvae.evaluation.probe.metrics.other_classifiers import OtherClassifiers
from pc_crvae.evaluation.probe.metrics.retrieval import RetrievalMetric

METRICS: list[Metric[Any, Any, Any]] = [
    RetrievalMetric(),
    OtherClassifiers(),
    LowLabelMetric(),
    FewShotMetric(),
    ClusteringMetric(),
]
"""All of them, in the order of reports and tables."""
