"""What a probe found, in sentences for someone who has never read its table."""

from collections.abc import Mapping

from pc_crvae.embedding.names import SETTING_TITLES, Setting
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.utils.templates import filled

TURNED: Mapping[Setting, str] = {
    "aligned": "as they are",
    "z": "turned about the vertical",
    "so3": "turned by any rotation",
}
"""The settings in words; of images all are as they are."""


def columns_in_words(report: ProbeReport) -> str:
    """Say what the columns and brackets of `format_table` are, a line each."""
    return filled(
        __file__,
        "columns.txt",
        settings=report.protocol.settings,
        turned=TURNED,
        titles=SETTING_TITLES,
        paired=report.paired,
    )


def in_words(report: ProbeReport) -> str:
    """Say what the trained encoder recognises, beside what needs no training, one line per setting.

    Empty where no trained encoder was probed.
    """
    rows = report.rows or report.extra_rows
    shares = {
        setting: {row.features: row.accuracy_mean for row in rows if row.setting == setting}
        for setting in report.protocol.settings
    }
    if not any("trained" in of_setting for of_setting in shares.values()):
        return ""
    return filled(__file__, "words.txt", shares=shares, turned=TURNED)
