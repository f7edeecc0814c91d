import json
from pathlib import Path
from typing import Any

import pytest

from acceptance.check_demo import failures, main


def rows(z: float, aligned: float, deviation: float = 0.01) -> list[dict[str, Any]]:
    """A report's rows with an untrained accuracy of 0.5 in both settings."""
    means = {("trained", "z"): z, ("trained", "aligned"): aligned}
    return [
        {
            "features": features,
            "setting": setting,
            "accuracy_mean": means.get((features, setting), 0.5),
            "accuracy_std": deviation if features == "untrained" else deviation / 2,
        }
        for features in ("trained", "untrained")
        for setting in ("z", "aligned")
    ]


def test_a_clear_gain_when_turned_and_no_loss_when_aligned_hold():
    assert failures(rows(z=0.54, aligned=0.495)) == []


@pytest.mark.parametrize("z", [0.4, 0.5, 0.52])
def test_a_gain_within_three_standard_deviations_when_turned_does_not_hold(z: float):
    (failure,) = failures(rows(z=z, aligned=0.5))
    assert failure.startswith("z:")


def test_no_gain_at_all_does_not_hold_without_any_spread():
    (failure,) = failures(rows(z=0.5, aligned=0.5, deviation=0.0))
    assert failure.startswith("z:")


def test_a_loss_of_more_than_one_standard_deviation_when_aligned_does_not_hold():
    (failure,) = failures(rows(z=0.9, aligned=0.48))
    assert failure.startswith("aligned:")


def test_a_report_that_fails_is_an_error_exit(tmp_path: Path):
    report = tmp_path / "probe.json"
    report.write_text(json.dumps({"rows": rows(z=0.5, aligned=0.3)}))
    with pytest.raises(SystemExit, match=r"z: .* aligned: "):
        main(report)
