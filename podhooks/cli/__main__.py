"""`python -m podhooks.cli`: the same as `podhooks`, where the script isn't in PATH."""

import sys

from podhooks.cli import main

if __name__ == "__main__":
    sys.exit(main())
