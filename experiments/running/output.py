"""Output never ends work: a closed pipe, a full disk or an absent terminal only ends the output."""

import contextlib
import io
import os
import sys


class Stream(io.TextIOBase):
    """Standard output or error, as it is at the time; what it does not take is dropped, and so is all that follows."""

    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        """Write and flush, so that what goes wrong goes wrong here."""
        target = getattr(sys, self._name)
        try:
            try:
                target.write(text)
            except UnicodeEncodeError:
                target.write(text.encode("ascii", "replace").decode())
            target.flush()
        except (OSError, ValueError, AttributeError):
            _discard(target)
        return len(text)

    def flush(self) -> None:
        """Nothing is ever pending."""

    def isatty(self) -> bool:
        """Whether a person is watching."""
        try:
            return bool(getattr(sys, self._name).isatty())
        except (OSError, ValueError, AttributeError):
            return False

    def fileno(self) -> int:
        """The descriptor, for the size of the terminal."""
        try:
            return int(getattr(sys, self._name).fileno())
        except (ValueError, AttributeError) as error:
            raise OSError(str(error)) from error

    @property
    def encoding(self) -> str:
        """What the terminal can show."""
        return str(getattr(getattr(sys, self._name), "encoding", None) or "utf-8")


def _discard(target: object) -> None:
    """Send what follows, and what is still in the buffer, nowhere: else Python's last flush would fail at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), target.fileno())  # type: ignore[attr-defined]


def occupy() -> None:
    """Open what was closed among input, output and error: else a file of results would take its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
