"""How far the vectors of shapes move when the shapes are turned about the vertical.

python docs/tutorials/compare_turned.py RUN [RUN ...]
"""

import sys

import torch

import pc_crvae
from pc_crvae.data import load_clouds
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms import RotateZ

shapes = torch.from_numpy(load_clouds("shapes", "test").points[:100])
turned = RotateZ()(shapes, Draws(keyed_generator("turn"), len(shapes)))
for run in sys.argv[1:]:
    model = pc_crvae.load(run)
    vectors = model.embed(shapes)
    moved = (model.embed(turned) - vectors).norm(dim=1) / vectors.norm(dim=1)
    print(f"{run}: turned, a vector moves by {moved.median():.2%} of its length")
