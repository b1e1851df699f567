"""Where state lies on disk, and how it is written: atomically, with digests, behind locks."""
