"""Files of ours that are damaged and of others that are rubbish, and what readers make of them."""

import json
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from benchmarks.storm.outcomes import Deadline, Outcome, Tally
from pc_crvae.errors import UserError

_SECONDS = 20  # a reader is stuck after so many
_MEMORY = 1 << 30  # bytes that a reader may take

Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True)
class Artefact:
    """A file that is damaged, and how it is read.

    Attributes:
        path: the file.
        read: reads it, with what lies beside it, as plain values.
        before: called ahead of each reading.
    """

    path: Path
    read: Callable[[], Any]
    before: Callable[[], None] = lambda: None


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file as a bad disk or a power cut leaves it: a bit, a block of zeros, or an end."""
    data = bytearray(content)
    place = int(rng.integers(len(data)))
    match rng.integers(8):
        case 0:
            del data[place:]
        case 1:
            data[place : place + 4096] = bytes(len(data[place : place + 4096]))
        case _:
            data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def rubbish(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with up to four parts cut out, doubled, or replaced by other bytes or words."""
    data = bytearray(content)
    words = (b"nan", b"-1", b"1e999", b"4294967295", b"9" * 400, b"\x1b[2J", b"[" * 99, b"&a *a")
    for _ in range(rng.integers(1, 5)):
        place, span = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        match rng.integers(5):
            case 0:
                del data[place : place + span]
            case 1:
                data[place:place] = data[place : place + span]
            case 2:
                data[place : place + span] = rng.bytes(span)
            case 3:
                data[place : place + span] = words[int(rng.integers(len(words)))]
            case _ if place < len(data):
                data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def artefacts_of(run: Path, folder: Path) -> dict[str, Artefact]:
    """What a run and the commands after it write that has checksums."""
    from pc_crvae.data import load
    from pc_crvae.data.cache import damage, store
    from pc_crvae.embedding.index import About, Embeddings, load_embeddings
    from pc_crvae.models.exports import EXPORT_FILES
    from pc_crvae.runs.folder import Run
    from pc_crvae.runs.saved import read_model

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    names = tuple(f"shape {row}" for row in range(50))
    about = About(model_sha256="0" * 64, points=32, up="z")
    found: dict[str, Artefact] = {}
    for suffix in (".npz", ".parquet"):
        path = folder / f"index{suffix}"
        Embeddings(names, vectors, names, about).save(path)

        def read_index(path: Path = path) -> Any:
            index = load_embeddings(path)
            return index.ids, index.sources, index.vectors.tobytes(), index.about

        found[f"index, {suffix}"] = Artefact(path, read_index)
    states = Run(run).states()

    def read_export() -> Any:
        model = read_model(states[-1])
        return _plain(model.state_dict()), model.description()

    for name in EXPORT_FILES:
        found[f"export, {name}"] = Artefact(states[-1] / name, read_export)
    found["state"] = Artefact(states[-1] / "state.pt", lambda: _plain(Run(run).load_state()))

    card = folder / "tiny.yaml"
    load(card, "test")
    (points,) = store.cache_folder().glob("tiny-test-*/points.npy")
    whole = {path: path.read_bytes() for path in points.parent.iterdir()}

    def restore() -> None:
        points.parent.mkdir(exist_ok=True)
        for path, content in whole.items():
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    def read_set() -> Any:
        # What is damaged is told, and made anew.
        try:
            damage.require_undamaged("tiny", "test")
        finally:
            items = load(card, "test").fingerprint()
        return items

    for name in ("points.npy", "labels.npy", "record.json"):
        found[f"prepared set, {name}"] = Artefact(points.with_name(name), read_set, restore)
    return found


def inputs_of(folder: Path, run: Path) -> dict[str, Artefact]:
    """Files of others that are read: meshes, clouds, configurations, models, features."""
    from pc_crvae.config import load_config
    from pc_crvae.data.cards import load_card
    from pc_crvae.data.readers.shape_files import load_shape
    from pc_crvae.embedding.index import load_embeddings
    from pc_crvae.evaluation.probe.features import read_features
    from pc_crvae.runs.record import read_record
    from pc_crvae.runs.saved import read_model

    inputs = folder / "inputs"
    inputs.mkdir()
    box = trimesh.creation.box(extents=(1, 2, 3)).subdivide()
    cloud = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    for suffix in (".off", ".obj", ".ply", ".stl", ".glb"):
        box.export(inputs / f"box{suffix}")
    np.savetxt(inputs / "cloud.xyz", cloud)
    np.save(inputs / "cloud.npy", cloud)
    np.savez(inputs / "features.npz", features=cloud, labels=np.arange(40) % 3)
    (inputs / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (inputs / "card.yaml").write_bytes((folder / "tiny.yaml").read_bytes())
    (inputs / "index.npz").write_bytes((folder / "index.npz").read_bytes())
    found: dict[str, Artefact] = {}
    for path in sorted(inputs.iterdir()):
        readers: Mapping[str, Callable[[Path], Any]] = {
            "features.npz": read_features,
            "index.npz": load_embeddings,
            "config.yaml": load_config,
            "card.yaml": load_card,
        }
        read = readers.get(path.name, lambda path: load_shape(path, 32, "z"))
        found[path.name] = Artefact(path, lambda path=path, read=read: read(path))  # type: ignore[misc]
    export = inputs / "export"
    export.mkdir()
    description = json.loads((run / "config.json").read_text())
    del description["sha256"]  # so that what is read is not refused for its digest
    (export / "config.json").write_text(json.dumps(description))
    (export / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    for name in ("config.json", "model.safetensors"):
        found[f"model, {name}"] = Artefact(export / name, lambda: read_model(export))
    record = inputs / "record"
    record.mkdir()
    for name in ("config.yaml", "metrics.jsonl"):
        (record / name).write_bytes((run / name).read_bytes())
        found[f"record, {name}"] = Artefact(record / name, lambda: read_record(record))
    return found


def damage_files(
    artefacts: Mapping[str, Artefact],
    damage: Damage,
    count: int,
    deadline: Deadline,
    rng: np.random.Generator,
    *,
    compare: bool,
) -> Iterator[Tally]:
    """Damage a file a trial, read it, and put it back; a tally of each kind.

    Args:
        artefacts: by kind.
        damage: makes the damage.
        count: trials, of all kinds together.
        deadline: ends them early.
        rng: chooses the damage.
        compare: whether what is read must be what the whole file holds; else it only has to end.
    """
    tallies = {kind: Tally(kind) for kind in artefacts}
    expected = {kind: artefact.read() if compare else None for kind, artefact in artefacts.items()}
    for trial in range(count):
        if deadline.is_over:
            break
        kind = list(artefacts)[trial % len(artefacts)]
        artefact = artefacts[kind]
        artefact.before()
        whole = artefact.path.read_bytes()
        content = damage(whole, rng)
        artefact.path.write_bytes(content)
        outcome, about = _read(artefact, expected[kind], compare=compare)
        tallies[kind].add(outcome, f"trial {trial}: {about}")
        if artefact.path.parent.is_dir():
            artefact.path.write_bytes(whole)
        artefact.before()
    yield from tallies.values()


def _read(artefact: Artefact, expected: Any, *, compare: bool) -> tuple[Outcome, str]:
    try:
        with _bounds():
            found = artefact.read()
    except UserError as refusal:
        return "refused", str(refusal)
    except TimeoutError as error:
        return "stuck", str(error)
    except Exception:
        return "traceback", traceback.format_exc().splitlines()[-1]
    same = not compare or found == expected
    return ("same" if same else "silently different"), ""


@contextmanager
def _bounds() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {_SECONDS} seconds")

    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _MEMORY, limits[1]))
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _plain(value: Any) -> Any:
    """Tensors as their type, shape and bytes, so that values compare."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
