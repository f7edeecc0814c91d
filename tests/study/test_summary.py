"""What a study's summary takes of the probes of its runs."""

import numpy as np

from helpers.probe_reports import store_probe
from pc_crvae.evaluation.probe.comparison import read_probe
from pc_crvae.study.summary import _row_keys


def test_the_training_free_row_beside_the_encoders_is_that_of_no_arm(tmp_path):
    predicted = np.zeros((2, 4), dtype=int)
    names = [
        "trained.posterior_mean.aligned",
        "untrained.posterior_mean.aligned",
        "training_free.bps.aligned",
        "trained.pooled.aligned",
        "untrained.pooled.aligned",
    ]
    store_probe(tmp_path / "probe.json", {name: predicted for name in names}, [0, 1, 0, 1])
    probes = [read_probe(tmp_path / "probe.json")]
    assert _row_keys(probes) == [("posterior_mean", "aligned"), ("pooled", "aligned")]
