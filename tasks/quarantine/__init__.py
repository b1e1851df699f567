"""Rejected rows: where they are kept, why they were rejected, and how they come back."""
