"""Start of the on-exit program from the delivered runtime: this file lies beside the packages."""

import sys

from podhooks_sidecar.__main__ import main

sys.exit(main())
