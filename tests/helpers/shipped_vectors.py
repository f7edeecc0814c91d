"""Vectors of three fixed shapes by the models that come with the package, as they were recorded.

``PYTHONPATH=.:tests python -m helpers.shipped_vectors`` records them anew: after `tools/ship.py`
alone, as the record is what tells that a model still gives what it gave when it was shipped.
"""

import json
from pathlib import Path

import numpy as np

import pc_crvae
from pc_crvae.models.exports import recorded_sha256
from pc_crvae.utils.resources import shipped_models

RECORD = Path(__file__).parents[1] / "runs" / "shipped-vectors.json"
POINTS = 512
EVERY = 16


def three_shapes():
    """An egg, a table and a spring, (3, 512, 3), whose principal axes all spread differently."""
    t = (np.arange(POINTS) + 0.5) / POINTS
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(POINTS)
    ring = np.sqrt(1 - (1 - 2 * t) ** 2)
    egg = np.stack([ring * np.cos(angle), 0.7 * ring * np.sin(angle), 1.4 - 2.8 * t], axis=1)
    legs = np.arange(POINTS) % 4
    standing = np.arange(POINTS) % 3 == 0
    across = np.stack([t, (t * 23) % 1], axis=1) * 2 - 1
    corners = np.stack([legs % 2, legs // 2], axis=1) * 1.8 - 0.9
    flat = np.where(standing[:, None], corners, across) * [1.0, 0.6]
    table = np.concatenate([flat, np.where(standing, 0.8 * t, 0.8)[:, None]], axis=1)
    turns = 2 * np.pi * 5 * t
    spring = np.stack([np.cos(turns), 0.6 * np.sin(turns), 3 * t], axis=1)
    return np.stack([egg, table, spring])


def sketch(vectors):
    """What is recorded of (3, D) vectors: their norms, and every sixteenth number."""
    return {
        "norms": np.linalg.norm(vectors, axis=1).tolist(),
        "numbers": vectors[:, ::EVERY].tolist(),
    }


def vectors_now(name):
    """What a model gives of the three shapes, (3, D)."""
    return pc_crvae.load(name).embed(three_shapes()).numpy()


if __name__ == "__main__":
    recorded = {
        name: {"weights_sha256": recorded_sha256(folder), **sketch(vectors_now(name))}
        for name, folder in shipped_models().items()
    }
    RECORD.write_text(json.dumps(recorded, indent=1) + "\n")
