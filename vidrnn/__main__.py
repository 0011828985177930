"""``python -m vidrnn``."""

from vidrnn.cli import main

main()
