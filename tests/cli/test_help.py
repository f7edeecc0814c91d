"""Every command explains itself, and at once."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from pc_crvae import __version__
from pc_crvae.cli import COMMANDS, main

HEAVY = {"torch", "accelerate", "sklearn", "matplotlib", "open3d", "tensorboard", "trimesh"}
TOOLS = Path(__file__).parents[2] / "tools"


def parser_of(command):
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    COMMANDS[command].add_arguments(parser)
    return parser


def help_of(capsys, *arguments, **keywords):
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"], **keywords)
    assert left.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_explained_with_its_default(capsys, command):
    text = help_of(capsys, command)
    assert COMMANDS[command].DESCRIPTION in text
    for action in parser_of(command)._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        assert action.help, action.dest
        for name in action.option_strings or [action.metavar]:
            assert name in text
        is_choice = action.option_strings and not action.required and action.nargs != 0
        if is_choice:
            shown = f"(default: {action.default})"
            assert (
                shown in text
                if action.default != argparse.SUPPRESS
                else "(default: " in action.help
            )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_script_explain_themselves_alike(capsys, command):
    through_all = help_of(capsys, command)
    alone = help_of(capsys, command=command)
    assert (
        through_all.partition(COMMANDS[command].DESCRIPTION)[2]
        == (alone.partition(COMMANDS[command].DESCRIPTION)[2])
    )


def test_the_command_without_a_name_lists_all(capsys):
    text = help_of(capsys)
    for name, module in COMMANDS.items():
        assert name in text
        assert module.DESCRIPTION in text


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in COMMANDS), ["train", "no-such"]]
)
def test_help_and_early_mistakes_import_nothing_heavy(arguments, tmp_path):
    program = (
        "import sys\n"
        "from pc_crvae.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('imported', sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.endswith("imported []\n"), done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_script(command, tmp_path):
    done = subprocess.run(
        [sys.executable, str(TOOLS / f"{command}.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert COMMANDS[command].DESCRIPTION in " ".join(done.stdout.split())


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"pc-crvae {__version__}\n"


def test_an_unknown_command_or_option_leaves_with_status_2(capsys):
    for arguments in (["tran"], ["train", "some.yaml", "--outt", "x"], []):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        assert "error: " in capsys.readouterr().err
