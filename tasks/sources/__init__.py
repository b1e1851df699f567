"""The step `land`: sources of data, and the immutable partitions they become."""
