"""Whether what lies on disk is as it was written: one module for each part of the state folder, and the walk."""
