"""Should you train from scratch, probe or fine-tune? Advice from a pilot sample and a pretrained predictor or features.

python -m experiments.plan data=FILE [num_samples=N] [overrides]      (--help explains them; -m sweeps)
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.advice import command
from experiments.advice.reading import Pilot, read
from experiments.running import console
from experiments.running.files import write_bytes
from experiments.running.study import UserError, writable

ABOUT = """Should you train from scratch, probe or fine-tune? Advice from a pilot: some labelled rows of the target
task, and what was pretrained.

data=FILE is .csv, .tsv or .parquet with a label column y (or label=NAME), columns feature_* for pretrained features,
and every other column an input; or .npz with arrays X (n, d), y (n,) and source (d,) or features (n, k). Delimiter,
encoding and header are found, and said. source=FILE holds the d numbers of a pretrained linear predictor.
The last line is `recommendation: ...`; plan.html beside the figure is one file that can be sent to others."""


@dataclass
class PlanConfig:
    """Everything that may be configured of a plan."""

    study: str = "plan"
    data: str | None = None  # the pilot sample: .csv, .tsv, .parquet or .npz
    source: str | None = None  # the pretrained linear predictor beside a table: a file of d numbers
    label: str = "y"  # label column of a table
    num_samples: Any = None  # rows you will train on; null: those of the pilot
    depth: float = 2.0  # layers of the network to be fine-tuned
    covariance: str = "auto"  # of the inputs: auto, identity, diagonal or estimate
    tolerance: float = 0.05  # a method within this relative distance of the best is as good as the best
    confidence: float = 0.9  # least share of the draws that must support a method that is recommended
    coverage: float = 0.95  # of the intervals
    seed: int = 0  # of the simulation behind the intervals
    delimiter: str | None = None  # of a text file; null: found
    encoding: str | None = None  # of a text file; null: found


OPTIONS = ("depth", "covariance", "tolerance", "confidence", "coverage", "seed")


def load(config: PlanConfig) -> Pilot:
    """The pilot that a configuration names."""
    if not config.data:
        raise UserError("no data: give data=FILE (.csv, .tsv, .parquet or .npz); --help explains the format.")
    source = Path(config.source) if config.source else None
    return read(Path(config.data), config.label, source, delimiter=config.delimiter, encoding=config.encoding)


def advise(pilot: Pilot, config: PlanConfig) -> Any:
    """The plan for a pilot."""
    from tlx import planner

    options = {key: getattr(config, key) for key in OPTIONS}
    if config.seed < 0:
        raise UserError(f"seed = {config.seed} must be at least 0.")
    known = {name: pilot.arrays.get(name) for name in ("source", "features")}
    planned = whole("num_samples", config.num_samples)
    try:
        return planner.plan(pilot.arrays["X"], pilot.arrays["y"], **known, num_samples=planned, **options)
    except (ValueError, TypeError) as error:
        raise UserError(str(error).replace("inputs", "X").replace("labels", "y")) from None


def whole(name: str, value: Any) -> int | None:
    """A number of rows, also where it is written 1e6; None stays None."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise UserError(f"{name} = {value!r} must be a whole number of rows.")


def run(config: PlanConfig, directory: Path, words: str) -> Any:
    """Read, advise, draw, print."""
    pilot = load(config)
    for remark in pilot.remarks:
        console.say(remark)
    plan = advise(pilot, config)
    from experiments.figures import plan as drawing
    from experiments.running.results import save

    writable(directory)
    name = Path(config.data or "").name
    files = save(drawing.page(plan, name), directory, "plan")
    write_bytes(
        directory / "plan.html", drawing.report(plan, name, pilot.remarks, words, directory / files[0]).encode()
    )
    console.say(str(plan))
    console.say(f"\nfigure: {directory / files[0]}; page to send: {directory / 'plan.html'}")
    console.say(f"recommendation: {plan.recommendation}")
    return plan


def check(config: PlanConfig) -> None:
    """Refuse what cannot be carried out before anything is written."""
    load(config)
    whole("num_samples", config.num_samples)


LEAVES = "plan.png, plan.pdf and plan.html, one file that can be sent to others."
PLAN = command.Command("plan", PlanConfig, ABOUT, run, check, files=("data", "source"), leaves=LEAVES)

if __name__ == "__main__":
    command.main(PLAN, sys.argv)
