"""What trains rankers, a module or two for each type, behind one protocol."""
