"""Whether a data set on this machine is what its card says, and fit to learn from."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data import load
from pc_crvae.data.cache.damage import discard_damaged
from pc_crvae.data.cache.preparation import Prepared
from pc_crvae.data.cache.shape_sets import prepare_shapes
from pc_crvae.data.cards import Card, Source, Split, load_card
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.fetching.record import read_record
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.data.images import ImageSet
from pc_crvae.data.inspection.near_copies import THRESHOLD, find_near_copies
from pc_crvae.data.layouts import has_a_file_a_shape
from pc_crvae.data.roots import find_root
from pc_crvae.errors import UserError
from pc_crvae.utils.files import sha256_of

Subject = Literal[
    "prepared", "reading", "count", "classes", "values", "duplicates", "near_copies", "sources"
]

_ITEMS_AT_ONCE = 256
_MOST_COMPARED = 500_000_000
"""Pairs of shapes, a minute or two of one core; the number for ModelNet40 is 24 million."""
_EXAMPLES = 3
_RADIUS_TOLERANCE = 1e-4
"""Of float32 coordinates, from what :func:`pc_crvae.data.clouds.normalize` makes of them."""

ItemSets = dict[Split, CloudSet | ImageSet]
_Groups = Sequence[Sequence[tuple[Split, int]]]  # of equal items, each by its split and row


@dataclass(frozen=True)
class Finding:
    """Something a check found.

    Attributes:
        subject: the split, class or file that the finding is about.
        sentence: the finding, in words.
        defect: whether the set should not be used as it is.
    """

    subject: Subject
    sentence: str
    defect: bool


@dataclass(frozen=True)
class Check:
    """What a check found of a data set.

    Attributes:
        name: the name of the data set.
        folder: the folder it lies in; None for a set that reads no files.
        counts: items of each split that could be read.
        findings: defects and remarks, in the order they were come upon.
    """

    name: str
    folder: Path | None
    counts: dict[Split, int]
    findings: tuple[Finding, ...]

    @property
    def defects(self) -> list[Finding]:
        """The findings that are defects."""
        return [finding for finding in self.findings if finding.defect]


def check(
    name: str | Path,
    *,
    root: Path | None = None,
    up: str | None = None,
    strict: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Check:
    """Hold a data set against its card.

    It verifies what was prepared of the set before, whose damaged entries it has prepared anew, and
    reads all splits. It compares counts, class names and, where the archives still lie beside what
    was unpacked from them, their checksums. It looks for values that are not finite and for exact
    copies: by the content of the files where each holds one shape, else by that of the clouds and
    images as they are loaded. Near-copies that clouds of test have in train are counted too, and
    are no defect. Nor is a set cut to a part of its items, nor are archives that differ where it is
    cut.

    Args:
        name: the name of a card, or the path of one's own.
        root: the folder of the files, instead of where they are looked for by default.
        up: the axis that points up in the files, instead of what the card says.
        strict: whether what differs from the card is a defect also where the set can be used.
        say: the function that prints what the check does at the moment.

    Raises:
        UserError: there is no such card, or no such set on this machine.
    """
    card = load_card(name)
    folder = find_root(card, root)
    findings: list[Finding] = []
    sets: ItemSets = {}
    files: dict[Split, Sequence[str]] = {}
    splits: list[Split] = [*card.splits]
    for split in splits:
        say(f"reading {split}")
        for damage in discard_damaged(card.name, split):
            findings.append(Finding("prepared", f"{damage}, and was removed", defect=True))
        try:
            if folder is not None and has_a_file_a_shape(card):
                prepared = prepare_shapes(card, split, folder, up)
                findings += _preparation(split, prepared)
                sets[split] = prepared.checked(allow_refused=True)
                files[split] = prepared.sources
            else:
                sets[split] = load(name, split, root=root, up=up)
        except UserError as error:
            findings.append(Finding("reading", f"{split} cannot be read: {error}", defect=True))
    for split, items in sets.items():
        findings += _count(card, split, len(items), strict)
        findings += _labels(split, items)
        say(f"looking at the values of {split}")
        findings += _values(split, items)
    findings += _classes(card, sets, strict)
    say("looking for copies")
    findings += _copies(sets, _contents_of_files(files) if files else _contents(sets))
    findings += _near_copies(sets, say)
    if folder is not None and card.sources:
        say("comparing checksums")
        whole = all(
            split in sets and len(sets[split]) == (part.count or len(sets[split]))
            for split, part in card.splits.items()
        )
        findings += _sources(card, folder, defect=whole or strict)
    counts: dict[Split, int] = {split: len(items) for split, items in sets.items()}
    return Check(card.name, folder, counts, tuple(findings))


def _content_of_shape(path: Path) -> tuple[str, ...]:
    """Return what two files share that hold one shape, those that are read with them included."""
    others = [other for other in files_read_with(path) if other.is_file()]
    return tuple(sha256_of(part) for part in (path, *others))


def _preparation(split: Split, prepared: Prepared) -> Iterator[Finding]:
    rejected = prepared.rejected
    if rejected:
        total = len(rejected) + len(prepared.clouds)
        sentence = (
            f"{len(rejected):,} of {total:,} files of {split} cannot be used, the first as "
            f"{rejected[0].reason} (all are in {prepared.report})"
        )
        yield Finding("reading", sentence, defect=True)
    for name, (files, count) in prepared.repairs.items():
        sentence = f"repaired in {split}: {count:,} {name} in {files:,} files"
        yield Finding("reading", sentence, defect=False)


def _count(card: Card, split: Split, count: int, strict: bool) -> Iterator[Finding]:
    published = card.part(split).count
    if published is not None and count != published:
        how = "a cut of the set" if count < published else "more than the card's set has"
        yield Finding("count", f"{split} has {count:,} of {published:,} items: {how}", strict)


def _labels(split: Split, items: CloudSet | ImageSet) -> Iterator[Finding]:
    labels = np.empty(0) if items.labels is None else items.labels
    outside = np.flatnonzero((labels < 0) | (labels >= len(items.classes)))
    if len(outside):
        first = f"{labels[outside[0]]} of {items.ids[outside[0]]}"
        sentence = f"labels of {split} that name no class: {len(outside):,}, first {first}"
        yield Finding("classes", sentence, defect=True)


def _classes(card: Card, sets: ItemSets, strict: bool) -> Iterator[Finding]:
    present: dict[Split, set[str]] = {
        split: {name for label, name in enumerate(items.classes) if label in items.labels}
        for split, items in sets.items()
        if items.labels is not None
    }
    if not present:
        return
    known = dict.fromkeys([*card.classes, *(name for s in sets.values() for name in s.classes)])
    empty = [name for name in known if not any(name in names for names in present.values())]
    if empty:
        sentence = f"classes without items: {len(empty)} of {len(known)} ({_some(empty)})"
        yield Finding("classes", sentence, strict)
    if len(present) == 2:
        unseen = [name for name in known if name in present["test"] - present["train"]]
        if unseen:
            sentence = f"classes of test without items in train: {len(unseen)} ({_some(unseen)})"
            yield Finding("classes", sentence, defect=False)


def _values(split: Split, items: CloudSet | ImageSet) -> Iterator[Finding]:
    is_of_clouds = isinstance(items, CloudSet)
    strange: list[int] = []
    for start, part in _parts(items):
        if is_of_clouds:
            # Largest radius 1 is what loading makes of every cloud; NaN compares false.
            radius = np.sqrt(np.square(part, dtype=np.float64).sum(axis=2).max(axis=1))
            wrong = ~(np.abs(radius - 1) < _RADIUS_TOLERANCE)
        else:
            wrong = np.ptp(part.reshape(len(part), -1), axis=1) == 0
        strange += (start + np.flatnonzero(wrong)).tolist()
    if strange:
        what = f"images of {split} of one value throughout"
        if is_of_clouds:
            what = f"clouds of {split} not finite or not of radius 1"
        names = _some([items.ids[row] for row in strange])
        yield Finding("values", f"{what}: {len(strange):,} ({names})", defect=is_of_clouds)


def _contents(sets: ItemSets) -> Iterator[tuple[Split, int, object]]:
    """Yield split, row and what equal items share."""
    for split, items in sets.items():
        for start, part in _parts(items):
            for offset, item in enumerate(part):
                content = hashlib.blake2b(np.ascontiguousarray(item).data, digest_size=16)
                yield split, start + offset, content.digest()


def _contents_of_files(files: Mapping[Split, Sequence[str]]) -> Iterator[tuple[Split, int, object]]:
    """Yield split, row and what equal files share; points are drawn otherwise from each."""
    sizes = {name: Path(name).stat().st_size for names in files.values() for name in names}
    common = {size for size, count in Counter(sizes.values()).items() if count > 1}
    for split, names in files.items():
        for row, name in enumerate(names):
            size = sizes[name]
            yield split, row, _content_of_shape(Path(name)) if size in common else size


def _copies(sets: ItemSets, contents: Iterable[tuple[Split, int, object]]) -> Iterator[Finding]:
    alike: defaultdict[object, list[tuple[Split, int]]] = defaultdict(list)
    for split, row, content in contents:
        alike[content].append((split, row))
    groups = [group for group in alike.values() if len(group) > 1]
    yield from _copies_within(sets, groups)
    yield from _copies_across(sets, groups)
    yield from _copies_otherwise_labelled(sets, groups)


def _copies_within(sets: ItemSets, groups: _Groups) -> Iterator[Finding]:
    for split, items in sets.items():
        of_groups = ([row for part, row in group if part == split] for group in groups)
        copied = [rows for rows in of_groups if len(rows) > 1]
        if copied:
            count = sum(map(len, copied)) - len(copied)
            examples = [" = ".join(items.ids[row] for row in rows[:2]) for rows in copied]
            sentence = f"exact copies within {split}: {count:,} ({_some(examples)})"
            yield Finding("duplicates", sentence, defect=False)


def _copies_across(sets: ItemSets, groups: _Groups) -> Iterator[Finding]:
    leaked, examples = 0, []
    for group in groups:
        first = {split: row for split, row in reversed(group)}
        if len(first) == 2:
            leaked += sum(split == "test" for split, _ in group)
            ids = {split: sets[split].ids[row] for split, row in first.items()}
            examples.append(f"{ids['test']} = {ids['train']}")
    if leaked:
        sentence = f"items of test that train has as well: {leaked:,} ({_some(examples)})"
        yield Finding("duplicates", sentence, defect=True)


def _copies_otherwise_labelled(sets: ItemSets, groups: _Groups) -> Iterator[Finding]:
    examples = []
    for group in groups:
        classes: dict[str, str] = {}
        for split, row in group:
            items = sets[split]
            if items.labels is not None and 0 <= items.labels[row] < len(items.classes):
                name = items.classes[items.labels[row]]
                classes.setdefault(name, f"{items.ids[row]} of {split}")
        if len(classes) > 1:
            examples.append(" and ".join(f"{item} ({name})" for name, item in classes.items()))
    if examples:
        sentence = f"copies with different labels: {len(examples):,} ({_some(examples)})"
        yield Finding("duplicates", sentence, defect=True)


def _near_copies(sets: ItemSets, say: Callable[[str], None]) -> Iterator[Finding]:
    train, test = sets.get("train"), sets.get("test")
    if not isinstance(train, CloudSet) or not isinstance(test, CloudSet):
        return
    say("looking for near-copies")
    found = find_near_copies(train, test, most_compared=_MOST_COMPARED)
    if not len(found.first):
        return
    count, compared = len(found.test_rows), len(found.compared)
    among = f"{compared:,}" if compared == len(test) else f"the {compared:,} that were compared"
    first = zip(found.first[:_EXAMPLES], found.second[:_EXAMPLES], strict=True)
    examples = ", ".join(f"{test.ids[row]} and {train.ids[other]}" for row, other in first)
    labels = ""
    if train.labels is not None and test.labels is not None:
        otherwise = np.count_nonzero(test.labels[found.first] != train.labels[found.second])
        labels = f", {otherwise:,} of them with different labels"
    sentence = (
        f"items of test of which train has a near-copy: {count:,} of {among} ({found.measure}, "
        f"below {THRESHOLD:g}); they make {len(found.first):,} pairs{labels}, the first {examples}"
    )
    yield Finding("near_copies", sentence, defect=False)


def _sources(card: Card, folder: Path, *, defect: bool) -> Iterator[Finding]:
    noted = read_record(folder).files
    for source in card.sources:
        # Unpacked archives are kept in the folder or beside it.
        for path in (folder / source.file, folder.parent / source.file):
            if path.is_file():
                first = noted[source.file].sha256 if source.file in noted else None
                problem = _problem_of(source, path, first)
                if problem:
                    yield Finding("sources", f"{path} is not {problem}", defect)
                break


def _problem_of(source: Source, path: Path, noted: str | None) -> str | None:
    """Return which file it is not, and why; ``noted`` is its hash when it was first fetched."""
    size = path.stat().st_size
    if source.size is not None and size != source.size:
        return f"the published file: it has {size:,} bytes, not {source.size:,}"
    known, of_whom = source.sha256, "the published file"
    if known is None:
        known, of_whom = noted, "the file that was fetched"
    if known is None:
        return None
    found = sha256_of(path)
    return None if found == known else f"{of_whom}: its SHA-256 is {found}, not {known}"


def _parts(items: CloudSet | ImageSet) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(items), _ITEMS_AT_ONCE):
        yield start, items.array[start : start + _ITEMS_AT_ONCE]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_EXAMPLES])
    return shown if len(names) <= _EXAMPLES else f"{shown} and {len(names) - _EXAMPLES:,} more"
