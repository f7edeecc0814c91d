"""Studies: arms times seeds, each an ordinary run, and what they add up to.

Importing it does not import torch: a mistake in a study is found before anything heavy starts.
"""

from pc_crvae.study.plan import PlannedRun, plan_runs
from pc_crvae.study.schema import (
    Arm,
    EvaluationOfStudy,
    ProbeOfStudy,
    Study,
    find_study,
    load_study,
)

__all__ = [
    "Arm",
    "EvaluationOfStudy",
    "PlannedRun",
    "ProbeOfStudy",
    "Study",
    "find_study",
    "load_study",
    "plan_runs",
]
