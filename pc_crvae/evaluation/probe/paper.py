"""What probes and comparisons of them found, as tables for papers."""

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.probe.comparison import Comparison
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.words import TURNED
from pc_crvae.evaluation.reports import TrainAndTest
from pc_crvae.evaluation.tables import Table
from pc_crvae.utils.templates import filled
from pc_crvae.version import __version__


def table_of_probe(report: ProbeReport) -> Table:
    """The accuracies of a probe in per cent, one row per encoder and one column per setting."""
    cells = {
        (title_of(row.features, row.representation), SETTING_TITLES[row.setting]): row.shown
        for row in report.rows + report.extra_rows
    }
    protocol = filled(
        __file__,
        "protocol.txt",
        report=report,
        of_items=isinstance(report.data, TrainAndTest),
        turned=[TURNED[setting] for setting in report.protocol.settings],
        has_untrained=any(row.features == "untrained" for row in report.rows + report.extra_rows),
        untrained=UNTRAINED_TITLES[report.protocol.untrained],
        version=__version__,
    )
    return Table.of_cells("features", cells, protocol=" ".join(protocol.splitlines()))


def table_of_comparison(compared: Comparison) -> Table:
    """Two probes side by side, a row for each pair of their rows."""
    return Table(
        columns=["features", "A", "B", "A less B", "interval", "McNemar p"],
        rows=[
            [
                " / ".join(dict.fromkeys((row.first, row.second))),
                *(f"{100 * accuracy:.1f}" for accuracy in row.accuracies),
                f"{100 * row.difference:+.1f}",
                f"[{100 * row.interval[0]:+.1f}, {100 * row.interval[1]:+.1f}]",
                f"{row.p:.3g}",
            ]
            for row in compared.rows
        ],
        protocol=filled(__file__, "compared.txt", compared=compared),
    )
