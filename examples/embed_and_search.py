"""Turn a folder of meshes into vectors, keep them, and ask which shapes are alike.

No training: the model comes with the package. Name a folder of your own, or let the script make
one with some boxes, rods, rings and balls.

    python examples/embed_and_search.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import trimesh

import pc_crvae


def make_folder(folder: Path) -> Path:
    """Write 24 meshes of four kinds and of random proportions."""
    generator = np.random.default_rng(0)
    for number in range(6):
        thick = generator.uniform(0.15, 0.25)
        meshes = {
            "box": trimesh.creation.box(extents=generator.uniform(0.8, 1.2, size=3)),
            "rod": trimesh.creation.cylinder(radius=thick / 2, height=2.0),
            "ring": trimesh.creation.torus(major_radius=1.0, minor_radius=thick),
            "ball": trimesh.creation.icosphere(radius=generator.uniform(0.5, 2.0)),
        }
        for name, mesh in meshes.items():
            mesh.apply_transform(
                trimesh.transformations.random_rotation_matrix(generator.random(3))
            )
            mesh.export(folder / f"{name}-{number}.stl")
    return folder


def show(folder: Path) -> None:
    """Embed, save, and print the nearest of a few shapes."""
    index = pc_crvae.embed(folder)
    print(f"{len(index)} shapes, each a vector of {index.vectors.shape[1]:,} numbers")
    with tempfile.TemporaryDirectory() as kept:
        index.save(Path(kept) / "embeddings.npz")  # `pc_crvae.search` takes the file as well

        print("\nThe shapes nearest to some of them, by cosine distance:")
        for name in index.ids[:: max(1, len(index) // 4)]:
            hits = pc_crvae.search(Path(kept) / "embeddings.npz", name, top=4)
            print(f"{name}: " + ", ".join(f"{hit.id} {hit.distance:.3f}" for hit in hits[1:]))

    query = Path(index.sources[-1])
    hits = pc_crvae.search(index, query, top=3)
    print(f"\nA file as the query, {query.name}: " + ", ".join(hit.id for hit in hits))

    # The vectors are an array like any other: what follows is plain NumPy.
    unit = index.vectors / np.linalg.norm(index.vectors, axis=1, keepdims=True)
    loneliest = np.argmin(np.sort(unit @ unit.T, axis=1)[:, -2])
    print(f"\nThe shape least like any other: {index.ids[loneliest]}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        show(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            show(make_folder(Path(made)))
