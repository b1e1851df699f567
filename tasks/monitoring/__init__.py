"""The step `monitor`: drift of features, labels and scores; skew between training and serving."""
