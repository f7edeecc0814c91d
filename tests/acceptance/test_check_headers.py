"""The check of headers finds every figure that it is about, and tells of one that is off."""

import subprocess

import pytest

from acceptance import check_headers
from acceptance.check_headers import CHECKED, CHECKOUT, Remade, failures, main, words_of

HEADER = (
    "Result: aligned 90.0 +- 0.5 (untrained encoder 80.0 +- 0.2), turned about z 70.0 +- 1.0 "
    "(50.0 +- 0.4)."
)


def report(**shares: float) -> dict:
    """What a probe of 1,000 items found, by default what the header says; pooled, all are 0.6."""
    found = {"trained aligned": 0.9, "untrained aligned": 0.8, "trained z": 0.7, "untrained z": 0.5}
    found |= {name.replace("_", " "): share for name, share in shares.items()}
    rows = [
        {
            "features": name.split()[0],
            "setting": name.split()[1],
            "representation": "posterior_mean",
            "accuracy_mean": share,
            "accuracy_std": 0.01,
        }
        for name, share in found.items()
    ]
    pooled = {"representation": "pooled", "accuracy_mean": 0.6}
    return {
        "data": {"test": {"count": 1000}},
        "rows": rows,
        "extra_rows": [row | pooled for row in rows],
    }


@pytest.mark.parametrize("name", CHECKED)
def test_the_headers_have_the_figures_that_are_checked(name):
    header = words_of(CHECKOUT / "configs" / f"{name}.yaml")
    figures = [
        check_headers.Figure(figure.name, figure.said, lambda report: Remade(0.0))
        for figure in CHECKED[name][1]
    ]
    assert not [
        sentence for sentence in failures(header, figures, {}) if "does not say" in sentence
    ]


def test_a_figure_within_the_spread_holds_and_another_is_told():
    figures = CHECKED["quickstart"][1]
    assert list(failures(HEADER, figures, report(trained_z=0.73))) == []
    (told,) = failures(HEADER, figures, report(trained_z=0.78))
    assert told == "trained, z, posterior_mean: the header says 70, it is 78.0 +- 3.9"


def test_figures_of_pooled_features_are_among_the_further_rows():
    figures = CHECKED["modelnet10-turned"][1]
    header = "however they are turned alike, 60.0 +- 0.1"
    assert list(failures(header, figures, report())) == []
    told = list(failures(header.replace("60.0", "90.0"), figures, report()))
    assert told[0] == "trained, aligned, pooled: the header says 90, it is 60.0 +- 3.7"


def test_a_figure_that_the_header_lacks_is_told():
    told = list(failures("Result: not run.", CHECKED["quickstart"][1], report()))
    assert told[0] == "trained, aligned, posterior_mean: the header does not say it"
    assert len(told) == 4


def test_it_trains_measures_and_fails_where_a_header_is_off(monkeypatch, tmp_path):
    commands = []

    def done(command, *, check):
        commands.append(command[3])
        if "--json" in command:
            path = tmp_path / "quickstart" / "header.json"
            path.parent.mkdir()
            path.write_text(check_headers.json.dumps(report(trained_z=0.1)))

    monkeypatch.setattr(subprocess, "run", done)
    with pytest.raises(
        SystemExit, match="quickstart: trained, z, posterior_mean: the header says "
    ):
        main(["quickstart", "--out", str(tmp_path)])
    assert commands == ["train", "probe"]
