"""What probes and comparisons of them found, as tables for papers."""

from collections.abc import Iterator

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.probe.comparison import Comparison
from pc_crvae.evaluation.probe.metrics.base import per_cent
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.probe.words import TURNED
from pc_crvae.evaluation.reports import TrainAndTest
from pc_crvae.evaluation.tables import Table
from pc_crvae.version import __version__


def table_of_probe(report: ProbeReport) -> Table:
    """The accuracies of a probe in per cent, a row an encoder and a column a setting."""
    cells = {
        (title_of(row.features, row.representation), SETTING_TITLES[row.setting]): per_cent(
            row.accuracy_mean, row.accuracy_std, len(row.accuracies)
        )
        for row in report.rows + report.extra_rows
    }
    return Table.of_cells("features", cells, protocol=" ".join(_protocol_of_probe(report)))


def _protocol_of_probe(report: ProbeReport) -> Iterator[str]:
    rules, data = report.protocol, report.data
    name = f" of {data.test.name}" if isinstance(data, TrainAndTest) else ""
    yield (
        f"Accuracy in per cent on {data.test.count:,} test items{name}; classifiers are fitted on "
        f"{data.train.count:,} training items, with frozen features."
    )
    yield f"Classifier: {rules.classifier}; features: {rules.features}."
    if rules.choice_of_c is not None:
        yield f"C: {rules.choice_of_c}."
    if isinstance(data, TrainAndTest):
        yield f"Test items are scored {', '.join(TURNED[each] for each in rules.settings)}."
    if rules.points is not None:
        yield f"{rules.points:,} points are drawn of each shape."
    count = len(rules.seeds)
    yield f"Mean ± standard deviation over {count} probe seeds." if count > 1 else "One probe seed."
    if any(row.features == "untrained" for row in report.rows + report.extra_rows):
        yield f"Untrained encoders: {UNTRAINED_TITLES[rules.untrained]}."
    if report.training_free is not None:
        yield (
            f"Training-free: {report.training_free.chosen}, chosen by cross-validation on the "
            "training items."
        )
    if report.without_near_copies is not None:
        yield (
            f"{report.without_near_copies.left_out:,} test items have a near-copy in training, "
            "and are counted."
        )
    yield f"Protocol {rules.name} of pc_crvae {__version__}."


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
        protocol=(
            f"A: {compared.first}; B: {compared.second}. Accuracy in per cent on "
            f"{compared.test_items:,} test items, which both were scored on, with "
            f"{len(compared.seeds)} probe seeds. {compared.level:.0%} intervals of the difference; "
            f"{compared.method}."
        ),
    )
