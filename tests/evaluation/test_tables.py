"""Tables for papers: the same cells as Markdown, CSV and LaTeX."""

import csv
import io

import pytest

from pc_crvae.errors import UserError
from pc_crvae.evaluation.tables import Table

TABLE = Table(
    columns=["features", "z", "50 %"],
    rows=[["trained_a", "93.2 ± 0.1", "1"], ["bps|octants", "91.0", "[-1, +2]"]],
    protocol="By folds & seeds, ±.",
)


def test_markdown_has_a_line_a_row_and_the_paragraph_below(tmp_path):
    TABLE.write(tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8").splitlines() == [
        "| features | z | 50 % |",
        "| --- | --- | --- |",
        "| trained_a | 93.2 ± 0.1 | 1 |",
        "| bps\\|octants | 91.0 | [-1, +2] |",
        "",
        "By folds & seeds, ±.",
    ]


def test_csv_has_means_and_deviations_in_columns_of_their_own():
    assert list(csv.reader(io.StringIO(TABLE.csv()))) == [
        ["features", "z", "z std", "50 %"],
        ["trained_a", "93.2", "0.1", "1"],
        ["bps|octants", "91.0", "", "[-1, +2]"],
    ]


def test_latex_escapes_what_would_be_its_own_signs():
    text = TABLE.latex()
    assert r"features & z & 50 \% \\" in text
    assert r"trained\_a & 93.2 $\pm$ 0.1 & 1 \\" in text
    assert r"\caption{By folds \& seeds, $\pm$.}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert text.count(r"\begin") == text.count(r"\end")


@pytest.mark.parametrize(("suffix", "begin"), [("md", "| f"), ("csv", "features,"), ("tex", "%")])
def test_the_suffix_chooses_the_form(tmp_path, suffix, begin):
    TABLE.write(tmp_path / f"table.{suffix}")
    assert (tmp_path / f"table.{suffix}").read_text().startswith(begin)


def test_another_suffix_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"table\.xlsx must end in \.md, \.csv or \.tex"):
        TABLE.write(tmp_path / "table.xlsx")


def test_cells_are_laid_out_by_row_and_column_and_what_is_not_there_is_empty():
    cells = {("a", "x"): "1", ("b", "y"): "2", ("a", "z"): "3"}
    table = Table.of_cells("of", cells, columns=("no", "z"))
    assert table.columns == ["of", "z", "x", "y"]
    assert table.rows == [["a", "3", "1", ""], ["b", "", "", "2"]]
    assert table.text().splitlines() == ["of  z  x  y", "a   3  1", "b         2"]


def test_a_title_within_a_table_makes_no_column_wider():
    rows = [["a", "1"], ["", ""], ["a long title", ""], ["b", "2"]]
    lines = Table(["of", "x"], rows).text().splitlines()
    assert lines == ["of  x", "a   1", "", "a long title", "b   2"]
