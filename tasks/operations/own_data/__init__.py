"""Begin with data of one's own: look at files, guess what their columns are, and write what a first run needs."""
