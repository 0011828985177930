"""The command line: one file per verb."""

from vidrnn.cli.app import main as main
