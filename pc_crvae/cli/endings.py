"""How commands end: what each file is, and a line that goes on from there."""

from collections.abc import Mapping
from pathlib import Path

from pc_crvae.errors import printable
from pc_crvae.utils.invocation import called


def tell_files(files: Mapping[str, tuple[Path, str]]) -> None:
    """Print where each file is, and what: ``report: runs/a/probe.json (every figure above)``."""
    for name, (path, what) in files.items():
        print(f"{name}: {printable(str(path))} ({what})")


def embed_line(ckpt: Path, card: str | None, root: Path | None = None) -> str:
    """Return the line that embeds a data set, or one's own shapes where there is none.

    Args:
        ckpt: the model.
        card: name or path of the set's card.
        root: the folder of the data, where it is not the one that the run found it in.
    """
    from pc_crvae.data.cards import load_card

    out = ("--out", "embeddings.npz")
    if card is None:
        return called("embed", "--ckpt", ckpt, "MY_MESHES", *out)
    place = () if root is None else ("--data-root", root)
    split = "test" if "test" in load_card(card).splits else "train"
    return called("embed", "--ckpt", ckpt, "--data", card, *place, "--split", split, *out)
