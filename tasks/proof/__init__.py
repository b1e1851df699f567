"""`matinee prove`: nothing that comes after a day changes the run of that day."""
