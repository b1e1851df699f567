"""The steps `check_*`: SQL measures a table, Great Expectations judges the measurement."""
