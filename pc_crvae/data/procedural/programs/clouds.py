"""The set `programs`: shapes without an end, each fixed by a seed and its number alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import normalize
from pc_crvae.data.procedural.programs import VERSION, kernel
from pc_crvae.data.procedural.programs.chance import Chance
from pc_crvae.data.procedural.programs.grammar import Program, ProgramBuilder
from pc_crvae.data.procedural.programs.rows import ORIGIN, OWNER
from pc_crvae.randomness.keys import keyed_numpy_generator

MOST_SHAPES = 2**62
"""Of a seed."""

_CANDIDATES = 3
"""Drawn at once for each point that is still missing."""

_MOST_ROUNDS = 12
"""Of candidates; a program that leaves next to nothing of its parts then shows all of them."""


def random_program(seed: int, index: int) -> Program:
    """The program of shape ``index``."""
    return ProgramBuilder(Chance(_rng("program", seed, index))).build()


def draw_clouds(
    seed: int, indices: Sequence[int] | NDArray[np.int64], points: int
) -> NDArray[np.float32]:
    """As :func:`make_clouds`, but neither centred nor scaled."""
    clouds = np.empty((len(indices), points, 3), dtype=np.float32)
    for row, index in enumerate(map(int, indices)):
        program = random_program(seed, index)
        clouds[row] = draw_points(program, points, _rng("points", seed, index))
    return clouds


def make_clouds(
    seed: int, indices: Sequence[int] | NDArray[np.int64], points: int
) -> NDArray[np.float32]:
    """Make the shapes at ``indices``; each depends on (seed, index) alone.

    Args:
        seed: another one makes other shapes.
        indices: (n,), none negative.
        points: points a cloud P, drawn independently and uniformly by area.

    Returns:
        (n, P, 3) float32, z up, each cloud with mean 0 and largest radius 1.
    """
    return normalize(draw_clouds(seed, indices, points))


class ProgramClouds:
    """All shapes of a seed, by number; a shape is made when it is asked for.

    Args:
        seed: the seed of all shapes.
        points: points a cloud P.
    """

    def __init__(self, seed: int, points: int) -> None:
        self._seed = seed
        self.shape = (MOST_SHAPES, points, 3)
        self.dtype: np.dtype[np.float32] = np.dtype(np.float32)

    def __getitem__(self, rows: int | np.integer | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the cloud (P, 3) of a number, or the clouds (n, P, 3) of several (n,)."""
        clouds = make_clouds(self._seed, np.atleast_1d(rows), self.shape[1])
        return clouds if np.ndim(rows) else clouds[0]


def draw_points(program: Program, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw points of a program, independently and uniformly by area: (count, 3)."""
    whole = program.whole
    bounds = np.empty(len(whole.patches))
    kernel.fill_bounds(whole.patches, bounds)
    solids = inverted(whole.solids)
    points = np.empty((count, 3))
    parts, hides, filled, rounds = program.solid_parts, program.hides, 0, 0
    while filled < count:
        rounds += 1
        if rounds > _MOST_ROUNDS:
            solids, hides = solids[:parts], False
        uniforms = rng.random((_CANDIDATES * (count - filled) + 16, 4))
        filled = kernel.draw(
            whole.patches, bounds, solids, parts, hides, program.taper, uniforms, points, filled
        )
    return points


def inverted(solids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solids (S, W) whose axes are divided by the squares of their lengths, for the kernel."""
    solids = solids.copy()
    axes = solids[:, ORIGIN + 3 : OWNER].reshape(len(solids), 3, 3)
    divided = axes / np.square(axes).sum(axis=2, keepdims=True)
    solids[:, ORIGIN + 3 : OWNER] = divided.reshape(len(solids), 9)
    return solids


def _rng(what: str, seed: int, index: int) -> np.random.Generator:
    return keyed_numpy_generator("programs", what, VERSION, seed, index)
