"""The command ``python -m pybp.bench``."""

from __future__ import annotations

import sys

from pybp.bench.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
