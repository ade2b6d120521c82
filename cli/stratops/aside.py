"""A call that may take its time, in a thread that no end waits for.

`asyncio.to_thread` would: the loop does not close before its threads have come back.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(call: Callable[[], T]) -> T:
    """What `call` returns or raises."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001  # whoever awaits it gets it
            tell(answer.set_exception, error)
        else:
            tell(answer.set_result, outcome)

    def tell(say: Callable[[Any], None], what: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if answer.done() else say(what))

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await answer
