"""``python -m pc_crvae``, which is ``pc-crvae``."""

import sys

try:
    from pc_crvae.cli import main
except KeyboardInterrupt:  # main tells of later ones
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
