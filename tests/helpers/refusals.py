"""What a command says that refuses its arguments."""

from pc_crvae.cli import main


def refused(capsys, command, *arguments):
    """The one sentence that a command answers ``arguments`` with."""
    assert main([command, *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err
