"""The other processes of a program over several hosts: they compute what process 0 announces, and end when it ends."""

import time
from typing import Any

from experiments.running import console, hosts, signals
from experiments.running.study import Study, Unit


def follow(study: Study, config: Any, every: list[Unit]) -> None:
    """Compute this host's lanes of the units that process 0 announces, until it has no more."""

    own: Any = hosts.link()

    def body(stop: signals.Stop) -> None:
        while (number := hosts.announced()) != hosts.DISMISSED:
            error: Exception | None = None
            try:
                study.compute(config, every[number].place, lambda lanes: None)
            except Exception as raised:  # process 0 has the same error, and notes it
                error = raised
            hosts.report(error)

    def beat(stop: signals.Stop) -> None:
        """A signal goes to process 0, which ends the work for all."""
        if stop.signum is not None and own.stop_asked is None:
            own.stop_asked = stop.signum
            own.put(own.key("told", "stop"), str(stop.signum))
        own.check()
        left.extend([time.monotonic()] if own.ended and not left else [])
        if left and time.monotonic() - left[0] > hosts.LEAVE_SECONDS:  # inside a call that will never end
            own.put(own.key("left", own.index), "")
            signals.end(own.ended)

    left: list[float] = []
    try:
        signals.supervised(body, beat, lambda stop: None)
    except hosts.HostLost as lost:
        console.fail(str(lost))
        signals.end(1)
    own.put(own.key("left", own.index), "")
    if own.ended:
        raise SystemExit(own.ended)
