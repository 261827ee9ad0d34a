"""Start of the on-start program from the delivered runtime: this file lies beside the packages."""

import os
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]  # not there by itself where PYTHONSAFEPATH is set

from podhooks_initcontainer.__main__ import main  # noqa: E402

code = main()
sys.stdout.flush()
os._exit(code)  # nothing is left to tidy up, and an interpreter's own end would take a tenth of the whole run
