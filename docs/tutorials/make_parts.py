"""Write a small folder of meshes, one folder per class, for the tutorials.

python docs/tutorials/make_parts.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import trimesh


def main(folder: Path) -> None:
    """Write 12 boxes, 12 rings and 12 rods of random proportions as STL."""
    generator = np.random.default_rng(0)
    for number in range(12):
        thick = generator.uniform(0.1, 0.3)
        meshes = {
            "box": trimesh.creation.box(extents=generator.uniform(0.5, 1.5, size=3)),
            "ring": trimesh.creation.torus(major_radius=1.0, minor_radius=thick),
            "rod": trimesh.creation.cylinder(radius=thick, height=2.0),
        }
        for name, mesh in meshes.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            mesh.export(folder / name / f"{name}-{number:02}.stl")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
