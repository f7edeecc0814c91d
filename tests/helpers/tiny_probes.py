"""Probes of a few solids, by encoders that know something or nothing."""

import numpy as np

from pc_crvae.evaluation.probe.classifier_settings import LinearSVM
from pc_crvae.evaluation.probe.protocol import ProbeProtocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.run import probe_encoders
from pc_crvae.evaluation.probe.table import format_table


def run_probe(*arguments, **options):
    """The report as JSON has it."""
    return probe_encoders(*arguments, **options).report.plain()


def table_of(plain):
    return format_table(ProbeReport.model_validate(plain))


def changed(**changes):
    return PROTOCOL.model_copy(update=changes)


PROTOCOL = ProbeProtocol(points=24, seeds=(0, 1), classifier=LinearSVM(c=(1e-3, 1e-1)))


def spreads(points):
    spread = points.std(axis=1)
    return {"mean": spread, "pooled": np.hstack([spread, np.abs(points).max(axis=1)])}


def noise_encoder(seed):
    def encode(points):
        rng = np.random.default_rng(seed)
        return {"mean": rng.normal(size=(len(points), 4)), "pooled": np.ones((len(points), 2))}

    return encode


class Recorder:
    """An encoder that remembers the clouds it was shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, points):
        self.seen.append(points.copy())
        return spreads(points)


def find(rows, features, setting):
    (row,) = [r for r in rows if (r["features"], r["setting"]) == (features, setting)]
    return row
