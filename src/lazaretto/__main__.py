"""`python -m lazaretto`: the same as the `lazaretto` command."""

import sys

from lazaretto.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
