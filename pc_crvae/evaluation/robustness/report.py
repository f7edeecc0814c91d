"""What a robustness run reports: rows of plain numbers, corruption errors, and tables of text."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError
from pc_crvae.evaluation.robustness.conditions import OCCLUSIONS, Condition
from pc_crvae.evaluation.robustness.corruptions import CORRUPTIONS, SEVERITIES, corruption_error

FEATURES = ("trained", "untrained")
REPRESENTATIONS = {"mean": "posterior_mean", "pooled": "pooled"}
_SHOWN = {"aligned": "aligned", "z": "z", "so3": "SO(3)"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Drift:
    """How far posteriors have moved under one draw of a condition: q(z|t(x)) from q(z|x).

    Attributes:
        cosine: (n,) of the means of n shapes.
        centered_cosine: (n,) the same after the mean of all unmoved means is taken off, since
            what all shapes share does not tell them apart.
        kl: (n,) KL(q(z|t(x)) || q(z|x)) in nats; None where posteriors have no density.
        dimensions: of z.
    """

    cosine: NDArray[np.float64]
    centered_cosine: NDArray[np.float64]
    kl: NDArray[np.float64] | None
    dimensions: int


@dataclass(frozen=True)
class Reference:
    """Whose corruption errors are 1: the trained encoder of another report.

    Attributes:
        path: of the report.
        checkpoint: that it is of, as the report says.
        accuracies: by representation and corruption, one a severity.
        points: of each shape.
        seeds: of its draws.
        test_name: of the data set.
        test_sha256: of its test split.
    """

    path: Path
    checkpoint: Any
    accuracies: Mapping[str, Mapping[str, Sequence[float]]]
    points: int
    seeds: list[int]
    test_name: str
    test_sha256: str


def read_reference(path: Path) -> Reference:
    """Read the report of another run.

    Raises:
        UserError: it cannot be read, or is no report of robustness with corruptions.
    """
    try:
        report = json.loads(path.read_text())
        return Reference(
            path=path,
            checkpoint=report.get("checkpoint"),
            accuracies=_by_severity(row for row in report["rows"] if row["features"] == "trained"),
            points=report["protocol"]["points"],
            seeds=report["protocol"]["seeds"],
            test_name=report["data"]["test"]["name"],
            test_sha256=report["data"]["test"]["sha256"],
        )
    except OSError as error:
        raise UserError(f"--reference {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"--reference {path} is not a report of tools/robustness.py with corruptions: give the "
            "JSON file of one"
        ) from error


def check_reference(
    reference: Reference, points: int, seeds: Sequence[int], test_sha256: str
) -> None:
    """Refuse a reference that was measured on other shapes.

    Raises:
        UserError: other test shapes, or another count of points or draws of them.
    """
    path = reference.path
    if reference.test_sha256 != test_sha256:
        raise UserError(
            f"--reference {path} is of other test shapes ({reference.test_name}): errors of "
            "different shapes are no measure of each other"
        )
    for name, theirs, ours in (
        ("points", reference.points, points),
        ("seeds", reference.seeds, list(seeds)),
    ):
        if theirs != ours:
            raise UserError(
                f"--reference {path} was measured with other {name} ({theirs}, not {ours}): make "
                "both alike"
            )


def accuracy_rows(
    accuracies: Mapping[tuple[str, str, str, Condition], Sequence[float]],
) -> list[Row]:
    """Make a row of each encoder, representation, turn of training shapes, and condition.

    Args:
        accuracies: one a seed.
    """
    return [
        {
            "features": features,
            "representation": REPRESENTATIONS[representation],
            "fitted_on": how,
            "part": condition.part,
            "condition": condition.name,
            "level": condition.level,
            "accuracy_mean": float(np.mean(of_seeds)),
            "accuracy_std": _spread(of_seeds),
            "accuracies": list(of_seeds),
        }
        for (features, representation, how, condition), of_seeds in accuracies.items()
    ]


def drift_rows(drifts: Mapping[tuple[str, Condition], Sequence[Drift]]) -> list[Row]:
    """Make a row of each encoder and condition: means over shapes, over all seeds and of each."""
    rows = []
    for (features, condition), of_seeds in drifts.items():
        cosines = [float(drift.cosine.mean()) for drift in of_seeds]
        kls = [float(drift.kl.mean()) for drift in of_seeds if drift.kl is not None]
        kl = float(np.mean(kls)) if kls else None
        rows.append(
            {
                "features": features,
                "part": condition.part,
                "condition": condition.name,
                "level": condition.level,
                "cosine": float(np.mean(cosines)),
                "cosine_of_seeds": cosines,
                "centered_cosine": float(
                    np.mean([drift.centered_cosine.mean() for drift in of_seeds])
                ),
                "kl": kl,
                "kl_per_dimension": None if kl is None else kl / of_seeds[0].dimensions,
                "kl_of_seeds": kls,
            }
        )
    return rows


def corruption_errors(rows: Sequence[Row], reference: Reference | None = None) -> list[Row]:
    """Make a row of each encoder and representation: CE by corruption, and their mean, mCE.

    Each seed's errors are taken over the reference's mean ones, so that its own mCE is 1.

    Args:
        rows: of `accuracy_rows`.
        reference: None for the untrained encoder's same representation.
    """
    corrupted = [row for row in rows if row["part"] == "corruption"]
    if not corrupted:
        return []
    against = (
        _by_severity(row for row in corrupted if row["features"] == "untrained")
        if reference is None
        else reference.accuracies
    )
    described = reference and {
        "report": str(reference.path),
        "checkpoint": reference.checkpoint,
    }
    found = []
    for features in FEATURES:
        for representation in REPRESENTATIONS.values():
            own = [
                row
                for row in corrupted
                if (row["features"], row["representation"]) == (features, representation)
            ]
            row = {
                "features": features,
                "representation": representation,
                "reference": "untrained" if reference is None else described,
            }
            found.append(row | _errors_over(own, against[representation]))
    return found


def format_robustness(report: dict[str, Any]) -> str:
    """Lay a report out as plain text: accuracies in per cent, mean and standard deviation."""
    parts = {row["part"] for row in report["rows"]}
    sections = [_accuracy_section(report, "rotation", "turned: training / test shapes")]
    if "corruption" in parts:
        sections.append(_corruption_section(report))
    if "occlusion" in parts:
        sections.append(_accuracy_section(report, "occlusion", "seen from an elevation"))
    if "points" in parts:
        sections.append(_accuracy_section(report, "points", "points a shape"))
    sections.append(_drift_section(report))
    return "\n\n".join(section for section in sections if section)


def _by_severity(rows: Iterable[Row]) -> dict[str, dict[str, list[float]]]:
    """Mean accuracies by representation and corruption, by ascending severity.

    Raises:
        KeyError: a corruption or severity is missing.
        TypeError: an accuracy is no number.
    """
    means = {
        (row["representation"], row["condition"], row["level"]): row["accuracy_mean"]
        for row in rows
        if row["part"] == "corruption"
    }
    if not all(isinstance(mean, float) for mean in means.values()):
        raise TypeError("accuracies are numbers")
    return {
        representation: {
            name: [means[representation, name, severity] for severity in SEVERITIES]
            for name in CORRUPTIONS
        }
        for representation in REPRESENTATIONS.values()
    }


def _errors_over(own: Sequence[Row], against: Mapping[str, Sequence[float]]) -> Row:
    faultless = [name for name in CORRUPTIONS if min(against[name]) == 1]
    if faultless:
        return {
            "ce": None,
            "mce_mean": None,
            "mce_std": None,
            "mce": None,
            "note": f"the reference makes no error under {', '.join(faultless)}, so that no error "
            "can be measured against it",
        }
    seeds = range(len(own[0]["accuracies"]))
    of_seeds = {
        name: [
            corruption_error(
                [
                    row["accuracies"][seed]
                    for severity in SEVERITIES
                    for row in own
                    if (row["condition"], row["level"]) == (name, severity)
                ],
                against[name],
            )
            for seed in seeds
        ]
        for name in CORRUPTIONS
    }
    mce = [float(np.mean([errors[seed] for errors in of_seeds.values()])) for seed in seeds]
    return {
        "ce": {name: float(np.mean(errors)) for name, errors in of_seeds.items()},
        "mce_mean": float(np.mean(mce)),
        "mce_std": _spread(mce),
        "mce": mce,
    }


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _accuracy_section(report: dict[str, Any], part: str, title: str) -> str:
    rows = [row for row in report["rows"] if row["part"] == part]
    columns = list(
        dict.fromkeys((row["fitted_on"], row["condition"], row["level"]) for row in rows)
    )
    columns.sort(key=lambda column: (list(_SHOWN).index(column[0]), *_order(column[1:])))
    cells = {_of(row, "fitted_on", "condition", "level"): _percent(row) for row in rows}
    lines = [
        [_name(*who), *(cells[(*who, *column)] for column in columns)]
        for who in ((f, r) for f in FEATURES for r in REPRESENTATIONS.values())
    ]
    return _table([title, *(_title(part, *column) for column in columns)], lines)


def _corruption_section(report: dict[str, Any]) -> str:
    rows = [row for row in report["rows"] if row["part"] == "corruption"]
    errors = {_of(row): row for row in report["corruption_errors"]}
    lines = []
    for who in errors:
        means = [
            np.mean([row["accuracy_mean"] for row in rows if _of(row, "condition") == (*who, name)])
            for name in CORRUPTIONS
        ]
        mce, spread = errors[who]["mce_mean"], errors[who]["mce_std"]
        shown = "-" if mce is None else f"{mce:.3f}"
        if mce is not None and len(errors[who]["mce"]) > 1:
            shown += f" ± {spread:.3f}"
        lines.append([_name(*who), *(f"{100 * mean:.1f}" for mean in means), shown])
    titles = [name.replace("_", " ") for name in CORRUPTIONS]
    first = report["corruption_errors"][0]
    reference = first["reference"]
    against = (
        "the untrained encoder's same representation"
        if reference == "untrained"
        else f"the trained encoder of {reference['report']}"
    )
    notes = {row["note"]: None for row in report["corruption_errors"] if "note" in row}
    return "\n".join(
        [
            _table(["corrupted, mean of severities 1 to 5", *titles, "mCE"], lines),
            f"mCE: mean corruption error, 1 for {against}; less is better",
            *notes,
        ]
    )


def _drift_section(report: dict[str, Any]) -> str:
    """Drift of the posterior, its mean over the levels of each condition but counts of points."""
    groups: dict[tuple[str, str, int | None], dict[str, list[Row]]] = {}
    for row in report["drift"]:
        level = row["level"] if row["part"] == "points" else None
        of_group = groups.setdefault((row["part"], row["condition"], level), {})
        of_group.setdefault(row["features"], []).append(row)
    if not groups:
        return ""
    lines = []
    for (part, condition, level), by_features in groups.items():
        name = f"{level:,} points" if level is not None else _condition_name(part, condition)
        cells = []
        for features in FEATURES:
            rows = by_features[features]
            for cosine in ("cosine", "centered_cosine"):
                cells.append(f"{np.mean([row[cosine] for row in rows]):.3f}")
            kls = [row["kl"] for row in rows if row["kl"] is not None]
            cells.append(f"{np.mean(kls):,.1f}" if kls else "-")
        lines.append([name, *cells])
    titles = [
        f"{features} {what}" for features in FEATURES for what in ("cosine", "centred", "KL (nats)")
    ]
    return _table(["drift of the posterior, mean of levels", *titles], lines)


def _of(row: Row, *names: str) -> tuple[Any, ...]:
    return (row["features"], row["representation"], *(row[name] for name in names))


def _name(features: str, representation: str) -> str:
    return f"{features} {representation.replace('_', ' ')}"


def _condition_name(part: str, condition: str) -> str:
    if part == "rotation":
        return f"turned by {_SHOWN[condition]}" if condition != "z" else "turned about z"
    if part == "occlusion":
        return f"occluded, {condition.replace('_', ' ')}"
    return condition.replace("_", " ")


def _order(column: tuple[str, int]) -> tuple[int, int]:
    condition, level = column
    known = [*_SHOWN, *OCCLUSIONS, "count"]
    return known.index(condition), level


def _title(part: str, fitted_on: str, condition: str, level: int) -> str:
    if part == "rotation":
        return f"{_SHOWN[fitted_on]}/{_SHOWN[condition]}"
    return f"{level:,}" if part == "points" else f"{condition.replace('_', ' ')} {level}°"


def _percent(row: Row) -> str:
    mean = f"{100 * row['accuracy_mean']:.1f}"
    return mean if len(row["accuracies"]) == 1 else f"{mean} ± {100 * row['accuracy_std']:.1f}"


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(titles, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (titles, *lines)
    )
