"""matinee from Python: one line to read what runs have made, or to run a pipeline.

```python
import matinee

pipeline = matinee.Pipeline("streaming")           # a name in pipelines/, or the path of a pipeline file
run = pipeline.last_run()                          # or pipeline.run("2026-02-25"), which executes every step
run.examples("test").to_pandas()                   # rows come as Arrow tables
pipeline.mart("feat_users", "2026-02-25")
pipeline.engine().rank("u000017", k=10)
```

Rows are `pyarrow.Table`. Reading writes nothing. Whatever goes wrong on purpose is a `MatineeError` that says what was
found, what was expected and what to do next. The page docs/python.md shows all of it, and is executed by the tests.
"""

from __future__ import annotations

from matinee.pipeline import Pipeline
from matinee.ranking import Engine
from matinee.run import Run
from tasks.errors import CheckFailed, GateFailed, MatineeError, SpecError, WrongArgument

__all__ = [
    "CheckFailed",
    "Engine",
    "GateFailed",
    "MatineeError",
    "Pipeline",
    "Run",
    "SpecError",
    "WrongArgument",
]
