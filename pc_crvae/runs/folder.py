"""A run is a folder: where its files are, and how states are saved to it and found again.

config.yaml  metrics.jsonl  events/  pictures/
model.safetensors + config.json            the export: the last saved state
checkpoints/step-00001234/                 state.pt beside an export
checkpoints/best/                          an export: highest validation objective
"""

import io
import shutil
from pathlib import Path
from typing import Any, Literal

import torch

from pc_crvae.config import Config, load_config, plain, save_config
from pc_crvae.errors import UserError
from pc_crvae.models.pretrained import EXPORT_FILES, Pretrained, write_export
from pc_crvae.utils.files import atomic_folder

STATE_FORMAT = 1

Which = Literal["last", "best"]


class RunExistsError(UserError):
    """Something lies where a new run is to be made."""


class Run:
    """The folder of one run.

    Args:
        folder: its path; nothing is made until `create`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.metrics = folder / "metrics.jsonl"
        self.events = folder / "events"
        self.pictures = folder / "pictures"
        self.checkpoints = folder / "checkpoints"
        self.best = self.checkpoints / "best"

    @property
    def exists(self) -> bool:
        """Whether something is there that a new run would write over."""
        return self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir()))

    def create(self, config: Config, *, overwrite: bool = False) -> None:
        """Make the folder of a new run.

        Raises:
            RunExistsError: if something is there (unless ``overwrite``).
            UserError: if it is no run, or the folder cannot be written.
        """
        if not overwrite:
            self.require_absent()
        if self.exists:
            if not (self.config.is_file() and self.checkpoints.is_dir()):
                raise UserError(
                    f"{self.folder} is not the folder of a run, so it is not overwritten: choose "
                    "another folder"
                )
            shutil.rmtree(self.folder)
        try:
            self.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror}") from None
        save_config(config, self.config)

    def require_absent(self) -> None:
        """Check that there is nothing that a new run would write over.

        Raises:
            RunExistsError: something is there.
        """
        if self.exists:
            raise RunExistsError(
                f"{self.folder} already exists: resume it, overwrite it, or choose another folder"
            )

    def open(self, config: Config) -> None:
        """Check that this run can go on under ``config``.

        Raises:
            UserError: if there is no run, or its configuration differs in more than where
                data lies, what is logged and when states are saved.
        """
        if not self.config.is_file():
            raise UserError(f"there is no run to resume in {self.folder}")
        recorded, given = _flat(plain(load_config(self.config))), _flat(plain(config))
        free = ("data.root", "logging.", "checkpoints.")
        for key in sorted(recorded.keys() | given.keys()):
            is_free = key.startswith(free) or key.endswith(".root")
            if not is_free and recorded.get(key) != given.get(key):
                raise UserError(
                    f"{self.folder} was started with {key} = {recorded.get(key)}, not "
                    f"{given.get(key)}: a resumed run keeps its configuration"
                )
        self._clear_up()

    def _clear_up(self) -> None:
        """Put back a best export, and drop halves, that a kill left under temporary names."""
        whole = [folder for folder in self.checkpoints.glob(".best-*") if _holds_export(folder)]
        if whole and not self.best.is_dir():
            whole[0].rename(self.best)
        for half in self.checkpoints.glob(".*-*"):
            shutil.rmtree(half)

    def states(self) -> list[Path]:
        """Checkpoint folders that hold a state, oldest first."""
        return sorted(path.parent for path in self.checkpoints.glob("step-*/state.pt"))

    def save_state(self, state: dict[str, Any], model: Pretrained, *, step: int, keep: int) -> Path:
        """Save a state and the export beside it, then the run's export; prune old states.

        Args:
            state: tensors, numbers and plain containers of them only.
            model: what is exported.
            step: names the checkpoint.
            keep: states kept, this one included.

        Raises:
            UserError: if it cannot be written; older states stay as they were.
        """
        folder = self.checkpoints / f"step-{step:08d}"
        with atomic_folder(folder) as temporary:
            # Through memory: torch reports a full disk as a RuntimeError of its own.
            buffer = io.BytesIO()
            torch.save({"format": STATE_FORMAT, **state}, buffer)
            (temporary / "state.pt").write_bytes(buffer.getbuffer())
            write_export(model, temporary)
        write_export(model, self.folder)
        for old in self.states()[:-keep]:
            shutil.rmtree(old)
        return folder

    def save_best(self, model: Pretrained) -> None:
        """Export ``model`` as the best so far."""
        with atomic_folder(self.best) as temporary:
            write_export(model, temporary)

    def load_state(self) -> dict[str, Any]:
        """The newest state.

        Raises:
            UserError: if there is none, or it is damaged or of another format.
        """
        states = self.states()
        if not states:
            raise UserError(
                f"{self.folder} holds no checkpoint yet: overwrite the run to start anew"
            )
        path = states[-1] / "state.pt"
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{path} is damaged ({reason}): remove {states[-1]} to go on from the state "
                "before it"
            ) from None
        if not isinstance(state, dict) or state.get("format") != STATE_FORMAT:
            raise UserError(f"{path} is not a state of format {STATE_FORMAT}")
        return state


def find_export(path: Path, which: Which = "last") -> Path:
    """The folder of the saved model that ``path`` means.

    Args:
        path: a run's folder, a checkpoint's, or that of a saved export.
        which: which state of a run, the last saved one or the best by validation.

    Raises:
        UserError: if there is no saved model, or ``which`` is neither.
    """
    if which not in ("last", "best"):
        raise UserError(f"a run has the states last and best, and none called {which}")
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: name that of a run, a checkpoint or an export")
    folder = Run(path).best if which == "best" else path
    if _holds_export(folder):
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


def _holds_export(folder: Path) -> bool:
    return all((folder / name).is_file() for name in EXPORT_FILES)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by the path of their keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key == "mixture":
            value = {str(place): part for place, part in enumerate(value)}
        is_section = isinstance(value, dict)
        flat |= _flat(value, f"{prefix}{key}.") if is_section else {prefix + key: value}
    return flat
