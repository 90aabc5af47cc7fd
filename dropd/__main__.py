"""`python -m dropd`."""

from dropd.cli import main

main()
