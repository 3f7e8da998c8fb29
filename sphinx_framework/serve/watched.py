"""Tasks of the server without which it would go on and answer nobody."""

import asyncio
from collections.abc import Callable


def watch(task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> None:
    """Tell when a task ends by an error, which should never be: the server ends then."""

    def over(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            failed(error)

    task.add_done_callback(over)
