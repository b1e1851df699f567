"""A process that sends one message: a `SendOrder` as JSON on its standard input.

Exit code 0: the sink has taken it. Otherwise the last line of its output says why not. Apprise has no time limit for
everything a sink may do, and writes URLs to its log; a process can be killed, and its output masked.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

from tasks.store.records import Record


class SendOrder(Record):
    """What the process is to send: where to, and Apprise's type of the message, which picks color and icon."""

    url: str
    title: str
    body: str
    type: Literal["info", "success", "warning", "failure"]


class _Warnings(logging.Handler):
    """Collects what Apprise warns of: its only way to say why a message was not taken."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()))


def main() -> int:
    """Send the message."""
    import apprise

    order = SendOrder.model_validate_json(sys.stdin.read())
    warnings = _Warnings()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [warnings], False
    # Apprise must keep nothing on disk, and name no picture that a mail program would fetch from elsewhere.
    asset = apprise.AppriseAsset(
        app_id="matinee", app_desc="matinee", app_url="", image_url_mask="", image_url_logo="", async_mode=False
    )
    sink = apprise.Apprise.instantiate(order.url, asset=asset)
    if sink is None:
        return _fail("Apprise does not know this kind of URL, or a part of it is missing; see its list of services")
    service = apprise.Apprise(asset=asset)
    service.add(sink)
    sent = service.notify(
        body=order.body,
        title=order.title,
        notify_type=apprise.NotifyType(order.type),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return 0 if sent else _fail("; ".join(warnings.texts) or "the sink did not take it, and Apprise does not say why")


def _fail(why: str) -> int:
    sys.stdout.write(f"{why}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
