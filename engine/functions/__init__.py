"""The functions of a version: from the features of a candidate to its score."""
