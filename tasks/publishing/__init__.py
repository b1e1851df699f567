"""The steps `gate` and `publish`: whether a model is good enough, and the version it becomes."""
