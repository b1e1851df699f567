"""The step `train`: models for each population, and the choice of their settings."""
