"""Ways to end a command before it is done, all of which leave it time to clean up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """The process was asked to end by `signal`, other than by Ctrl-C."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal = signal_number


def exit_code(stop: KeyboardInterrupt) -> int:
    """130 after Ctrl-C, else what a shell would say of the signal: 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + stop.signal if isinstance(stop, Stopped) else INTERRUPTED


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise `Stopped` wherever the main thread is, as Ctrl-C does."""

    def stop(number: int, _: Any) -> None:
        raise Stopped(number)

    if threading.current_thread() is not threading.main_thread():  # Python lets no other handle signals
        yield
        return
    # What is ignored (nohup) stays so.
    handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, stop) for number in handled]
    try:
        yield
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)
