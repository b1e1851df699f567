"""Everything the engine raises on purpose.

```
EngineError
├── DescriptorError     descriptor.json is malformed, of another format, or refers to something absent
├── ArtifactError       a file of a version is missing, altered, outside its folder, or not what it should be
├── GoldenMismatch      a loaded version does not answer its golden requests as it did when published
├── MetricError         an unknown metric, or lists that cannot be measured
└── RequestError        a request the engine cannot answer
```
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

RESTORE = "restore the version's folder from a backup, or remove it and publish its day again"
"""What to do about a version that is not as it was published; at the end of messages, behind a semicolon."""


class EngineError(Exception):
    """Base of all errors raised by the engine on purpose."""


class DescriptorError(EngineError):
    """A descriptor is malformed, of another format, or refers to something absent."""


class ArtifactError(EngineError):
    """A file of a version is missing, altered, outside its folder, or not what it should be."""


class GoldenMismatch(EngineError):  # noqa: N818 - says what happened
    """A loaded version does not answer its golden requests as it did when it was published."""


class MetricError(EngineError):
    """An unknown metric, or lists that cannot be measured."""


class RequestError(EngineError):
    """A request that the engine cannot answer."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the most similar of `names`, or an empty text."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
