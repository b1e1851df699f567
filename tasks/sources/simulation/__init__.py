"""The simulated streaming service that the bundled pipeline reads."""
