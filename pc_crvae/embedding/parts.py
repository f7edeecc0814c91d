"""Many files embedded in parts, by any number of machines, and the parts joined to one index.

The files, in order of their paths, are cut into parts of a fixed number; shard i of n embeds every
n-th part, from the i-th on. A part is a Parquet file, written whole or not at all, that is left as
it is where it is there and whole: so a shard that ended early is started again and does the rest.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pydantic

from pc_crvae.data.cache.store import stamp
from pc_crvae.data.readers.shape_files import ShapeFile
from pc_crvae.embedding.index import ABOUT, About, Embeddings, about_text, parse_about
from pc_crvae.embedding.parquet import Rows, read_parquet, read_texts, write_parquet
from pc_crvae.embedding.shapes import embed_files
from pc_crvae.errors import UserError
from pc_crvae.utils.validation import StrictModel, validate

if TYPE_CHECKING:
    from pc_crvae.models.points.model import PointModel

_PART = "pc_crvae_part"
_NAME = re.compile(r"part-(\d{6})-of-(\d{6})\.parquet")


class Part(StrictModel):
    """Which part of which files a file of vectors holds.

    Attributes:
        number: the number of this part, from 1.
        count: the number of all parts.
        listing: a hash of the ids and sizes of all files, and of how they are cut into parts.
        refused: the sentences why files of it are left out.
    """

    number: Annotated[int, pydantic.Field(ge=1)]
    count: Annotated[int, pydantic.Field(ge=1)]
    listing: str
    refused: list[str]


@dataclass(frozen=True)
class Shard:
    """The share of one process: the ``number``-th of ``count``, from 1."""

    number: int
    count: int


def parse_shard(text: str) -> Shard:
    """Read a shard as a user writes it, ``3/8``.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    shard = None if found is None else Shard(int(found[1]), int(found[2]))
    if shard is None or not 1 <= shard.number <= shard.count:
        raise UserError(f"a shard is such as 3/8, the third of eight, not {text[:20]}")
    return shard


@dataclass(frozen=True)
class Plan:
    """All files of an embedding in parts.

    Attributes:
        files: all of them, in an order that every process finds.
        about: the settings by which they are embedded.
        folder: the folder of the parts.
        files_a_part: the number of files of a part; the last may have fewer.
    """

    files: Sequence[ShapeFile]
    about: About
    folder: Path
    files_a_part: int

    @property
    def count(self) -> int:
        """The number of parts."""
        return -(-len(self.files) // self.files_a_part)

    @property
    def listing(self) -> str:
        """A hash of all files, by ids and sizes, which copies on other machines share."""
        states = [[file.id, (stamp(file.path) or [-1])[0]] for file in self.files]
        return hashlib.sha256(json.dumps([self.files_a_part, states]).encode()).hexdigest()

    def of_part(self, number: int) -> Sequence[ShapeFile]:
        """Return the files of a part, whose ``number`` is from 1."""
        start = (number - 1) * self.files_a_part
        return self.files[start : start + self.files_a_part]

    def path(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{number:06d}-of-{self.count:06d}.parquet"


def missing_parts(plan: Plan, shard: Shard, tell: Callable[[str], None]) -> list[int]:
    """Return which parts of a shard are to be made; those that are there are read and verified.

    Args:
        plan: all parts.
        shard: the shard whose parts are meant.
        tell: is told which are damaged, and so are made anew.

    Raises:
        UserError: one is of another model, or of other files.
    """
    listing = plan.listing
    missing = []
    for number in range(shard.number, plan.count + 1, shard.count):
        path = plan.path(number)
        if not path.exists():
            missing.append(number)
            continue
        try:
            _, texts = read_parquet(path, [ABOUT, _PART])
            about, part = _told(path, texts)
        except UserError as damage:
            tell(f"{damage}: it is made anew")
            missing.append(number)
            continue
        if about != plan.about:
            raise UserError(
                f"{path} was made by another model or in another way: name a new folder"
            )
        if part.listing != listing:
            raise UserError(
                f"{path} is of other files, or of parts of another size: name a new folder"
            )
    return missing


def embed_parts(
    model: "PointModel",
    plan: Plan,
    numbers: Sequence[int],
    refuse: Callable[[str], None],
    advance: Callable[[], None] = lambda: None,
    *,
    unmeasured: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> None:
    """Embed parts and write them.

    Args:
        model: the model that gives the vectors.
        plan: all parts.
        numbers: the numbers of the parts to make.
        refuse: takes a sentence that names each file that cannot be used.
        advance: is called after each file.
        unmeasured: passed to :func:`~pc_crvae.data.readers.shape_files.load_shape`.
        workers: the number of processes that read; None: by the processors there are.

    Raises:
        UserError: a part cannot be written.
    """
    listing = plan.listing
    for number in numbers:
        files = plan.of_part(number)
        vectors = {}
        refused = {}
        for place, found in embed_files(
            model, files, plan.about, advance, unmeasured=unmeasured, workers=workers
        ):
            if isinstance(found, UserError):
                refuse(str(found))
                refused[place] = str(found)
            else:
                vectors[place] = found
        kept = sorted(vectors)
        size = model.vector_size
        rows = Rows(
            [files[place].id for place in kept],
            np.array([vectors[place] for place in kept], np.float32).reshape(len(kept), size),
            [str(files[place].path) for place in kept],
        )
        told = [refused[place] for place in sorted(refused)]
        part = Part(number=number, count=plan.count, listing=listing, refused=told)
        texts = {ABOUT: about_text(plan.about), _PART: part.model_dump_json()}
        write_parquet(plan.path(number), [rows], size, texts)


@dataclass(frozen=True)
class Merged:
    """What was joined: vectors, their numbers each, and the files that were refused."""

    vectors: int
    size: int
    refused: int


def merge_parts(folder: Path, out: Path) -> Merged:
    """Join all parts in a folder to one index, a part at a time where it is a Parquet file.

    Raises:
        UserError: a part is missing or damaged, they are not of one embedding, no file of them
            could be used, or the index cannot be written.
    """
    paths = sorted(path for path in folder.glob("part-*.parquet") if _NAME.fullmatch(path.name))
    if not paths:
        raise UserError(f"{folder} holds no parts: make them by embed --shard")
    found = [_told(path, read_texts(path, [ABOUT, _PART])) for path in paths]
    about, first = found[0]
    for path, (other, part) in zip(paths, found, strict=True):
        if (other, part.listing, part.count) != (about, first.listing, first.count):
            raise UserError(f"{path} is not of the same embedding as {paths[0]}: sort them apart")
    there = {part.number for _, part in found}
    gone = [number for number in range(1, first.count + 1) if number not in there]
    if gone:
        names = ", ".join(map(str, gone[:10])) + (" ..." if len(gone) > 10 else "")
        raise UserError(
            f"{len(gone)} of the {first.count} parts are missing in {folder}, {names}: run embed "
            "--shard for them"
        )
    refused = sum(len(part.refused) for _, part in found)
    ids: set[str] = set()
    joined = _distinct_rows(paths, out, ids)
    size = read_parquet(paths[0], [])[0].vectors.shape[1]
    if out.suffix == ".parquet":
        write_parquet(out, joined, size, {ABOUT: about_text(about)})
    else:
        of_ids, vectors, of_sources = zip(*joined, strict=True)
        every, sources = (tuple(chain.from_iterable(of)) for of in (of_ids, of_sources))
        Embeddings(every, np.concatenate(vectors), sources, about).save(out)
    return Merged(len(ids), size, refused)


def _distinct_rows(paths: Sequence[Path], out: Path, ids: set[str]) -> Iterator[Rows]:
    """The rows of all parts, whose ids, which ``ids`` gathers, are to differ, and to be some."""
    for path in paths:
        rows, _ = read_parquet(path, [])
        before = len(ids)
        ids.update(rows.ids)
        if len(ids) < before + len(rows.ids):
            raise UserError(f"two shapes of {out} would have one id: make the parts anew")
        yield rows
    if not ids:
        raise UserError("every file of the parts was refused: nothing is left")


def _told(path: Path, texts: Mapping[str, str]) -> tuple[About, Part]:
    """What the texts of a part's file say."""
    part = validate(Part, json.loads(texts[_PART]), str(path))
    return parse_about(path, texts[ABOUT]), part
