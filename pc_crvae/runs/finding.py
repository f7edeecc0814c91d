"""Which saved model a path means, and which run a saved model lies in."""

from pathlib import Path

from pc_crvae.config import Config, load_config
from pc_crvae.errors import UserError
from pc_crvae.models.exports import EXPORT_FILES
from pc_crvae.runs.folder import Run, Which, holds_export
from pc_crvae.utils.resources import shipped_model, shipped_models


def find_export(path: Path, which: Which = "last") -> Path:
    """The folder of the saved model that ``path`` means.

    Args:
        path: a run's folder, a checkpoint's, or that of a saved export; or the name of a model
            that comes with the package, where there is no such path.
        which: which state of a run, the last saved one or the best by validation.

    Raises:
        UserError: if there is no saved model, or ``which`` is neither.
    """
    if which not in ("last", "best"):
        raise UserError(f"a run has the states last and best, and none called {which}")
    shipped = shipped_model(path)
    if shipped is not None and which == "last":
        return shipped
    if shipped is None and not path.is_dir():
        names = "".join(f", or {name}" for name in shipped_models())
        raise UserError(
            f"{path} is not a folder: name that of a run, a checkpoint or an export{names}"
        )
    run = Run(shipped or path)
    folder = (run.best_aside() or run.best) if which == "best" else run.export()
    if holds_export(folder):
        return folder
    if which == "best":
        raise UserError(f"{path} holds no best checkpoint: use the last")
    raise UserError(
        f"{path} holds no saved model ({' and '.join(EXPORT_FILES)}): name a run with at "
        "least one checkpoint, a checkpoint or an export"
    )


def find_run_config(export: Path) -> Config | None:
    """The configuration of the run that an export lies in, if it lies in one."""
    run = run_of(export)
    return load_config(run.config) if run.config.is_file() else None


def run_of(export: Path) -> Run:
    """The run that an export lies in; where it lies in none, one without a configuration."""
    export = export.resolve()  # the parents of "." are told by its full path only
    return Run(export.parent.parent if export.parent.name == "checkpoints" else export)
