"""Bring a data set of torch-geometric, and read a linear probe of any model off it.

The data set here is some boxes, cones and tori, so that nothing is downloaded. Yours may be
`ModelNet(root, "10", train=True, transform=SamplePoints(1024))` of torch_geometric.datasets.

    python examples/probe_torch_geometric_data.py
"""

import numpy as np
import torch
import trimesh
from torch_geometric.data import Data
from torch_geometric.transforms import SamplePoints

import pc_crvae
from pc_crvae.data import CloudSet
from pc_crvae.data.torch_geometric import from_torch_geometric

CLASSES = ("box", "cone", "torus")
POINTS = 256


def mesh_data(label: int, generator: np.random.Generator) -> Data:
    """One mesh of a class, with sides of random lengths, as torch-geometric holds it."""
    if CLASSES[label] == "box":
        mesh = trimesh.creation.box()
    elif CLASSES[label] == "cone":
        mesh = trimesh.creation.cone(radius=0.5, height=1.0, sections=24)
    else:
        mesh = trimesh.creation.torus(0.5, 0.2, major_sections=24, minor_sections=12)
    vertices = mesh.vertices * generator.uniform(0.5, 2.0, size=3)
    return Data(
        pos=torch.tensor(vertices, dtype=torch.float32),
        face=torch.tensor(np.asarray(mesh.faces).T.copy()),
        y=torch.tensor([label]),
    )


def make_split(split: str, each: int, seed: int) -> CloudSet:
    """As many shapes of each class, as clouds that every model of the package takes."""
    torch.manual_seed(seed)  # SamplePoints draws from torch's own generator
    generator = np.random.default_rng(seed)
    sample = SamplePoints(POINTS)
    items = [
        sample(mesh_data(label, generator)) for label in range(len(CLASSES)) for _ in range(each)
    ]
    return from_torch_geometric(items, split, name="primitives", classes=CLASSES)


def main() -> None:
    """Probe the model that comes with the package, which never saw these shapes."""
    train, test = make_split("train", each=40, seed=0), make_split("test", each=40, seed=1)
    print(train)
    report = pc_crvae.probe("pretrained-so3", data=(train, test))
    print(f"Recognised of {len(test)} test shapes, each turned by any rotation, by a linear SVM on")
    for row in report.rows:
        if row.setting == "so3":
            print(f"- {row.features.replace('_', '-')} features: {row.accuracy_mean:.1%}")


if __name__ == "__main__":
    main()
