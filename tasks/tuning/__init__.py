"""Choosing settings by trials: which are tried, the journal of what they gave, and which of them is taken."""
