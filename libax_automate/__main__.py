"""The entry point: ``automate`` and ``python -m libax_automate``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line in ``sys.argv``; returns the exit code."""
    from libax_automate.cli.root import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
