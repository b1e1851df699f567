"""HOW: one module per step of the daily pipeline; the scheduler and the command line call the same functions."""
