"""The step `evaluate`: the model beside its baselines and the champion, on held-out lists."""
