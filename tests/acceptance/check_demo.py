"""Fails unless a probe's report shows that training taught the demo something.

Turned about z, the trained encoder must beat the untrained one by more than three standard
deviations; aligned, it must not be below by more than one. The standard deviation is the larger
of the two rows', over probe seeds.
"""

import json
import sys
from pathlib import Path
from typing import Any

# How many standard deviations above the untrained row the trained one must be.
LEAST_GAIN = {"z": 3.0, "aligned": -1.0}


def failures(rows: list[dict[str, Any]]) -> list[str]:
    """What does not hold, a sentence each; empty when all holds."""
    scores = {(row["features"], row["setting"]): row for row in rows}
    found = []
    for setting, deviations in LEAST_GAIN.items():
        trained, untrained = scores["trained", setting], scores["untrained", setting]
        gain = trained["accuracy_mean"] - untrained["accuracy_mean"]
        spread = max(trained["accuracy_std"], untrained["accuracy_std"])
        # Three above must be exceeded; one below may be reached.
        holds = gain > deviations * spread if deviations > 0 else gain >= deviations * spread
        if not holds:
            found.append(
                f"{setting}: trained {trained['accuracy_mean']:.3f} is {gain:+.3f} from untrained "
                f"{untrained['accuracy_mean']:.3f}, and {deviations:+g} standard deviations are "
                f"{deviations * spread:+.3f}"
            )
    return found


def main(report: Path) -> None:
    """Exit with the failures of a report, if there are any."""
    found = failures(json.loads(report.read_text())["rows"])
    if found:
        sys.exit("the demo did not learn what it must: " + "; ".join(found))
    print(f"{report}: the trained encoder beats the untrained one as it must")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
