"""Files as a source: readers of their formats, and the folder or bucket that they lie in."""
