"""``python -m pc_crvae``, which is ``pc-crvae``."""

import sys

from pc_crvae.cli import main

if __name__ == "__main__":
    sys.exit(main())
