"""How a command of the package is called here, for the lines that tell what to run next."""

import shlex
import sys
from pathlib import Path

from pc_crvae.utils.resources import checkout_folder


def called(command: str, *arguments: object) -> str:
    """Return the line that runs a command in the way that this process was started.

    A script of a checkout's ``tools/`` names the script beside it, as ``python tools/probe.py``;
    everything else names the program that an installation brings, as ``pc-crvae probe``.

    Args:
        command: the command, with its action where it has one, such as ``data fetch``.
        arguments: what follows, each quoted where a shell needs it.
    """
    name, *action = command.split()
    started = Path(sys.argv[0] if sys.argv else "")
    checkout = checkout_folder()
    if checkout is not None and started.resolve().parent == checkout / "tools":
        program = ["python", str(started.with_name(f"{name}.py"))]
    else:
        program = ["pc-crvae", name]
    return shlex.join([*program, *action, *map(str, arguments)])
