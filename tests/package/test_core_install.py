"""The wheel in a fresh environment that has what it requires without extras, and no more."""

import importlib.metadata
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from helpers.tiny_runs import write_card
from helpers.wheels import build_wheel, needs_a_checkout

pytestmark = [pytest.mark.slow, *needs_a_checkout]

TINY = [
    *("data.name=tiny.yaml", "data.points=32", "model.encoder.widths=[8,16]", "model.latent_dim=4"),
    *("model.decoder.points=32", "model.decoder.widths=[16]"),
    *("training.epochs=1", "training.batch_size=8", "logging.probe_every_epochs=0"),
]


def closure(name: str) -> dict[str, importlib.metadata.Distribution]:
    """The installed distributions that ``name`` requires without its extras, at any depth."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(name, "")]
    seen = set()
    while waiting:
        wanted = waiting.pop()
        if wanted in seen:
            continue
        seen.add(wanted)
        try:
            distribution = importlib.metadata.distribution(wanted[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # torch names some that its CPU build does without
        found[wanted[0]] = distribution
        for text in distribution.requires or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted[1]}):
                waiting += [(requirement.name, extra) for extra in ("", *requirement.extras)]
    del found[name]
    return found


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess]:
    """``pc-crvae`` of an environment of its own, whose packages are links to those of this one."""
    folder = tmp_path_factory.mktemp("core")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    (site_packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    for distribution in closure("pc-crvae").values():
        for entry in {file.parts[0] for file in distribution.files or []}:
            source, target = Path(distribution.locate_file(entry)), site_packages / entry
            if entry not in ("..", "__pycache__") and not target.is_symlink():
                target.symlink_to(source)
    write_card(folder)
    wheel = build_wheel(folder)
    install = ["-m", "pip", "--python", str(python), "install", "--no-deps", "--quiet", str(wheel)]
    subprocess.run([sys.executable, *install], check=True)

    def run(*arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [folder / "env" / "bin" / "pc-crvae", *map(str, arguments)],
            cwd=folder,
            env={
                "PATH": "/usr/bin:/bin",
                "PC_CRVAE_CACHE": str(folder / "cache"),
                "PC_CRVAE_KERNELS": "reference",  # a fresh environment would compile the others
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
        )

    return run


def test_it_trains_and_notes_that_no_events_of_tensorboard_are_written(command):
    done = command("train", "quickstart", *TINY, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "TensorBoard" in done.stdout + done.stderr

    done = command("interpolate", "--ckpt", "run", "--pairs", 1, "--steps", 3)
    assert done.returncode == 0, done.stderr
    assert "rendered by matplotlib: Open3D is not installed" in done.stdout
    assert "page: run/interpolation/interpolation.html" in done.stdout


@pytest.mark.parametrize("config", ["digits", "celeba64"])
def test_an_experiment_that_needs_an_extra_names_it_before_data_is_looked_for(command, config):
    done = command("train", config, "--out", config)
    assert done.returncode == 2
    assert "pc-crvae[images]" in done.stderr
    assert done.stderr.count("\n") == 1
