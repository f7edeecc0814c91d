"""Embed more meshes than one machine can, by Ray Data: as `embed --shard`, on a cluster.

Each actor holds the model and writes parts of 1,000 files, whole or not at all, to a folder that
all machines see; parts that are there are left as they are. It needs `pc-crvae[ray]`; on a cluster,
set RAY_ADDRESS.

    python examples/embed_with_ray.py MY_MESHES --out PARTS --actors 8
    pc-crvae embed --merge PARTS --out embeddings.parquet
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from pc_crvae.data.facing import up_in_full
from pc_crvae.data.readers.shape_files import find_shapes
from pc_crvae.embedding.index import About
from pc_crvae.embedding.parts import Plan, Shard, embed_parts, missing_parts
from pc_crvae.runs.saved import SavedModel

Numbers = dict[str, NDArray[np.int64]]


class EmbedParts:
    """An actor: it opens the model once, and makes the parts whose numbers it is given."""

    def __init__(self, places: list[Path], ckpt: Path, out: Path, part_files: int) -> None:
        saved = SavedModel.open(ckpt, device="auto")
        self.model = saved.point_model
        about = About(
            model_sha256=saved.weights_sha256, points=self.model.points, up=up_in_full(None)
        )
        # Every actor finds the same files in the same order, so a number says which are meant.
        self.plan = Plan(find_shapes(places).files, about, out, part_files)

    def __call__(self, batch: Numbers) -> Numbers:
        """Make parts; return their numbers and how many files of each were refused."""
        refused = []
        for number in batch["number"].tolist():
            reasons: list[str] = []
            embed_parts(self.model, self.plan, [number], reasons.append, workers=1)
            refused.append(len(reasons))
        return {"number": batch["number"], "refused": np.array(refused)}


def main() -> None:
    """Share the parts that are missing out among the actors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("places", nargs="+", type=Path, help="files and folders of meshes")
    parser.add_argument("--out", type=Path, required=True, help="folder of the parts")
    parser.add_argument("--ckpt", type=Path, default=Path("pretrained-so3"), help="the model")
    parser.add_argument("--part-files", type=int, default=1000)
    parser.add_argument("--actors", type=int, default=2)
    options = parser.parse_args()
    places = [place.absolute() for place in options.places]
    how: tuple[Any, ...] = (places, options.ckpt, options.out.absolute(), options.part_files)
    missing = missing_parts(EmbedParts(*how).plan, Shard(1, 1), print)
    if missing:
        ray.init(include_dashboard=False)
        numbers = ray.data.from_items([{"number": number} for number in missing])
        pool = ray.data.ActorPoolStrategy(size=min(options.actors, len(missing)))
        done = numbers.map_batches(
            EmbedParts, fn_constructor_args=how, batch_size=1, compute=pool
        ).take_all()
        print(f"{sum(row['refused'] for row in done)} files were refused")
    print(f"parts: {options.out}, {len(missing)} made now")


if __name__ == "__main__":
    main()
