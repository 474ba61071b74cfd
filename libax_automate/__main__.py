"""The entry point: ``automate`` and ``python -m libax_automate``."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line in ``sys.argv``; returns the exit code."""
    # pydantic would read the metadata of every installed package for plugins of its own, at each start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

    from libax_automate.cli.root import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
