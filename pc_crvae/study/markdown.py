"""A study's summary as Markdown: the one of its folder, and the report with plots."""

from collections.abc import Sequence
from typing import Any

from pc_crvae.study.evaluations import FIGURES
from pc_crvae.study.measures import figures_of
from pc_crvae.study.schema import Measure

_SETTINGS = {"aligned": "aligned", "z": "z", "so3": "SO(3)"}
_TERMS = {
    "log_likelihood": "log-likelihood",
    "kl": "KL",
    "consistency": "consistency KL",
    "active_units": "active units",
}


def format_summary(summary: dict[str, Any]) -> str:
    """Lay out what is known so far."""
    parts = [f"# {summary['title']}", _state(summary), *_tables(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


def format_report(
    summary: dict[str, Any], pictures: Sequence[tuple[str, str]], *, level: int = 1
) -> str:
    """Lay out a report.

    Args:
        summary: as `pc_crvae.study.summary.summarize` makes it.
        pictures: alternative text and place, relative to the report, of each.
        level: of its heading.
    """
    parts = [
        f"{'#' * level} {summary['title']}",
        summary["question"].strip(),
        f"    python tools/study.py {summary['study']}",
        "Every figure and table here is made from what the runs stored, by that command with "
        "`--report`.",
        _state(summary),
        _data(summary),
        *_tables(summary),
        *(f"![{text}]({place})" for text, place in pictures),
        _arms(summary),
        _versions(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _state(summary: dict[str, Any]) -> str:
    runs = summary["runs"]
    complete = sum(run["status"] == "complete" for run in runs)
    lines = [f"{complete} of {len(runs)} runs are complete."]
    lines += [
        f"- {run['name']}: {run['status']}" + (f", {run['error']}" if "error" in run else "")
        for run in runs
        if run["status"] != "complete"
    ]
    return "\n".join(lines)


def _data(summary: dict[str, Any]) -> str:
    lines = []
    for cut in summary["data"]:
        official = ", ".join(f"{count:,} {split}" for split, count in cut["card"].items() if count)
        lines.append(
            f"Data: {cut['name']}; classifiers fitted on {cut['fitted_on']:,} training shapes, "
            f"scored on {cut['scored_on']:,} of the {cut['scored_split']} split (the card has "
            f"{official or 'no counts'}; a share of {cut['validation_fraction']:g} of train is "
            "held out for validation)."
        )
    evaluated = summary["evaluated"]
    if evaluated is not None:
        lines.append(_evaluated(evaluated))
    protocol = summary["protocol"]
    if protocol is not None:
        lines.append(
            f"Probe: protocol {protocol['name']}, probe seeds "
            f"{', '.join(map(str, protocol['seeds']))}."
        )
    return "\n".join(lines)


def _evaluated(cut: dict[str, Any]) -> str:
    sentence = (
        f"Data: {cut['name']}; {cut['evaluated']:,} of the {cut['of_split']:,} images of the "
        f"{cut['split']} split, the same of every run, NLL by importance sampling with "
        f"S = {cut['samples']}; {_trained_on(cut)}"
    )
    if cut["classifiers_fitted_on"] is not None:
        sentence += (
            f". Classifiers are fitted on {cut['classifiers_fitted_on']:,} training images and "
            f"scored on all {cut['of_split']:,}"
        )
    if cut["transform"]:
        sentence += f". The consistency KL is under `{cut['transform']}`"
    return sentence + "."


def _trained_on(cut: dict[str, Any]) -> str:
    share = f"a share of {cut['trained_validation_fraction']:g}"
    if cut["split"] == "validation":
        return f"{cut['train']:,} training images, what {share} held out for validation left"
    return f"{cut['train']:,} training images, of which {share} is held out for validation"


def _tables(summary: dict[str, Any]) -> list[str]:
    return [
        _accuracies(summary),
        _differences(summary),
        _figures(summary),
        _figure_differences(summary),
        _terms(summary),
        _robustness(summary),
        _generation(summary),
    ]


def _figures(summary: dict[str, Any]) -> str:
    arms = [arm for arm in summary["arms"] if arm.get("figures")]
    if not arms:
        return ""
    names = [name for name in FIGURES if any(name in arm["figures"] for arm in arms)]
    header = ["arm", *map(_heading, names), "seeds"]
    lines = []
    for arm in arms:
        cells = []
        for name in names:
            figure = arm["figures"].get(name)
            shown = FIGURES[name].factor, FIGURES[name].digits
            cells.append("" if figure is None else _spread(figure, *shown))
            if figure is not None and figure.get("saturated"):
                cells[-1] += " *"
        lines.append([_arm(arm), *cells, ", ".join(map(str, arm["seeds"]))])
    notes = ""
    informed = [arm["figures"].get("mutual_information") for arm in arms]
    of_logarithms = {f"{figure['log_n']:.2f}" for figure in informed if figure is not None}
    if of_logarithms:
        notes = (
            f" MI is estimated from N images and cannot pass log N = {', '.join(of_logarithms)}; "
            "* marks an estimate so near to it that arms must not be ranked by it."
        )
    return (
        f"Of the {summary['split']} split, in nats an image (accuracies in per cent), mean ± "
        f"standard deviation over training seeds, where there are several.{notes}\n\n"
        + _table(header, lines)
    )


def _heading(name: str) -> str:
    figure = FIGURES[name]
    return f"{figure.title} %" if figure.unit == "%" else figure.title


def _figure_differences(summary: dict[str, Any]) -> str:
    rows = summary["figure_differences"]
    if not rows:
        return ""
    pairs = list(dict.fromkeys((row["first"], row["second"]) for row in rows))
    names = [name for name in FIGURES if any(row["figure"] == name for row in rows)]
    of_cell = {(row["first"], row["second"], row["figure"]): row for row in rows}
    lines = []
    for pair in pairs:
        cells = []
        for name in names:
            row = of_cell.get((*pair, name))
            shown = FIGURES[name].factor, FIGURES[name].digits
            cells.append("" if row is None else _signed(row, *shown))
        lines.append([" - ".join(pair), *cells])
    heading = (
        "Differences, seed by seed (mean ± standard deviation; with as few seeds as these no "
        "interval is given, and a difference below twice its spread is no finding)"
        if any(row["std"] is not None for row in rows)
        else "Differences (of one seed, so that nothing is known of their spread)"
    )
    return f"{heading}:\n\n" + _table(["arms", *map(_heading, names)], lines)


def _accuracies(summary: dict[str, Any]) -> str:
    arms = [arm for arm in summary["arms"] if arm["rows"]]
    if not arms:
        return ""
    keys = list(
        dict.fromkeys((row["representation"], row["setting"]) for a in arms for row in a["rows"])
    )
    header = ["arm", *(f"{_words(rep)}, {_SETTINGS[setting]}" for rep, setting in keys), "seeds"]
    lines = []
    for arm in arms:
        cells = {(row["representation"], row["setting"]): row for row in arm["rows"]}
        seeds = "of the probe" if "untrained_of" in arm else ", ".join(map(str, arm["seeds"]))
        values = [_spread(cells[key], 100, 1) if key in cells else "" for key in keys]
        lines.append([_arm(arm), *values, seeds])
    return (
        f"Accuracy on the {summary['split']} split in per cent, mean ± standard deviation over "
        "training seeds (over probe seeds for untrained encoders):\n\n" + _table(header, lines)
    )


def _differences(summary: dict[str, Any]) -> str:
    rows = summary["differences"]
    if not rows:
        return ""
    keys = list(dict.fromkeys((row["representation"], row["setting"]) for row in rows))
    of_pair: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
    for row in rows:
        of_key = of_pair.setdefault((row["first"], row["second"]), {})
        of_key[row["representation"], row["setting"]] = row
    lines = [
        [
            " - ".join(pair),
            *(_interval(cells[key]) if key in cells else "" for key in keys),
            str(len(next(iter(cells.values()))["training_seeds"])),
        ]
        for pair, cells in of_pair.items()
    ]
    header = ["arms", *(f"{_words(rep)}, {_SETTINGS[setting]}" for rep, setting in keys), "seeds"]
    return (
        f"Differences in points with {summary['level']:.0%} intervals ({summary['method']}; not "
        f"corrected for {len(rows)} comparisons, and with few seeds the share of their spread is "
        "underestimated):\n\n" + _table(header, lines)
    )


def _interval(row: dict[str, Any]) -> str:
    low, high = (f"{100 * bound:+.1f}" for bound in row["interval"])
    return f"{100 * row['difference']:+.1f} [{low}, {high}]"


def _terms(summary: dict[str, Any]) -> str:
    arms = [arm for arm in summary["arms"] if arm.get("terms")]
    if not arms:
        return ""
    names = [name for name in _TERMS if any(name in arm["terms"] for arm in arms)]
    lines = [
        [
            _arm(arm),
            *(_spread(arm["terms"][name], 1, 1) if name in arm["terms"] else "" for name in names),
            str(arm["passes"]),
            _spread(arm["training_minutes"], 1, 1),
        ]
        for arm in arms
    ]
    header = ["arm", *(_TERMS[name] for name in names), "encoder passes", "minutes of training"]
    return (
        "Terms of the validation split after the last epoch, in nats an item (active units: "
        "their number), and the time one run trained, one thread each:\n\n" + _table(header, lines)
    )


def _robustness(summary: dict[str, Any]) -> str:
    table = _measured(summary, "robustness")
    if not table:
        return ""
    asked = summary["measures"]["robustness"]
    seeds, points = asked["seeds"], asked["points"]
    return (
        f"Robustness of the posterior mean on the test split, shapes of {points:,} points whatever "
        "a model was trained with (accuracies in per cent, a linear SVM "
        "fitted on unturned training shapes but for z / z and SO(3) / SO(3), where training and "
        "test shapes are turned alike; *corrupted*: mean over 7 corruptions at 5 severities, *mCE* "
        "the mean corruption error, 1 for an untrained encoder of the same architecture; "
        "*occluded*: what a camera sees, mean over 3 elevations, in place and centred anew; "
        "*cosine*: of a shape's posterior mean and that of the turned one, less the mean of all; "
        "*KL*: of the turned "
        f"shape's posterior to the shape's own, in nats); {seeds} draw{'s' if seeds > 1 else ''} a "
        "run, mean ± standard deviation over training seeds:\n\n" + table
    )


def _generation(summary: dict[str, Any]) -> str:
    table = _measured(summary, "generation")
    if not table:
        return ""
    count = summary["measures"]["generation"]["count"]
    return (
        "Reconstructions (sum of both mean squared Chamfer directions; EMD by exact assignment, of "
        f"at most 100 shapes), {count} samples of the prior against {count} test shapes (1-NNA: "
        "50 is ideal), and latents of all test shapes, in nats; MI cannot pass log N, and arms "
        "near it must not be ranked by it:\n\n" + table
    )


def _measured(summary: dict[str, Any], measure: Measure) -> str:
    figures = figures_of(measure)
    arms = [arm for arm in summary["arms"] if arm["measured"].get(measure)]
    names = [name for name in figures if any(name in arm["measured"][measure] for arm in arms)]
    lines = [
        [
            _arm(arm),
            *(
                _spread(arm["measured"][measure][name], figures[name].factor, figures[name].digits)
                if name in arm["measured"][measure]
                else ""
                for name in names
            ),
        ]
        for arm in arms
    ]
    return _table(["arm", *(figures[name].title for name in names)], lines) if arms else ""


def _arms(summary: dict[str, Any]) -> str:
    lines = ["The arms, as runs of their own (with the first seed):", ""]
    for arm in summary["arms"]:
        if "untrained_of" in arm:
            lines.append(
                f"- {arm['name']}: untrained encoders, scored by the probe of {arm['untrained_of']}"
            )
            continue
        overrides = " ".join(_quoted(override) for override in arm["overrides"])
        lines.append(
            f"- {arm['name']}: `python tools/train.py {arm['config']} {overrides} "
            f"--out runs/{arm['name']}`"
        )
    return "\n".join(lines)


def _versions(summary: dict[str, Any]) -> str:
    versions = summary["versions"] or {}
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _arm(arm: dict[str, Any]) -> str:
    return f"{arm['name']}: {arm['about']}" if arm["about"] else str(arm["name"])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _spread(values: dict[str, Any], factor: float, digits: int) -> str:
    if values["mean"] is None:
        return ""
    mean = f"{factor * values['mean']:.{digits}f}"
    return mean if values["std"] is None else f"{mean} ± {factor * values['std']:.{digits}f}"


def _signed(row: dict[str, Any], factor: float, digits: int) -> str:
    text = _spread(row, factor, digits)
    if round(factor * row["mean"], digits) == 0:
        return text.removeprefix("-")
    return text if row["mean"] < 0 else f"+{text}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )
