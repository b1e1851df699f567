"""How answers look on the terminal."""
