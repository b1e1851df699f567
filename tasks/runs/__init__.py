"""One run: what it is, which steps it has, what its attempts left and what they were made from."""
