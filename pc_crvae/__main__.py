"""``python -m pc_crvae``, and the script ``pc-crvae``."""

import sys


def run() -> int:
    """Run the command line and return the exit status, 130 where Ctrl-C came during the imports."""
    try:
        from pc_crvae.cli import main
    except KeyboardInterrupt:  # main tells of later ones
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(run())
