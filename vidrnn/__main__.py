"""``python -m vidrnn``."""

from vidrnn.cli.app import main

main()
