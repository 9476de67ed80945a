"""Ending well: work runs in a thread of its own, so that the main one can answer signals whatever is being computed.

The first SIGINT, SIGTERM, SIGHUP or SIGUSR2 asks the work to stop at its next boundary between compiled calls. If it
has not after GRACE_SECONDS, what is saved is kept, the rest is abandoned and the process ends. A second Ctrl-C ends it
at once. A worker of a launcher (joblib) is asked to stop when the process that launched it is gone.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

GRACE_SECONDS = 7.0
POLL_SECONDS = 0.1
LAUNCHER = "TLX_LAUNCHER"  # in the environment of a launcher's workers: its process

T = TypeVar("T")


def name(signum: int) -> str:
    """A signal's name, as status files have it."""
    return signal.Signals(signum).name if signum else "an exit"


class Stopped(BaseException):
    """Raised at a boundary of the work once it has been asked to stop (no `except Exception` swallows it)."""

    def __init__(self, signum: int) -> None:
        super().__init__(name(signum))
        self.signum = signum

    @property
    def code(self) -> int:
        """Exit code of a process ended by this signal."""
        return 128 + self.signum


class Stop:
    """Whether the work has been asked to stop, and since when."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.since = 0.0
        self.interrupts = 0

    def ask(self, signum: int) -> None:
        """Ask for a stop; the first reason counts."""
        self.interrupts += signum == signal.SIGINT
        if self.signum is None:
            self.signum, self.since = signum, time.monotonic()

    def check(self) -> None:
        """End the work here if it has been asked to stop."""
        if self.signum is not None:
            raise Stopped(self.signum)

    @property
    def overdue(self) -> bool:
        """Whether the work had its time to stop, or the user will not wait."""
        return self.signum is not None and (self.interrupts > 1 or time.monotonic() - self.since > GRACE_SECONDS)


def supervised(work: Callable[[Stop], T], beat: Callable[[Stop], None], abandon: Callable[[Stop], None]) -> T:
    """The result of `work(stop)`, or what it raised; `beat` is called meanwhile, `abandon` before a hard end.

    What `beat` raises is raised at once; the work, which may hang, is left behind.
    """
    stop, orphaned = Stop(), _parent()
    result: list[T] = []
    error: list[BaseException] = []
    done = threading.Event()  # not Thread.join: that takes a thread for ended once a handler has raised in it

    def body() -> None:
        try:
            result.append(work(stop))
        except BaseException as raised:  # handed to the main thread below
            error.append(raised)
        finally:
            done.set()

    thread = threading.Thread(target=body, name="work", daemon=True)
    leave: SystemExit | None = None
    with _handlers(stop.ask):
        thread.start()
        while not done.is_set():
            try:
                done.wait(POLL_SECONDS)
                if orphaned():
                    stop.ask(signal.SIGTERM)
                beat(stop)
            except SystemExit as asked:  # from a launcher's own handler, which has already requeued the job
                leave = asked
                stop.ask(signal.SIGTERM)
            if stop.overdue:
                abandon(stop)
                end(leave.code if leave is not None and isinstance(leave.code, int) else 128 + (stop.signum or 0))
    if leave is not None:
        raise leave
    if error:
        raise error[0]
    return result[0]


def end(code: int) -> None:
    """Leave without waiting for a compiled call that cannot be interrupted."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, full or absent
            stream.flush()
    os._exit(code & 0xFF)


def _parent() -> Callable[[], bool]:
    """Whether the launcher that this process works for is gone; never so for a command of its own."""
    named = os.environ.get(LAUNCHER, "")  # it may have died while this process was starting
    parent = int(named) if named.isdecimal() else os.getppid()
    return (lambda: os.getppid() != parent) if _works_for_launcher() else (lambda: False)


def _works_for_launcher() -> bool:
    return any("loky" in word for word in sys.orig_argv)


def leave_with_launcher() -> None:
    """In a launcher's worker: end once the launcher is gone and the work had its time to stop.

    Else a worker that has just finished would wait for ever to hand its result to nobody.
    """
    orphaned = _parent()

    def watch() -> None:
        while not orphaned():
            time.sleep(10 * POLL_SECONDS)
        time.sleep(2 * GRACE_SECONDS)
        end(128 + signal.SIGTERM)

    if _works_for_launcher() and not any(thread.name == "launcher" for thread in threading.enumerate()):
        threading.Thread(target=watch, name="launcher", daemon=True).start()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within it, and outside `supervised`, a signal ends what the main thread does with `Stopped`."""

    def leave(signum: int) -> None:
        raise Stopped(signum)

    with _handlers(leave):
        yield


@contextlib.contextmanager
def _handlers(answer: Callable[[int], None]) -> Iterator[None]:
    """Our handlers within it; USR2 is left to a launcher that answers it (submitit requeues on it), HUP to nohup."""
    before: dict[int, Any] = {}

    def called(signum: int, frame: Any) -> None:
        answer(signum)

    called.ours = True  # type: ignore[attr-defined]
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
            current = signal.getsignal(signum)
            free = current in (signal.SIG_DFL, signal.SIG_IGN, None) or getattr(current, "ours", False)
            if current == signal.SIG_IGN and signum == signal.SIGHUP:  # nohup
                continue
            if signum != signal.SIGUSR2 or free:
                before[signum] = current
                signal.signal(signum, called)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
