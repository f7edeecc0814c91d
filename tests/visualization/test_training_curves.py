import numpy as np

from pc_crvae.report.page import drawing
from pc_crvae.visualization.curves import Line
from pc_crvae.visualization.training_curves import kl_by_dimension, training_curves


def curve(values):
    return Line(range(1, len(values) + 1), values)


def panels(recorded):
    return {cell.get_title(loc="left"): cell for cell in training_curves(recorded).axes}


def test_each_quantity_has_a_panel_with_what_was_recorded_of_it():
    found = panels(
        {
            ("train", "kl"): curve([3.0, 2.0]),
            ("validation", "kl"): curve([2.5, 1.5]),
            ("validation", "probe_accuracy"): curve([0.5]),
            ("train", "a_term_of_ones_own"): curve([1.0, 1.0]),
        }
    )
    assert list(found)[:3] == ["kl", "probe accuracy", "a term of ones own"]
    drawn = [line.get_ydata().tolist() for line in found["kl"].lines]
    assert [3.0, 2.0] in drawn
    assert [2.5, 1.5] in drawn


def test_the_opening_of_a_long_record_does_not_set_the_scale():
    values = [1e6, 1e5, *np.linspace(2, 1, 58)]
    low, high = panels({("train", "kl"): curve(values)})["kl"].get_ylim()
    assert low < 1
    assert high < 1000


def test_a_long_record_is_thinned_to_means():
    values = np.arange(10_000.0)
    recorded = {("train", "kl"): curve(values)}
    (line,) = [line for line in panels(recorded)["kl"].lines if len(line.get_xdata())]
    assert len(line.get_xdata()) == 400
    assert line.get_ydata()[0] == np.mean(values[:25])


def test_nothing_recorded_is_no_figure_and_formulas_stay_names():
    assert training_curves({}) is None
    recorded = {("train", "$\\foo$"): curve([1.0])}
    assert "image/svg+xml" in drawing(training_curves(recorded), "curves")


def test_the_same_figure_is_the_same_bytes():
    first, again = (drawing(kl_by_dimension([1.0, 3.0, 2.0]), "KL") for _ in range(2))
    assert first == again


def test_the_fullest_dimensions_come_first():
    (cell,) = kl_by_dimension([1.0, 3.0, 2.0]).axes
    assert [bar.get_height() for bar in cell.patches] == [3.0, 2.0, 1.0]
