"""The front door: what the commands do, as functions. Everything heavy is imported when called."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pc_crvae.utils.resources import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pc_crvae.collection.explore import Explored
    from pc_crvae.config import Config
    from pc_crvae.data.formats.meshes import Surface
    from pc_crvae.data.items import ItemSet
    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.embedding.names import Untrained
    from pc_crvae.embedding.rotation_average import RotationGroup
    from pc_crvae.embedding.shapes import Hit
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation
    from pc_crvae.evaluation.probe.report import ProbeReport
    from pc_crvae.models.pretrained import Pretrained
    from pc_crvae.runs.saved import SavedModel

Which = Literal["last", "best"]


def train(
    config: "str | Path | Config",
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **overrides: Any,
) -> Path:
    """Train a model as a configuration says.

    Examples:
        >>> small = {"data.name": str(card), "data.points": 64, "training.epochs": 1}
        >>> run = pc_crvae.train("quickstart", out=folder / "run", **small)
        of the validation split, ...
        epoch 1/1  objective ...
        >>> (run / "model.safetensors").is_file()
        True

    Args:
        config: a YAML file, the name of one that comes with the package, or a configuration.
        out: the run's folder, by default ``runs/NAME`` by the name of the file.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder.
        **overrides: values to use instead of the configuration's, by ``section.key`` as on the
            command line: ``**{"training.epochs": 3}``, or ``seed=1``.

    Returns:
        The run's folder, which `load` and `probe` take.

    Raises:
        pc_crvae.errors.UserError: the configuration is wrong, the data cannot be loaded, or a run
            is there.
        pc_crvae.utils.interruption.Interrupted: on SIGINT or SIGTERM, once the state is saved.
    """
    from pc_crvae.config import Config, find_config, load_config, override_config
    from pc_crvae.errors import UserError
    from pc_crvae.utils.threads import prepare_threads

    prepare_threads()  # in vain where torch is loaded; training then says what to set, if anything
    if not isinstance(config, Config):
        path = find_config(Path(config))
        out = out or Path("runs") / path.stem
        config = load_config(path)
    if out is None:
        raise UserError("a configuration has no name to call the run by: give out, its folder")
    config = override_config(config, overrides, "the overrides")

    from pc_crvae.training.run import run_training

    return run_training(config, Path(out), resume=resume, overwrite=overwrite).run.folder


def load(path: str | Path, which: Which = "last") -> "Pretrained":
    """Load a saved model of whatever class, in evaluation mode, on the CPU.

    Examples:
        >>> model = pc_crvae.load(run)
        >>> model.embed(np.random.default_rng(0).normal(size=(2, 300, 3))).shape
        torch.Size([2, 128])

    Args:
        path: a run's folder, a checkpoint's, or that of a saved export; or the name of a model that
            comes with the package, where there is no such path.
        which: which state of a run, the last or the best by the validation objective.

    Raises:
        pc_crvae.errors.UserError: there is no model, or it is damaged.
    """
    return _opened(path, which).model


def probe(
    run: str | Path,
    *,
    protocol: str | Path = "ours",
    which: Which = "last",
    untrained: "Untrained | None" = None,
    cross_validation: "CrossValidation | bool" = False,
    data: "tuple[ItemSet, ItemSet] | None" = None,
) -> "ProbeReport":
    """Score a model's frozen features by linear SVMs, beside those of the untrained encoder.

    For a model of clouds the strongest training-free descriptor stands beside them.

    Examples:
        >>> report = pc_crvae.probe(run)
        >>> sorted({row.features for row in report.rows})
        ['trained', 'training_free', 'untrained']

    Args:
        run: a run or model, as `load` takes it.
        protocol: the name of one that comes with the package, or a YAML file.
        which: which state of a run, the last or the best by the validation objective.
        untrained: the batch-norm of untrained encoders is ``calibrated`` by a pass over the
            training items, without labels, or ``initial``; by default as the protocol says.
        cross_validation: whether to score the rows by repeated folds of the training split too, or
            the repeats and folds
            (:class:`pc_crvae.evaluation.probe.cross_validation.CrossValidation`).
        data: the training and the test split, with labels, that the model is probed on; by default
            those of the data set that it was trained on.

    Returns:
        The report; its method ``write`` makes the file that the command ``probe`` makes, and
        `pc_crvae.evaluation.format_table` the table that it prints.

    Raises:
        pc_crvae.errors.UserError: there is no model, its data cannot be loaded or has no labels, or
            an argument has a value that it cannot have.
    """
    from pc_crvae.embedding.names import UNTRAINED_TITLES
    from pc_crvae.errors import UserError
    from pc_crvae.evaluation.encoders import probe_model
    from pc_crvae.evaluation.probe.cross_validation import CrossValidation
    from pc_crvae.evaluation.probe.protocol import load_protocol

    if untrained is not None and untrained not in UNTRAINED_TITLES:
        raise UserError(f"untrained is {' or '.join(UNTRAINED_TITLES)}, not {untrained}")
    saved = _opened(run, which, device="auto")
    splits = data or (saved.split("train"), saved.split("test"))
    folds = CrossValidation() if cross_validation is True else (cross_validation or None)
    rules = load_protocol(str(protocol))
    probed = probe_model(saved.model, *splits, rules, untrained=untrained, cross_validation=folds)
    report = probed.report.of_model(saved, which)
    transfer = data is not None and saved.model.data.get("name") != data[0].name
    return report.model_copy(update={"transfer": transfer})


def embed(
    shapes: "str | Path | Sequence[str | Path] | NDArray[np.floating]",
    *,
    model: str | Path | None = None,
    points: int | None = None,
    up: str | None = None,
    average_over: "RotationGroup | None" = None,
) -> "Embeddings":
    """Embed meshes and clouds as vectors.

    Examples:
        >>> index = pc_crvae.embed(meshes, model=run)
        >>> index.ids, index.vectors.shape
        (('box', 'rod'), (2, 128))
        >>> index.save(folder / "index.npz")
        >>> pc_crvae.embed(np.random.default_rng(0).normal(size=(5, 300, 3)), model=run).ids
        ('0', '1', '2', '3', '4')

    Args:
        shapes: mesh and cloud files, or folders of them; or clouds, (n, P, 3) in any position and
            size, which are called by their numbers.
        model: a model of points, as `load` takes it; by default ``pretrained-so3``, which comes
            with the package.
        points: how many points are drawn of each file's shape, by default as many as the model was
            trained with; of an array all are taken.
        up: the axis that points up, or axes by the suffixes of files, such as ``glb=y,stl=z``; by
            default that of the format (glTF: y) or of the file (COLLADA), or z.
        average_over: a group of rotations, such as ``C12``, that vectors are means over.

    Returns:
        The vectors, (n, D) float32, with their ids, to be saved and searched.

    Raises:
        pc_crvae.errors.UserError: there is no such model, a file cannot be used, or an argument has
            a value that it cannot have.
        ValueError: an array of another shape, or a cloud without extent or that is not finite.
    """
    import numpy as np

    from pc_crvae.data.clouds import normalize, turn_z_up
    from pc_crvae.data.facing import single_up, up_in_full
    from pc_crvae.data.readers.shape_files import find_shape_files
    from pc_crvae.embedding.index import check_points
    from pc_crvae.embedding.rotation_average import check_group
    from pc_crvae.embedding.shapes import about_of, embeddings_of_clouds, embeddings_of_files

    check_points(points, "points")
    if average_over is not None:
        check_group(average_over, "average_over")
    up_in_full(up)  # a mistake in it is told before a model is read
    saved = _opened(model or DEFAULT_MODEL, device="auto")
    about = about_of(saved, points, up, average_over)
    if isinstance(shapes, np.ndarray):
        if shapes.ndim != 3 or shapes.shape[2] != 3:
            raise ValueError(f"clouds must be (n, P, 3), not {shapes.shape}")
        check_points(shapes.shape[1], "the points of a cloud")
        axis = single_up(up, "z", "an array") or "z"
        clouds = normalize(turn_z_up(shapes, axis))
        about = about.model_copy(update={"points": clouds.shape[1], "up": axis})
        return embeddings_of_clouds(
            saved.point_model, clouds, [*map(str, range(len(clouds)))], about
        )
    places = [shapes] if isinstance(shapes, str | Path) else shapes
    files = find_shape_files([Path(place) for place in places])
    return embeddings_of_files(saved.point_model, files, about)


def search(
    index: "Embeddings | str | Path",
    query: "str | Path | NDArray[np.floating]",
    *,
    model: str | Path | None = None,
    top: int = 5,
) -> "list[Hit]":
    """Find the shapes of an index that are most like a query.

    Examples:
        >>> [hit.id for hit in pc_crvae.search(folder / "index.npz", meshes / "rod.off", model=run)]
        ['rod', 'box']
        >>> pc_crvae.search(index, "box", top=1)
        [Hit(id='box', distance=0.0, row=0)]

    Args:
        index: what `embed` gave, or the file it was saved in; or a folder, whose index is kept in
            the cache, where only what is new or changed is read again. Of a file of more than
            200,000 vectors an approximate index is made beside it, where usearch is installed.
        query: a mesh or cloud file, the id of a shape in the index, or a vector (D,).
        model: the model that made the index, as `load` takes it, which only files and folders
            need; by default ``pretrained-so3``, which comes with the package.
        top: hits wanted.

    Returns:
        The nearest by cosine distance, the nearest first.

    Raises:
        pc_crvae.errors.UserError: the index is damaged or of another model, or the query is
            nothing known.
    """
    import numpy as np

    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.embedding.opening import Index, open_index
    from pc_crvae.embedding.shapes import find_query, nearest_hits, query_vector, require_model_of

    searched: Index
    if isinstance(index, Embeddings):
        searched = index
    else:
        is_folder = Path(index).is_dir()
        searched = (
            _index_of(Path(index), model or DEFAULT_MODEL) if is_folder else open_index(Path(index))
        )
    if isinstance(query, np.ndarray):
        return nearest_hits(searched, query, top)
    found = find_query(str(query), searched)
    if isinstance(found, int):
        return nearest_hits(searched, searched.vectors[found], top)
    saved = _opened(model or DEFAULT_MODEL, device="auto")
    require_model_of(searched, saved.weights_sha256, saved.folder)
    vector = query_vector(found, searched, saved.point_model, searched.about.for_queries())
    return nearest_hits(searched, vector, top)


def explore(
    shapes: "str | Path | Sequence[str | Path]",
    *,
    out: str | Path,
    model: str | Path | None = None,
    points: int | None = None,
    up: str | None = None,
) -> "Explored":
    """Find groups, duplicates and outliers among shapes, and write a page, tables and a report.

    Examples:
        >>> explored = pc_crvae.explore(meshes, out=folder / "explored", model=run)
        >>> explored.page.name, len(explored.collection)
        ('explore.html', 2)
        >>> [finding.kind for finding in explored.analysis.findings]
        []

    Args:
        shapes: mesh and cloud files, or folders of them; or one index that `embed` made, by the
            file it was saved in.
        out: the folder to write to.
        model: a model of points, as `load` takes it; by default ``pretrained-so3``, which comes
            with the package. An index needs none.
        points: the number of points drawn of each file's shape, as `embed` takes it.
        up: the axis that points up, as `embed` takes it.

    Returns:
        The shapes, with their vectors and measures, and what was found; files that cannot be used
        are in ``collection.refused``.

    Raises:
        pc_crvae.errors.UserError: there is no shape, none can be used, there is no such model, or
            the folder cannot be written.
    """
    from pc_crvae.collection import explore as exploring
    from pc_crvae.embedding.index import check_points

    check_points(points, "points")
    places = [shapes] if isinstance(shapes, str | Path) else shapes

    def open_model() -> "SavedModel":
        return _opened(model or DEFAULT_MODEL, device="auto")

    return exploring.explore(
        [Path(place) for place in places],
        Path(out),
        open_model,
        points=points,
        up=up,
        tell=lambda text: warnings.warn(text, stacklevel=3),
    )


def _index_of(folder: Path, model: str | Path) -> "Embeddings":
    from pc_crvae.collection.reading import read_files
    from pc_crvae.collection.store import store_for
    from pc_crvae.data.readers.shape_files import find_shape_files
    from pc_crvae.embedding.shapes import about_of

    saved = _opened(model, device="auto")
    files, about = find_shape_files([folder]), about_of(saved, points=None, up=None)
    with store_for([folder], lambda text: warnings.warn(text, stacklevel=3)) as store:
        found = read_files(files, saved.point_model, about, store, measured=False)
    for sentence in found.refused:
        warnings.warn(sentence, stacklevel=3)
    return found.embeddings


def load_mesh(path: str | Path) -> "Surface":
    """Read a mesh: OFF, OBJ, PLY, STL, GLB, glTF, 3MF, COLLADA, and with cascadio STEP and IGES.

    Of a scene or an assembly the parts are put in place.

    Examples:
        >>> mesh = pc_crvae.load_mesh(meshes / "box.off")
        >>> mesh.vertices.shape, mesh.faces.shape, mesh.repairs
        ((8, 3), (12, 3), {})

    Args:
        path: the mesh file.

    Returns:
        Vertices (V, 3) and triangles (F, 3) in the frame and scale of the file, and what was
        repaired.

    Raises:
        pc_crvae.errors.UserError: the file cannot be used; the sentence names it and says why.
    """
    from pc_crvae.data.formats.meshes import read_surface

    return read_surface(Path(path))


def _opened(
    path: str | Path, which: Which = "last", *, device: Literal["auto", "cpu"] = "cpu"
) -> "SavedModel":
    from pc_crvae.runs.saved import SavedModel

    saved = SavedModel.open(path, which, device=device)
    if saved.note:
        warnings.warn(saved.note, stacklevel=3)
    return saved
