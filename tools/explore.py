"""The command ``pc-crvae explore`` as a script; see ``--help``."""

import sys

from pc_crvae.cli import main

if __name__ == "__main__":
    sys.exit(main(command="explore"))
