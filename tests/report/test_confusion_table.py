import re

import numpy as np
import pytest

from pc_crvae.report.confusion_table import MOST_CLASSES, confusion_table


def rows_of(table):
    rows = re.findall(r"<tr>(.*?)</tr>", table)[1:]
    return [[re.sub("<[^>]+>", "", cell) for cell in re.findall("<td.*?</td>", r)] for r in rows]


def test_rows_hold_the_counts_of_a_true_class_and_their_recall():
    table = confusion_table([[6, 2], [0, 0]], ["cup", "bowl"])
    assert rows_of(table) == [["6", "2", "75%"], ["", "", "-"]]
    assert "cup taken for bowl (2)" in table
    assert "rgba(47, 103, 177, 0.75)" in table


def test_the_commonest_confusions_come_first_and_none_is_made_up():
    table = confusion_table([[5, 1, 0], [3, 5, 0], [0, 2, 5]], ["a", "b", "c"])
    assert "b taken for a (3), c taken for b (2), a taken for b (1)." in table
    assert "No shape was confused" in confusion_table(np.eye(2, dtype=int), ["a", "b"])


def test_names_are_escaped():
    table = confusion_table([[1, 1], [1, 1]], ["<b>", "&"])
    assert "<b>" not in table
    assert "&lt;b&gt; taken for &amp;" in table


def test_of_very_many_classes_only_the_commonest_confusions_are_told():
    count = MOST_CLASSES + 1
    table = confusion_table(np.ones((count, count), dtype=int), [f"c{n}" for n in range(count)])
    assert "<table" not in table
    assert table.count("taken for") == 10


@pytest.mark.parametrize("matrix", [[[1, 2]], [[0.5]], [[-1]], [["1"]], [[1], [2]]])
def test_what_is_no_matrix_of_counts_is_refused(matrix):
    with pytest.raises(ValueError, match="counts"):
        confusion_table(matrix, ["a"])
