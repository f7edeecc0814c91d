"""Every command explains itself, and at once."""

import argparse
import runpy
import subprocess
import sys
import types
from pathlib import Path

import pytest

from pc_crvae import __version__, cli
from pc_crvae.cli import COMMANDS, main, module_of

HEAVY = {"torch", "accelerate", "sklearn", "matplotlib", "open3d", "tensorboard", "trimesh"}
TOOLS = Path(__file__).parents[2] / "tools"


LINES = [
    (name, *action)
    for name in COMMANDS
    for action in [(one,) for one in vars(module_of(name)).get("ACTIONS", ())] or [()]
]
"""Every command, each action of one alone."""


def parser_of(words):
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    module_of(*words).add_arguments(parser)
    return parser


def printed_by(folder, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=folder
    )
    return done.stdout


def help_of(capsys, *arguments, **keywords):
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"], **keywords)
    assert left.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_every_option_is_explained_with_its_default(capsys, words):
    text = help_of(capsys, *words)
    assert module_of(*words).DESCRIPTION in text
    for action in parser_of(words)._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        assert action.help, action.dest
        for name in action.option_strings or [action.metavar]:
            assert name in text
        is_choice = action.option_strings and not action.required and action.nargs != 0
        if is_choice:
            shown = f"(default: {action.default})"
            assert shown in text if action.default is not None else "(default: " in action.help


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_script_explain_themselves_alike(capsys, command):
    through_all = help_of(capsys, command)
    alone = help_of(capsys, command=command)
    assert (
        through_all.partition(module_of(command).DESCRIPTION)[2]
        == (alone.partition(module_of(command).DESCRIPTION)[2])
    )


def test_the_command_without_a_name_lists_all(capsys):
    text = help_of(capsys)
    for name in COMMANDS:
        assert f"{name} {module_of(name).DESCRIPTION}" in text


def test_help_and_early_mistakes_import_nothing_heavy(tmp_path):
    lines = [["--help"], *([name, "--help"] for name in COMMANDS), ["train", "no-such"]]
    program = (
        "import sys\n"
        "from pc_crvae.cli import main\n"
        f"for arguments in {lines!r}:\n"
        "    try:\n"
        "        main(arguments)\n"
        "    except SystemExit:\n"
        "        pass\n"
        f"    print('imported', arguments, sorted({HEAVY!r} & set(sys.modules)))"
    )
    text = printed_by(tmp_path, "-c", program)
    assert [line for line in text.splitlines() if line.startswith("imported")] == [
        f"imported {arguments!r} []" for arguments in lines
    ]


@pytest.mark.parametrize("script", sorted(TOOLS.glob("*.py")), ids=lambda script: script.stem)
def test_each_script_explains_itself_as_its_command_does(script, capsys, monkeypatch):
    if script.stem not in COMMANDS:
        pytest.skip("of the benchmarks, which are no command")
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    assert module_of(script.stem).DESCRIPTION in " ".join(capsys.readouterr().out.split())


def test_the_module_is_the_command(capsys, tmp_path):
    assert " ".join(printed_by(tmp_path, "-m", "pc_crvae", "--help").split()) == help_of(capsys)


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"pc-crvae {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name one of the commands data, train,"),
        (["tran"], "there is no command tran: did you mean train?"),
        (["--no-such"], "there is no command --no-such: they are data, train,"),
        (["train", "some.yaml", "--outt", "x"], "unrecognized arguments: --outt x"),
        (["train"], "the following arguments are required: CONFIG"),
    ],
)
def test_a_mistake_in_the_arguments_is_told_in_one_sentence(capsys, arguments, sentence):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith(f"error: {sentence}")
    assert text.count("\n") == 1


def test_a_key_pressed_while_arguments_are_read_leaves_no_traceback(capsys, monkeypatch):
    def interrupted(parser):
        raise KeyboardInterrupt

    monkeypatch.setattr(module_of("train"), "add_arguments", interrupted)
    assert main(["train", "quickstart"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_command_is_a_module_and_its_name_in_the_list(capsys, monkeypatch):
    module = types.ModuleType("pc_crvae.cli.greet")
    module.DESCRIPTION = "Greet somebody."
    module.add_arguments = lambda parser: parser.add_argument("name")
    module.run = lambda options: sys.stdout.write(f"hello {options.name}\n")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMANDS", (*COMMANDS, "greet"))
    assert main(["greet", "you"]) == 0
    assert capsys.readouterr().out == "hello you\n"
    assert "Greet somebody." in help_of(capsys)
