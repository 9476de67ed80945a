"""One small fault: what is changed where, and who has to notice."""

from typing import NamedTuple


class Fault(NamedTuple):
    """A change of one place in one file.

    Attributes:
        name: what is wrong afterwards, in words.
        file: the file, from the root of the repository.
        old, new: its text; `old` stands in the file exactly once.
        folder: whose tests must notice.
        first: the file of tests to be run before the rest of the folder ("" for none), to be told soon.
    """

    name: str
    file: str
    old: str
    new: str
    folder: str
    first: str = ""
