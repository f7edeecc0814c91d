"""A run is a folder: where its files are, and how states are saved to it and found again.

config.yaml  metrics.jsonl  events/  pictures/
model.safetensors + config.json            the export: the last saved state
checkpoints/step-00001234/                 state.pt beside an export
checkpoints/best/                          an export: highest validation objective
.lock                                      there while a process writes to the run

A kill can come between any two changes of a file. What it leaves is put in order by whoever opens
the run for writing next, under its lock; who only reads sees past it and writes nothing.
"""

import io
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from filecmp import cmp
from pathlib import Path
from typing import Any, Literal

import torch

from pc_crvae.config import Config, load_config, save_config, with_training
from pc_crvae.errors import UserError, told
from pc_crvae.models.exports import (
    DESCRIPTION,
    EXPORT_FILES,
    WEIGHTS,
    mend_export,
    recorded_sha256,
    write_export,
)
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.runs.resumption import require_same_configuration
from pc_crvae.utils.files import atomic_folder, gone, temporaries
from pc_crvae.utils.locks import locked

STATE_FORMAT = 1

Which = Literal["last", "best"]

_ASIDE, _REMOVED = ".replaced-", ".removed-"
"""What the names of the folders begin with that hold a run that is being overwritten, until there
is another one in its place; and then."""


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
        self._lock = folder / ".lock"

    @property
    def exists(self) -> bool:
        """Whether something is there that a new run would write over.

        An empty folder is not, and neither is what a run had made that was stopped before its
        configuration was written.
        """
        if not self.folder.is_dir():
            return self.folder.exists() or self.folder.is_symlink()
        ours = {self._lock, *self.folder.glob(f"{_REMOVED}*")}
        ours |= set(temporaries(self.folder, self.config.name))
        left = set(self.folder.iterdir()) - ours
        return left not in (set(), {self.checkpoints}) or _holds_anything(self.checkpoints)

    @contextmanager
    def writing(self) -> Iterator[str | None]:
        """Keep all others from writing to the run while the block does.

        Makes the folder, which goes again if nothing was written to it.

        Yields:
            A note for the user where the file system has no locks; None where it has.

        Raises:
            UserError: another process writes to the run, or the folder cannot be written.
        """
        whole = self.folder.absolute()
        missing = [path for path in (whole, *whole.parents) if not path.exists()]
        if missing and self.folder.is_symlink():
            raise UserError(f"{gone(self.folder)}: make that folder, or remove the link")
        busy = f"another process writes to the run in {self.folder}"
        try:
            with ExitStack() as held:
                with told(f"cannot write to {self.folder}", OSError):
                    self.folder.mkdir(parents=True, exist_ok=True)
                    lock = held.enter_context(locked(self._lock, busy))
                yield lock.note
        finally:
            with suppress(OSError):  # what is not empty stays
                for path in missing:
                    path.rmdir()

    def create(self, config: Config, *, overwrite: bool = False) -> None:
        """Make a new run, in place of the one that is there if it is to be overwritten.

        The configuration is written last. A run to overwrite is first set aside as a whole, so that
        until there is a new one a stop leaves the old one, which `open` puts back.

        Raises:
            RunExistsError: if something is there (unless ``overwrite``).
            UserError: if it is no run, or the folder cannot be written.
        """
        self.require_free(overwrite=overwrite)
        with told(f"cannot write to {self.folder}", OSError):
            if self.exists:
                self._set_aside()
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            save_config(config, self.config)
            for aside in self._set_aside_before():
                aside.rename(aside.with_name(aside.name.replace(_ASIDE, _REMOVED)))
            self._clear_up()

    def require_free(self, *, overwrite: bool = False) -> None:
        """Check that there is nothing that a new run would write over, or that it may.

        Raises:
            RunExistsError: something is there, and is not to be overwritten.
            UserError: it is to be, and is no run.
        """
        if not self.exists:
            return
        if not overwrite:
            raise RunExistsError(
                f"{self.folder} already exists: resume it, overwrite it, or choose another folder"
            )
        is_run = self.config.is_file() and self.checkpoints.is_dir()
        if not is_run and not self._set_aside_before():
            raise UserError(
                f"{self.folder} is not the folder of a run, so it is not overwritten: choose "
                "another folder"
            )

    def require_there(self) -> None:
        """Check that the run is still where it was made.

        Raises:
            UserError: somebody removed or moved it.
        """
        if not self.config.is_file():
            raise UserError(
                f"{self.folder} was removed or moved while training wrote to it, so what it "
                "learnt since cannot be saved: put it back and resume it, or start anew"
            )

    def require_run(self) -> None:
        """Check that there is a run to go on with.

        Raises:
            UserError: there is none.
        """
        if not self.config.is_file() and not self._set_aside_before():
            raise UserError(f"there is no run to resume in {self.folder}")

    def recorded_config(self) -> Config:
        """The configuration of the run, which an overwriting that was stopped may have set aside.

        Raises:
            UserError: there is no run, or its configuration is damaged.
        """
        self.require_run()
        folders = (self.folder, *self._set_aside_before())
        files = (folder / self.config.name for folder in folders)
        return load_config(next((file for file in files if file.is_file()), self.config))

    def open(self, config: Config) -> None:
        """Check that this run can go on under ``config``, and clear up what a kill left in it.

        Another number of threads is recorded from now on.

        Raises:
            UserError: if there is no run, or its configuration differs in more than where
                data lies, what is logged, when states are saved and the number of threads.
        """
        self.require_run()
        self._put_back()
        before = load_config(self.config)
        require_same_configuration(before, config, self.folder)
        self._clear_up()
        threads = config.training.threads
        if threads not in (None, before.training.threads):
            save_config(with_training(before, {"threads": threads}), self.config)

    def _set_aside(self) -> None:
        """Move what is in the folder into one of its own, which is renamed when it is removed."""
        aside = next(iter(self._set_aside_before()), None)  # of an overwriting that was stopped
        if aside is None:
            aside = self.folder / f"{_ASIDE}{uuid.uuid4().hex[:8]}"
            aside.mkdir()
        for path in set(self.folder.iterdir()) - {self._lock, aside}:
            if path.name.startswith(_REMOVED) or (aside / path.name).exists():
                continue  # the latter: a place for checkpoints, made for the new run
            path.rename(aside / path.name)

    def _put_back(self) -> None:
        """Undo an overwriting that was stopped before there was a new run."""
        for aside in self._set_aside_before():
            if self.config.is_file() and (aside / self.config.name).is_file():
                continue  # there is
            for path in aside.iterdir():
                place = self.folder / path.name
                if place == self.checkpoints and place.is_dir():
                    place.rmdir()  # made for the new run, and empty
                path.rename(place)
            aside.rmdir()

    def _set_aside_before(self) -> list[Path]:
        """Folders of what was set aside to be overwritten, where there is anything in them."""
        return [path for path in self.folder.glob(f"{_ASIDE}*") if _holds_anything(path)]

    def _clear_up(self) -> None:
        """Put back a best export, and drop halves, that a kill left under temporary names."""
        aside = self.best_aside()
        if aside is not None:
            aside.rename(self.best)
        for pattern in (f"{_ASIDE}*", f"{_REMOVED}*", f"{self.checkpoints.name}/.*-*"):
            for half in self.folder.glob(pattern):
                shutil.rmtree(half)
        halves = temporaries(self.pictures, "*.png")
        for name in (*EXPORT_FILES, self.config.name):
            halves += temporaries(self.folder, name)
        # Of a report, a command that does not ask for the lock may be writing it.
        an_hour_ago = time.time() - 3600
        others = [half for half in temporaries(self.folder, "*.*") if half.is_file()]
        halves += [half for half in others if half.stat().st_mtime < an_hour_ago]
        for file in halves:
            file.unlink(missing_ok=True)

    def best_aside(self) -> Path | None:
        """The whole best export that a kill left under a temporary name, if none is in place."""
        if self.best.is_dir():
            return None
        whole = [folder for folder in self.checkpoints.glob(".best-*") if holds_export(folder)]
        # Of two the one written last is to be the best, and the other one was.
        return max(whole, key=lambda folder: (folder / DESCRIPTION).stat().st_mtime, default=None)

    def states(self) -> list[Path]:
        """Checkpoint folders that hold a state, oldest first."""
        return sorted(path.parent for path in self.checkpoints.glob("step-*/state.pt"))

    def save_state(self, state: dict[str, Any], model: Pretrained, *, step: int, keep: int) -> Path:
        """Save a state and the export beside it, then the run's export; prune old states.

        Args:
            state: tensors, numbers and plain containers of them only.
            model: the model that is exported.
            step: names the checkpoint.
            keep: states kept, this one included.

        Raises:
            UserError: if it cannot be written; older states stay as they were.
        """
        self.require_there()
        folder = self.checkpoints / f"step-{step:08d}"
        with atomic_folder(folder) as temporary:
            # Through memory: torch reports a full disk as a RuntimeError of its own.
            buffer = io.BytesIO()
            torch.save({"format": STATE_FORMAT, **state}, buffer)
            (temporary / "state.pt").write_bytes(buffer.getbuffer())
            write_export(model, temporary)
        write_export(model, self.folder)
        self._prune(keep)
        return folder

    def mend(self, model: Pretrained, *, keep: int) -> None:
        """Do what a kill may have kept the last `save_state` from, where it has.

        Args:
            model: the model of the newest state.
            keep: states kept.

        Raises:
            UserError: as `save_state`.
        """
        for folder in (*self.states()[-1:], self.folder):
            mend_export(model, folder)
        self._prune(keep)

    def _prune(self, keep: int) -> None:
        for old in self.states()[:-keep]:
            # Renamed first: half removed, it must not be taken for a state.
            shutil.rmtree(old.rename(old.with_name(f".{old.name}-{uuid.uuid4().hex[:8]}")))

    def export(self) -> Path:
        """The folder of the model that was saved last.

        That is the run's own, unless a kill came before it was brought up to the newest state's.
        """
        newest = self.states()[-1:]
        if newest and holds_export(newest[0]) and not _hold_the_same(self.folder, newest[0]):
            return newest[0]
        return self.folder

    def save_best(self, model: Pretrained) -> None:
        """Export ``model`` as the best so far.

        Raises:
            UserError: if it cannot be written; the one before stays.
        """
        self.require_there()
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
            # Which torch.load does not do.
            with zipfile.ZipFile(path) as archive:
                wrong = archive.testzip()
            if wrong is not None:
                raise zipfile.BadZipFile(f"the checksum of {Path(wrong).name} is not met")
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


def holds_export(folder: Path) -> bool:
    """Whether a folder has both files of a saved model."""
    return all((folder / name).is_file() for name in EXPORT_FILES)


def _hold_the_same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same export."""
    if not holds_export(one):
        return False
    if not cmp(one / DESCRIPTION, other / DESCRIPTION, shallow=False):
        return False
    # Descriptions of 0.1 do not have the digest of the weights, and so tell nothing of them.
    return recorded_sha256(one) is not None or cmp(one / WEIGHTS, other / WEIGHTS, shallow=False)


def _holds_anything(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
