"""Make a model that comes with the package, and its card, from a run; see ``--help``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pc_crvae.cli.parsing import Parser
from pc_crvae.errors import UserError
from pc_crvae.runs.shipping import ship


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("name", metavar="NAME", help="what the model is called: pretrained")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="which state")
    parser.add_argument(
        "--figures", type=Path, metavar="FILE", help="Markdown: what was measured, for the card"
    )
    try:
        options = parser.parse_args()
        figures = options.figures.read_text(encoding="utf-8") if options.figures else ""
        place = ship(options.run, options.name, which=options.which, figures=figures)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"shipped: {place}; next, for the test of its vectors: "
        "PYTHONPATH=.:tests python -m helpers.shipped_vectors"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
