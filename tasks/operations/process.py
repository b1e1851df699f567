"""What a process that runs steps tells the libraries in it, before it loads them."""

from __future__ import annotations

import os


def quieten_libraries() -> None:
    """Set what is not set yet: one BLAS thread, no spinning threads, and no reports over the network."""
    # Before anything imports NumPy: OpenBLAS reads it once, when it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads slow trainings side by side 30-fold
    # Great Expectations reports its use over the network unless it is told not to.
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
