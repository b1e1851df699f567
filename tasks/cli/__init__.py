"""The command line, and how its answers look."""
