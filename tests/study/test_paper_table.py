"""The arms of a study as a table for a paper."""

import pytest

from helpers.study_summaries import arm_of, summary_of
from pc_crvae.errors import UserError
from pc_crvae.study.paper import table_of_study

ROW = {"representation": "posterior_mean", "setting": "z", "mean": 0.5, "std": 0.1}


def test_arms_that_were_probed_are_rows_and_settings_are_columns():
    row = ROW | {"of_seeds": [0.4, 0.6], "spread_over": "training seeds"}
    table = table_of_study(summary_of(arm_of("cr", rows=[row]), arm_of("left out")))
    assert table.columns[0] == "arm"
    assert table.columns[-1] == "seeds"
    (line,) = table.rows
    assert line[0] == "cr"
    assert line[1] == "50.0 ± 10.0"
    assert "on the test split, mean ± standard deviation over training seeds" in table.protocol


def test_a_study_of_which_nothing_is_known_has_no_table():
    with pytest.raises(UserError, match="has been probed or evaluated, so there is no table"):
        table_of_study(summary_of(arm_of("cr")))
