"""MATH: the shared engine of experiment and production. Pure: no scheduler, no warehouse, no checks."""
