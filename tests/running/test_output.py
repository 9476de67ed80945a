"""Output never ends work: closed, full or absent, it is dropped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.running.output import Stream

ROOT = Path(__file__).resolve().parents[2]


def test_what_a_stream_does_not_take_is_dropped(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as broken:
        monkeypatch.setattr("sys.stdout", broken)
        stream = Stream("stdout")
        assert stream.write("text\n") == 5
        assert stream.write("more\n") == 5
        assert not stream.isatty()
    with open(os.devnull) as unwritable:
        for target in (None, unwritable):
            monkeypatch.setattr("sys.stdout", target)
            stream.write("text\n")
            assert not stream.isatty()


def test_letters_that_a_terminal_lacks_are_replaced(tmp_path, monkeypatch):
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        monkeypatch.setattr("sys.stdout", out)
        Stream("stdout").write("|z| ≤ 3\n")
    assert (tmp_path / "out").read_text() == "|z| ? 3\n"


def test_a_full_disk_is_no_error_even_at_exit():
    code = "from experiments.running.output import Stream; Stream('stdout').write('x' * 100000); print('more')"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_the_place_of_a_closed_stream(closed, tmp_path):
    code = "from experiments.running import output; output.occupy(); import sys; print(open(sys.argv[1], 'w').fileno())"
    code += "; open(sys.argv[1], 'w').write(str(open('/dev/null').fileno()))"
    subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" "$2" {closed}', sys.executable, code, tmp_path / "x"], check=True, cwd=ROOT
    )
    assert int((tmp_path / "x").read_text()) > 2
