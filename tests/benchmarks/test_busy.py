import pytest

from benchmarks.busy import not_quiet


@pytest.mark.parametrize("load", [None, 0.0, 0.3])
def test_of_a_quiet_machine_nothing_is_said(load):
    assert not_quiet(load) is None


def test_a_machine_that_others_keep_busy_is_told_with_its_load():
    assert "load 3.20" in not_quiet(3.2)
