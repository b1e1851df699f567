"""Tables of a database as a source."""
