"""All timings in one run, each file in a process of its own, into one JSON: `make bench`.

python -m benchmarks [--output FILE] [--only full_linear relu ...]        (about ten minutes on two idle cores)
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _timing

FILES = ("limits", "full_linear", "relu", "devices", "growth", "programs")


def main() -> int:
    """Run the files, gather what they found; a file that fails is named and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=None, help="default: benchmarks/results/<hardware>.json")
    parser.add_argument("--only", nargs="+", choices=FILES, default=FILES)
    arguments = parser.parse_args()
    results, seconds, machine, failed = {}, {}, None, {}
    with tempfile.TemporaryDirectory() as name:
        for file in arguments.only:
            print(f"== {file}", flush=True)
            part, begin = Path(name) / f"{file}.json", time.perf_counter()
            command = [sys.executable, "-m", f"benchmarks.{file}", "--output", str(part)]
            code = subprocess.run(command, cwd=Path(__file__).resolve().parent.parent).returncode
            seconds[file] = round(time.perf_counter() - begin, 1)
            if code:
                failed[file] = code
                continue
            content = json.loads(part.read_text())
            machine = machine or content["machine"]  # of the first: its load is that before any benchmark
            results.update(content["results"])
    if machine is None:
        print("error: no benchmark ended well.", file=sys.stderr)
        return 1
    output = arguments.output or _timing.RESULTS / f"{_timing.label(machine)}.json"
    date = time.strftime("%Y-%m-%d")
    _timing.write(output, {"machine": machine, "date": date, "results": results, "seconds": seconds, "failed": failed})
    print(f"{sum(seconds.values()):.0f} s in all; written to {output}. python -m benchmarks.report {output} shows it.")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
