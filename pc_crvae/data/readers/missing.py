"""How a file that is not there is told."""

from pathlib import Path


def gone(path: Path) -> str:
    """Say, as the start of a sentence, that nothing is at ``path``; of a link, where it leads."""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is missing"
    return f"{path} is missing"
