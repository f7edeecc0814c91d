"""The process that reads one STEP or IGES file with Open CASCADE: see :mod:`.cad`.

It is started by the path of this file, with the folder of cascadio, the kind of file, the seconds
of its processor and the bytes of memory that it may take. The file comes by the standard input, and
the scene goes out by the standard output.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from types import ModuleType

_CHORD, _ANGLE = 0.001, 0.2
"""How far triangles may lie from a curved face, by the length of its edges and in radians: what a
cylinder loses of its surface is below half a per cent."""


def _bound(seconds: int, memory: int) -> None:
    """End this process where it takes more, also when nobody waits for it any longer."""
    try:
        import resource
    except ImportError:  # Windows has none; who waits still counts the seconds
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _core(folder: str) -> ModuleType:
    # Without the rest of the package, which imports trimesh and takes seconds to start.
    found = PathFinder.find_spec("cascadio._core", [folder])
    if found is None or found.loader is None:
        raise ImportError(f"{folder} holds no compiled part of cascadio")
    core = module_from_spec(found)
    found.loader.exec_module(core)
    return core


def main() -> None:
    """Read the file and write the scene; nothing where the file cannot be read."""
    folder, kind, seconds, memory = sys.argv[1:]
    _bound(int(seconds), int(memory))
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # Open CASCADE prints
        core = _core(folder)
        scene = core.to_glb_bytes(
            data=sys.stdin.buffer.read(),
            file_type=getattr(core.FileType, kind),
            tol_linear=_CHORD,
            tol_angular=_ANGLE,
            tol_relative=True,
            use_parallel=False,
            include_brep=True,
        )
        answer.write(scene)


if __name__ == "__main__":
    main()
