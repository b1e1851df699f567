"""The steps `check_*`: SQL measures a table, Great Expectations evaluates what was measured."""
