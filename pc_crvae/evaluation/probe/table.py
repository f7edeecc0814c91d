"""The report of a probe as a table of text: scores in per cent, mean and standard deviation."""

from collections.abc import Iterator, Sequence

from pc_crvae.embedding.names import SETTING_TITLES, TRAINING_FREE, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.probe import cross_validation
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import Row, Scores
from pc_crvae.evaluation.probe.report import PairedRow, ProbeReport
from pc_crvae.evaluation.tables import Table
from pc_crvae.utils.templates import filled


def format_table(report: ProbeReport) -> str:
    """Lay a report out as plain text."""
    rows = report.rows + report.extra_rows
    main = _table("accuracy (class mean)", [(row, row.setting, _accuracy(row)) for row in rows])
    by_setting, blocks = [*main.rows], []
    for differences in _differences(report.paired):
        by_setting += _section(differences, main.columns)
    without = report.without_near_copies
    if without is not None and without.left_out and without.rows:
        title = f"without {without.left_out:,} near-copies"
        blocks.append(_table(title, [(row, row.setting, _accuracy(row)) for row in without.rows]))
    for metric in METRICS:
        cells = [
            (row, *cell) for row in report.measured(metric) for cell in metric.cells(row).items()
        ]
        shown = _table(metric.title, cells)
        if cells and metric.by_setting:
            by_setting += _section(shown, main.columns)
        elif cells:
            blocks.append(shown)
    found = report.cross_validation
    return filled(
        __file__,
        "table.txt",
        report=report,
        tables=[Table(main.columns, by_setting), *blocks],
        has_untrained=any(row.features == "untrained" for row in rows),
        untrained=UNTRAINED_TITLES[report.protocol.untrained],
        notes=_notes(report),
        cross_validation=None if found is None else _cross_validation(found),
    )


def _differences(pairs: Sequence[PairedRow]) -> Iterator[Table]:
    """How far trained rows lie above each row that is no trained one, by setting."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    for pair in pairs:
        against = f"the training-free row ({pair.training_free})"
        if pair.training_free is None:
            against = f"the strongest untrained row ({_words(pair.untrained or '')})"
        where = title_of("trained", pair.trained), SETTING_TITLES[pair.setting]
        shown = _with_interval(pair.difference, pair.interval, "+")
        found.setdefault(f"less {against}", {})[where] = shown
    for title, cells in found.items():
        yield Table.of_cells(title, cells)


def _section(part: Table, columns: Sequence[str]) -> list[list[str]]:
    """The rows of a part, below its title, in the columns of a larger table."""
    empty = [""] * (len(columns) - 1)
    rows = [dict(zip(part.columns[1:], row[1:], strict=True)) for row in part.rows]
    return [
        ["", *empty],
        [part.columns[0], *empty],
        *(
            [name, *(row.get(column, "") for column in columns[1:])]
            for (name, *_), row in zip(part.rows, rows, strict=True)
        ),
    ]


def _notes(report: ProbeReport) -> Iterator[str]:
    """What the rows' notes say, each once, with the rows that it is about where not all are."""
    rows = report.rows + report.extra_rows
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for note in (row.note or "").split("; "):
            if note:
                about.setdefault(note, {})[title_of(row.features, row.representation)] = None
    every = {title_of(row.features, row.representation) for row in rows}
    for note, names in about.items():
        yield note + ("" if set(names) == every else f" ({', '.join(names)})")


def _cross_validation(found: cross_validation.CrossValidated) -> Table:
    title = (
        f"training items, {found.folds} folds"
        + (f" {found.repeats} times" if found.repeats > 1 else "")
        + f", {100 * found.level:.0f} % intervals"
    )
    rows = [[title_of(row.features, row.representation), *_scores(row, "")] for row in found.rows]
    for pair in found.differences:
        name = f"trained {_words(pair.trained)} less {_words(pair.against)}"
        if pair.against == TRAINING_FREE:
            name += f" {pair.representation}"
        rows.append([name, *_scores(pair, "+")])
    return Table([title, "accuracy", "class mean"], rows)


def _scores(
    row: cross_validation.CrossValidatedRow | cross_validation.CrossValidatedDifference, sign: str
) -> list[str]:
    scores = (row.accuracy, row.class_mean)
    return [_with_interval(score.mean, score.interval, sign) for score in scores]


def _with_interval(mean: float, interval: tuple[float, float], sign: str) -> str:
    low, high = interval
    return f"{100 * mean:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"


def _words(name: str) -> str:
    return "training-free" if name == TRAINING_FREE else name.replace("_", " ")


def _accuracy(row: Scores) -> str:
    """The accuracy over items and, in brackets, its mean over classes."""
    return f"{row.shown} ({100 * row.class_mean:.1f})"


def _table(title: str, cells: Sequence[tuple[Row, str, str]]) -> Table:
    """Lay out what rows have in columns, which go by the titles of settings where they are such."""
    return Table.of_cells(
        title,
        {
            (title_of(row.features, row.representation), SETTING_TITLES.get(column, column)): cell
            for row, column, cell in cells
        },
    )
