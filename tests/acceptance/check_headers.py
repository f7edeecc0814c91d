"""Makes the figures of configs' headers anew, and fails where a header says something else.

    python tests/acceptance/check_headers.py                 # quickstart and digits: minutes
    python tests/acceptance/check_headers.py modelnet10-fast --out runs/headers    # --help: names

Training on another machine, or with other threads, rounds otherwise and ends elsewhere, about as
another sample of test items would score. So a figure holds where it lies within two standard
deviations: of the share of so many items, and over probe seeds, together.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
_SPREAD = r"([\d.]+) \+- ([\d.]+)"
_PASSED = r"[\d.]+ \+- [\d.]+ \((?:untrained encoder )?"


@dataclass(frozen=True)
class Remade:
    """A figure that was made anew.

    Attributes:
        value: the figure; a share is in per cent.
        spread: its standard deviation or error, 0 where the report has none.
        items: the items that it is a share of, 0 where it is none.
    """

    value: float
    spread: float = 0.0
    items: int = 0

    def allowed(self, spread: float) -> float:
        """How far the header's figure, of the given spread, may be away."""
        share = self.value / 100
        error = 100 * math.sqrt(share * (1 - share) / self.items) if self.items else 0.0
        return 2 * math.hypot(error, spread, self.spread)


@dataclass(frozen=True)
class Figure:
    """A figure of a header.

    Attributes:
        name: what it is.
        said: finds it in the header's words, and then its spread, where it has one.
        find: takes it out of the report that is made anew.
    """

    name: str
    said: str
    find: Callable[[dict[str, Any]], Remade]


def _probed(
    features: str, setting: str, said: str, representation: str = "posterior_mean"
) -> Figure:
    def find(report: dict[str, Any]) -> Remade:
        wanted = features, setting, representation
        (row,) = (
            row
            for row in [*report["rows"], *report["extra_rows"]]
            if (row["features"], row["setting"], row["representation"]) == wanted
        )
        items = report["data"]["test"]["count"]
        return Remade(100 * row["accuracy_mean"], 100 * row["accuracy_std"], items)

    return Figure(f"{features}, {setting}, {representation}", said, find)


def _of_probe(**settings: str) -> list[Figure]:
    """The trained figure behind the words of each setting, and the untrained one in brackets."""
    return [
        figure
        for setting, words in settings.items()
        for figure in (
            _probed("trained", setting, f"{words} {_SPREAD}"),
            _probed("untrained", setting, f"{words} {_PASSED}{_SPREAD}"),
        )
    ]


def _pooled(**settings: str) -> list[Figure]:
    """The trained figure of pooled features behind the words of each setting."""
    return [
        _probed("trained", setting, f"{words} {_SPREAD}", "pooled")
        for setting, words in settings.items()
    ]


def _classifier(name: str, said: str) -> Figure:
    def find(report: dict[str, Any]) -> Remade:
        score = report["classifiers"][name]
        return Remade(100 * score["accuracy"], items=score["test_items"])

    return Figure(name, said, find)


def _likelihood(name: str) -> Figure:
    return Figure(
        name,
        rf"{name} {_SPREAD} nats",
        lambda found: Remade(found[name.lower()]["mean"], found[name.lower()]["stderr"]),
    )


_BESIDE_UNTRAINED = ["probe", "--untrained", "initial", "--no-training-free"]
_ALONE = ["probe", "--no-training-free"]
_ON_MODELNET10 = [*_ALONE, "--data", "modelnet10"]
CHECKED: dict[str, tuple[list[str], list[Figure]]] = {
    "quickstart": (_BESIDE_UNTRAINED, _of_probe(aligned="aligned", z="turned about z")),
    "digits": (
        ["evaluate"],
        [
            Figure(
                "active units", r"(\d+) of \d+ units", lambda found: Remade(found["active_units"])
            ),
            _likelihood("ELBO"),
            _classifier("linear_svm", r"linear SVM on the posterior mean ([\d.]+) %"),
        ],
    ),
    "mnist": (
        ["evaluate"],
        [
            _likelihood("NLL"),
            _classifier("linear_svm", r"linear SVM ([\d.]+) %"),
            _classifier("knn", r"kNN ([\d.]+) %"),
        ],
    ),
    "omniglot": (
        ["evaluate"],
        [
            _likelihood("NLL"),
            _classifier("linear_svm", r"linear SVM ([\d.]+) %"),
            _classifier("knn", r"kNN ([\d.]+) %"),
        ],
    ),
    "modelnet10-consistency": (
        _BESIDE_UNTRAINED,
        _of_probe(aligned="aligned", z="turned about z", so3=r"turned by SO\(3\)"),
    ),
    "modelnet10-consistency-turned": (
        _BESIDE_UNTRAINED,
        _of_probe(aligned="alike", z="alike", so3=r"SO\(3\)"),
    ),
    "modelnet10-consistency-so3": (
        _BESIDE_UNTRAINED,
        _of_probe(**dict.fromkeys(("aligned", "z", "so3"), "however they are turned")),
    ),
    "modelnet10-fast": (
        _BESIDE_UNTRAINED,
        [
            _probed("trained", "aligned", f"aligned, posterior mean {_SPREAD}"),
            _probed("untrained", "aligned", rf"\(untrained encoder {_SPREAD}"),
            *_pooled(aligned="and pooled features"),
            _probed("untrained", "aligned", rf"encoder [\d.+ -]+ and {_SPREAD}", "pooled"),
            *_of_probe(z="turned about z"),
        ],
    ),
    "modelnet10-contrast": (_ALONE, _pooled(aligned="pooled features, aligned,")),
    "modelnet10": (_ON_MODELNET10, _pooled(aligned="pooled features,")),
    "modelnet10-so3": (_ON_MODELNET10, _pooled(so3="turned,")),
    "modelnet10-turned": (_ON_MODELNET10, _pooled(aligned="alike,", z="alike,")),
}
"""By the config's name: the command that measures its run, and the figures of its header.

Configs that are not here have no figure of one command, or one that no machine of two cores makes.
"""


def words_of(config: Path) -> str:
    """The comment that a config begins with, as one line."""
    lines = config.read_text(encoding="utf-8").splitlines()
    return " ".join(" ".join(line[1:] for line in lines if line.startswith("#")).split())


def failures(header: str, figures: list[Figure], report: dict[str, Any]) -> Iterator[str]:
    """Print every figure, and yield what the header says otherwise, or not at all."""
    for figure in figures:
        found = re.search(figure.said, header)
        if found is None:
            yield f"{figure.name}: the header does not say it"
            continue
        said, *spread = map(float, found.groups())
        remade = figure.find(report)
        allowed = remade.allowed(*spread or [0.0])
        line = f"{figure.name}: the header says {said:g}, it is {remade.value:.1f} +- {allowed:.1f}"
        print(line, flush=True)
        if abs(remade.value - said) > allowed:
            yield line


def check(name: str, out: Path) -> list[str]:
    """Train a config, measure the run, and return what its header says otherwise.

    Raises:
        subprocess.CalledProcessError: a command fails.
    """
    measuring, figures = CHECKED[name]
    config, run = CHECKOUT / "configs" / f"{name}.yaml", out / name
    report = run / "header.json"
    program = [sys.executable, "-m", "pc_crvae"]
    subprocess.run([*program, "train", str(config), "--out", str(run), "--overwrite"], check=True)
    subprocess.run([*program, *measuring, "--ckpt", str(run), "--json", str(report)], check=True)
    found = failures(words_of(config), figures, json.loads(report.read_text(encoding="utf-8")))
    return [f"{name}: {sentence}" for sentence in found]


def main(arguments: list[str] | None = None) -> None:
    """Exit with the figures that headers have otherwise, if there are any."""
    parser = argparse.ArgumentParser(description="Make the figures of configs' headers anew.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CHECKED)}")
    parser.add_argument("--out", type=Path, help="folder of the runs (default: one that goes)")
    options = parser.parse_args(arguments)
    names = options.names or ["quickstart", "digits"]
    for name in names:
        if name not in CHECKED:
            parser.error(f"{name} is not checked: name some of {', '.join(CHECKED)}")
    with tempfile.TemporaryDirectory() as folder:
        wrong = [
            sentence for name in names for sentence in check(name, options.out or Path(folder))
        ]
    if wrong:
        sys.exit("headers do not say what the commands give:\n" + "\n".join(wrong))
    print("the headers say what the commands give")


if __name__ == "__main__":
    main()
