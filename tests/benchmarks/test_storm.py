"""A small cut of the storm: nothing is silently different, stuck, or ends in a traceback."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from benchmarks.storm.outcomes import COLUMNS, Tally, table


def test_the_table_counts_what_became_of_the_trials():
    tally = Tally("killed")
    for outcome in ("same", "refused", "same", "stuck"):
        tally.add(outcome, "a trial")
    assert tally.counts == Counter(same=2, refused=1, stuck=1)
    assert tally.harmful == ["killed, stuck: a trial"]
    lines = table([tally]).splitlines()
    assert (
        lines[0] == "| what | trials | refused | same | silently different | stuck | tracebacks |"
    )
    assert lines[2] == "| killed | 4 | 1 | 2 | 0 | 1 | 0 |"


@pytest.mark.slow
def test_a_small_storm_does_no_harm():
    command = [sys.executable, "-m", "benchmarks.storm", "--minutes", "5"]
    sizes = ["--runs", "10", "--writers", "3", "--damaged", "180", "--fuzzed", "900"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *sizes], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [
        line for line in done.stdout.splitlines() if re.match(r"\| (killed|damaged|fuzz)", line)
    ]
    assert len(rows) > 15
    for row in rows:
        numbers = [int(cell.replace(",", "")) for cell in row.strip("| ").split(" | ")[1:]]
        assert numbers[1 + COLUMNS.index("silently different") :] == [0, 0, 0], row
