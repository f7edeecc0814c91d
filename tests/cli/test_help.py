"""Every command explains itself, and at once."""

import argparse
import re
import runpy
import subprocess
import sys
import types
from pathlib import Path

import pytest

from pc_crvae import __version__, cli
from pc_crvae.cli import COMMANDS, main, module_of
from pc_crvae.cli.data import ACTIONS
from pc_crvae.cli.parsing import SHARED, Parser, help_texts
from pc_crvae.utils.invocation import called

HEAVY = {"torch", "accelerate", "sklearn", "matplotlib", "open3d", "tensorboard", "trimesh"}
TOOLS = Path(__file__).parents[2] / "tools"


LINES = [(name,) for name in COMMANDS if name != "data"] + [("data", name) for name in ACTIONS]
"""Every command, each action of `data` alone."""


def parser_of(words):
    parser = Parser(command=" ".join(words))
    module_of(".".join(words)).add_arguments(parser)
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
    assert module_of(".".join(words)).DESCRIPTION in text
    for action in parser_of(words)._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        assert action.help, action.dest
        for name in action.option_strings or [action.metavar]:
            assert name in text
        is_choice = action.option_strings and not action.required and action.nargs != 0
        if is_choice:
            is_list = isinstance(action.default, list)
            shown = " ".join(action.default) if is_list else action.default
            told = "(default: " in action.help or f"(default: {shown})" in text
            assert told, action.dest
    assert not re.search(r"\(default: (None|==SUPPRESS==|\[.*)?\)", text)
    assert not re.search(r"\(default: [^()]*\) \(default: ", text)


def test_every_text_is_of_an_argument():
    names = {
        " ".join(words): {
            name
            for action in parser_of(words)._actions
            for name in action.option_strings or [action.dest]
        }
        for words in LINES
    }
    names[SHARED] = set().union(*names.values())
    for command, texts in help_texts().items():
        assert texts.keys() - {"epilog"} <= names[command], command


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_script_explain_themselves_alike(capsys, command):
    through_all = help_of(capsys, command)
    alone = help_of(capsys, command=command)
    description = module_of(command).DESCRIPTION
    assert through_all.partition(description)[2] == alone.partition(description)[2]


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
        (["other"], "there is no command other: they are data, train,"),
        (["--no-such"], "unrecognized arguments: --no-such"),
        (["data"], "name one of the actions list, show,"),
        (["data", "sats"], "there is no action sats: did you mean stats?"),
        (["data", "stats"], "the following arguments are required: NAME (pc-crvae data stats"),
        (["probe", "--which", "bset"], "there is no --which bset: did you mean best?"),
        (["probe", "--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["probe", "--seeds", "few"], "--seeds: invalid whole number value: 'few'"),
        (["train", "some.yaml", "--outt", "x"], "unrecognized arguments: --outt x"),
        (["train"], "the following arguments are required: CONFIG"),
    ],
)
def test_a_mistake_in_the_arguments_is_told_in_one_sentence(capsys, arguments, sentence):
    assert main(arguments) == 2
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


def test_options_stand_among_arguments(tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    assert main(["train", "quickstart", *out, "training.epochs=0"]) == 2
    assert "training.epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("started", "line"),
    [
        ("/usr/bin/pc-crvae", "pc-crvae data fetch 'a b'"),
        ("/lib/pc_crvae/__main__.py", "pc-crvae data fetch 'a b'"),
        (str(TOOLS / "train.py"), f"python {TOOLS / 'data.py'} fetch 'a b'"),
        ("tools/train.py", "python tools/data.py fetch 'a b'"),
    ],
)
def test_a_line_that_goes_on_names_commands_as_this_one_was_called(monkeypatch, started, line):
    monkeypatch.chdir(TOOLS.parent)
    monkeypatch.setattr(sys, "argv", [started])
    assert called("data fetch", "a b") == line


def test_the_same_option_means_the_same_in_every_command():
    """Of the options that commands share: the kind of value, and what the help calls it."""
    found = {}
    for words in LINES:
        for action in parser_of(words)._actions:
            for name in action.option_strings:
                found.setdefault(name, {})[words] = action
    kinds = {
        "--ckpt": "RUN",
        "--data": "CARD",
        "--data-root": "DIR",
        "--up": "AXIS",
        "--json": "FILE",
        "--table": "FILE",
        "--seeds": "N",
        "--seed": "N",
        "--points": "N",
    }
    for name, metavar in kinds.items():
        assert {action.metavar for action in found[name].values()} == {metavar}
        assert len({action.type for action in found[name].values()} - {None}) <= 2
    assert {tuple(action.choices) for action in found["--device"].values()} == {("auto", "cpu")}
    starts = {name: {each.help[:14] for each in found[name].values()} for name in ("--data-root",)}
    assert starts == {"--data-root": {"folder of the "}}
