"""Code in the documentation works as written."""

import doctest
import importlib
import pkgutil

import tlx


def test_docstring_examples_run():
    """Examples in docstrings, where there are any, print what they say."""
    for info in pkgutil.walk_packages(tlx.__path__, "tlx."):
        result = doctest.testmod(importlib.import_module(info.name), optionflags=doctest.ELLIPSIS)
        assert result.failed == 0, info.name
