"""`python -m tasks.cli`: the command line."""

from tasks.cli.main import main

main()
