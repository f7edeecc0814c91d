"""Files that were found and not read, counted, with advice by their kind."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pc_crvae.utils.texts import texts_beside

_MOST_KINDS = 6
_MOST_NAMES = 3

_ADVICE = {
    suffix: advice
    for advice, kinds in texts_beside(__file__, "other_kinds.toml")["advice"].items()
    for suffix in kinds.split()
}
"""What to do with files of a suffix that holds shapes and is not read."""


def tell_passed_over(passed_over: Mapping[str, Sequence[Path]]) -> list[str]:
    """Return a line for each reason for which files were passed over, with their number."""
    lines = []
    for reason, paths in passed_over.items():
        if reason == "of another kind":
            lines.append(f"passed over: {len(paths):,} files {reason}: {_kinds(paths)}")
            continue
        names = ", ".join(map(str, paths[:_MOST_NAMES]))
        more = f" and {len(paths) - _MOST_NAMES:,} more" if len(paths) > _MOST_NAMES else ""
        verb = "note" if reason.startswith("looked through") else "passed over"
        lines.append(f"{verb}: {reason}: {names}{more}")
    return lines


def _kinds(paths: Sequence[Path]) -> str:
    counts = Counter(path.suffix.lower() or path.name[:30] for path in paths)
    # Those that there is advice for come first, then the most common.
    kinds = sorted(counts, key=lambda kind: (kind not in _ADVICE, -counts[kind], kind))
    told = [
        f"{kind} {counts[kind]:,}" + (f" ({_ADVICE[kind]})" if kind in _ADVICE else "")
        for kind in kinds[:_MOST_KINDS]
    ]
    if len(kinds) > _MOST_KINDS:
        told.append(f"and {sum(counts[kind] for kind in kinds[_MOST_KINDS:]):,} of others")
    return ", ".join(told)
