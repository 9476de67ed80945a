"""Every study is run once, small, and looked at by several tests."""

import pytest
import small


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """The directory of a small run of a study with all its figures, run when first asked for."""
    done = {}

    def directory(name):
        if name not in done:
            done[name] = small.run(name, tmp_path_factory.mktemp("studies") / name)
        return done[name]

    return directory
