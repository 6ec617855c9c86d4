"""`python -m vesselog` is the `vesselog` command."""

import sys

from vesselog.cli import main

if __name__ == "__main__":
    sys.exit(main())
