"""STEP and IGES, whose curved faces Open CASCADE (cascadio, the extra ``cad``) cuts into triangles.

It runs in a process of its own, with bounds on time and memory: a damaged file can keep it busy for
ever, or end it. What comes back is a scene in GLB, with the axes of the file, where CAD has z up.
"""

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.gltf import parse_glb, scene_of_glb
from pc_crvae.data.formats.polygons import Polygons
from pc_crvae.errors import MissingPackageError, UserError, reason_of

MOST_SECONDS = 120
"""Of one file; one that takes longer is refused."""

MOST_BYTES = 8 * 2**30
"""Of memory that the process may ask for."""

_MILLIMETRES = 1000.0
_LOST = 0.01
"""The share of a file's faces that may be lost, such as slivers of no width."""

_SEPARATE = Path(__file__).with_name("cad_process.py")
_STEP_START = re.compile(rb"\s*ISO-10303-21")
_IGES_END = re.compile(rb"S *(\d+)G *(\d+)D *(\d+)P *(\d+)")
_FACE = re.compile(rb"=\s*(?:ADVANCED_FACE|FACE_SURFACE)\s*\(")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGE = re.compile(r"(?:ERR|Error)[^:]*: *(.*?)[ *]*$", re.MULTILINE)


def parse_step(path: Path, data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3), in millimetres, and triangles of the parts of a STEP file in place.

    Raises:
        MissingPackageError: cascadio is not installed.
        ValueError: the file is damaged, or holds no surfaces that can be cut into triangles.
        UserError: it takes too long.
    """
    if _STEP_START.match(data) is None:
        raise ValueError("it does not start as STEP files do")
    vertices, triangles = _parse(path, data, "STEP", faces=len(_FACE.findall(data)))
    return vertices * _MILLIMETRES, triangles


def parse_iges(path: Path, data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """As :func:`parse_step`, of an IGES file, whose numbers the scene has in millimetres."""
    # Of what is cut short the whole entities are read without a word.
    counts = Counter(line[72:73] for line in data.splitlines())
    promised = _IGES_END.search(data, max(0, len(data) - 200))
    if not counts[b"S"]:
        raise ValueError("it does not start as IGES files do")
    if promised is None:
        raise ValueError("its end is missing")
    for letter, count in zip((b"S", b"G", b"D", b"P"), promised.groups(), strict=True):
        if counts[letter] != int(count):
            raise ValueError(
                f"its end counts {int(count)} lines of the section {letter.decode()}, and it has "
                f"{counts[letter]}"
            )
    return _parse(path, data, "IGES", faces=0)


def _parse(path: Path, data: bytes, kind: str, faces: int) -> tuple[NDArray[np.float64], Polygons]:
    glb = _as_glb(path, data, kind)
    made = _faces_of(glb)
    if made < faces * (1 - _LOST):
        raise ValueError(f"{faces - made} of its {faces} faces cannot be cut into triangles")
    if not made:
        raise ValueError("it holds no surface: curves and drawings have none")
    return parse_glb(path, glb)


def cascadio_folder() -> str | None:
    """Return where cascadio lies, None where it is not installed."""
    found = importlib.util.find_spec("cascadio")
    places = None if found is None else found.submodule_search_locations
    return places[0] if places else None


def _as_glb(path: Path, data: bytes, kind: str) -> bytes:
    folder = cascadio_folder()
    if folder is None:
        raise MissingPackageError(
            f'{path}: {kind} needs cascadio: install it by pip install "pc-crvae[cad]"'
        )
    # Without site packages and the surroundings: the process needs that one folder alone.
    command = [sys.executable, "-I", "-S", str(_SEPARATE), folder, kind]
    command += [str(MOST_SECONDS), str(MOST_BYTES)]
    try:
        ended = subprocess.run(command, input=data, capture_output=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"{path} took more than the {MOST_SECONDS} seconds that a file has to be cut into "
            "triangles: simplify it, or export it as STL"
        ) from error
    if ended.returncode or not ended.stdout:
        said = _COLOUR.sub("", ended.stderr.decode(errors="replace"))
        messages = [reason_of(ValueError(text)) for text in _MESSAGE.findall(said) if text]
        raise ValueError(messages[0] if messages else "Open CASCADE cannot read it")
    return ended.stdout


def _faces_of(glb: bytes) -> int:
    """How many faces of the file the triangles come from."""
    scene, binary = scene_of_glb(glb)
    count = 0
    for mesh in scene.get("meshes", []):
        for primitive in mesh["primitives"]:
            about = primitive.get("extensions", {}).get("TM_brep_faces")
            if about is None:  # lines and points come from no face
                continue
            accessor = scene["accessors"][about["faceIndices"]]
            view = scene["bufferViews"][accessor["bufferView"]]
            at = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            faces = np.frombuffer(binary or b"", "<u4", accessor["count"], at)
            count += len(np.unique(faces))
    return count
