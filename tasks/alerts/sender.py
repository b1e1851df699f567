"""A process that sends one message: `{"url", "title", "body", "type"}` on its standard input.

Exit code 0: the sink has taken it. Otherwise the last line of its output says why not. Apprise has no time limit for
everything a sink may do, and keeps none of its words to itself; a process can be ended, and its output read.
"""

from __future__ import annotations

import json
import logging
import sys


class _Words(logging.Handler):
    """What Apprise warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(" ".join(record.getMessage().split()))


def main() -> int:
    """Send the message."""
    import apprise

    order: dict[str, str] = json.load(sys.stdin)
    words = _Words()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [words], False
    # Nothing is kept on disk, and no picture is named that a mail program would fetch from elsewhere.
    asset = apprise.AppriseAsset(
        app_id="matinee", app_desc="matinee", app_url="", image_url_mask="", image_url_logo="", async_mode=False
    )
    sink = apprise.Apprise.instantiate(order["url"], asset=asset)
    if sink is None:
        return _refused("Apprise does not know this kind of URL, or a part of it is missing; see its list of services")
    service = apprise.Apprise(asset=asset)
    service.add(sink)
    sent = service.notify(
        body=order["body"],
        title=order["title"],
        notify_type=apprise.NotifyType(order["type"]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return 0 if sent else _refused("; ".join(words.said) or "the sink did not take it, and Apprise does not say why")


def _refused(why: str) -> int:
    sys.stdout.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
