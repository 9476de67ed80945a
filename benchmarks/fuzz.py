"""Inputs that nobody thought of: random configurations of every study, and random arguments of public functions.

python -m benchmarks.fuzz [--draws 2000] [--runs 100]          (`make fuzz`)

Every draw is either refused in one line before any compute, or is accepted and makes sense; of the accepted
configurations, `--runs` are carried out and their results must keep what every result promises.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import math
import tempfile
import time
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import experiments
from benchmarks.tiny import TINY
from experiments.running import api, bounds, compose, job
from experiments.running.study import Study, UserError

UNTOUCHED = ("study", "store", "distributed", "force", "plan", "figures")  # where, not what, is computed
NEVER_NEGATIVE = ("noise_std", "target_norm", "source_norm", "tolerance", "weight_decay", "ridge", "cutoff", "seconds")
NEVER_NEGATIVE += ("learning_rate", "memory_gb", "dim", "depth", "width", "num_steps", "num_instances", "seed")
NASTY = ["nan", "inf", "-inf", "-1", "0", "1e400", "1e30", "-0.0", "null", "[]", "true", "abc", "''", "1.5j", "{a:1}"]
NASTY += ["1000000000000", "[nan]", "[1,1]", "[-1]", "[[1]]", "${seed}", "${nothing}", "0x10", "1e-400", "-1e-9"]


def keys(kind: type, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> type of every value of a schema."""
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        own = hints[field.name]
        if dataclasses.is_dataclass(own):
            found |= keys(own, f"{prefix}{field.name}.")
        else:
            found[f"{prefix}{field.name}"] = own
    return {key: own for key, own in found.items() if key.split(".")[0] not in UNTOUCHED}


def sensible(kind: Any) -> st.SearchStrategy[str]:
    """Values that a person might give to a key of this type, small enough to be computed."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from([choice.value for choice in kind])
    if kind is bool:
        return st.sampled_from(["true", "false"])
    whole = st.integers(0, 8).map(str)
    number = st.one_of(whole, st.floats(0, 4, width=16).map(str))
    if "list" in str(kind) or kind is Any:
        return st.one_of(st.lists(number, min_size=1, max_size=3).map(lambda items: f"[{','.join(items)}]"), whole)
    return whole if "float" not in str(kind) else number


@st.composite
def words(draw: Any, study: Study) -> list[str]:
    """One to three overrides of a study, sensible or not."""
    own = keys(study.Config)
    chosen = draw(st.lists(st.sampled_from(sorted(own)), min_size=1, max_size=3, unique=True))
    return [f"{key}={draw(st.one_of(sensible(own[key]), st.sampled_from(NASTY)))}" for key in chosen]


def check(name: str, given_words: list[str], directory: Path) -> job.Request | None:
    """The request that a command makes, or None if it is refused; a refusal of another kind is an AssertionError."""
    study, begin = api.find(name), time.monotonic()
    request, refusal = None, ""
    try:
        config = compose.typed(study, compose.composed(study, [*TINY[name], *given_words]))
        request = job.check(study, config, directory)
    except UserError as error:
        refusal = str(error)
    assert time.monotonic() - begin < 30, f"{name} {given_words} took {time.monotonic() - begin:.0f} s"
    if request is None:
        assert len(refusal.splitlines()) == 1, f"{name} {given_words}: {refusal}"
        return None
    assert request.every, f"{name} {given_words}: no unit"
    for key, value in bounds.leaves(config):
        if isinstance(value, int | float):
            assert math.isfinite(value), f"{name} {given_words}: {key} = {value} was accepted"
            negative = value < 0 and key.split(".")[-1].removesuffix("s") in NEVER_NEGATIVE
            assert not negative, f"{name} {given_words}: {key} = {value} was accepted"
    return request


def carry_out(name: str, given_words: list[str], directory: Path) -> None:
    """Run an accepted configuration; its results keep what they promise."""
    overrides = [*TINY[name], *given_words]
    data = experiments.run(name, overrides, directory=directory, quiet=True)
    summary = json.loads((directory / "summary.json").read_text())
    assert not summary["missing"]
    assert json.loads((directory / "status.json").read_text())["state"].startswith("finished")
    assert sum(n for counts in summary["lanes_by_status"].values() for n in counts.values()) > 0
    with xr.open_dataset(directory / "results.nc") as stored:
        assert stored.sizes == data.sizes
    if "risk_mean" in data and "status" in data:
        good = (data.status < 2).all("instance")
        mean = data.risk_mean.where(good)
        assert not np.isnan(mean.values[np.broadcast_to(good.values, mean.shape)]).any()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        experiments.run(name, overrides, directory=directory)
    assert "already complete" in said.getvalue(), said.getvalue()


def configurations(draws: int, runs: int = 0, studies: typing.Sequence[str] = tuple(TINY)) -> dict[str, int]:
    """Draw configurations of all studies; returns how many were drawn, refused, and carried out."""
    told = {"drawn": 0, "refused": 0, "carried out": 0}

    def one(name: str) -> None:
        @settings(
            max_examples=max(draws // len(studies), 1), deadline=None, database=None, derandomize=True,
            phases=(Phase.generate,), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip
        @given(words(api.find(name)))
        def drawn(given_words: list[str]) -> None:
            with tempfile.TemporaryDirectory() as place:
                request = check(name, given_words, Path(place) / "out")
                told["drawn"] += 1
                told["refused"] += request is None
                if request is not None and told["carried out"] < runs * (1 + list(studies).index(name)) / len(studies):
                    told["carried out"] += 1
                    carry_out(name, given_words, Path(place) / "out")

        drawn()

    for name in studies:
        one(name)
    return told


def main() -> None:
    """Draw thousands."""
    from benchmarks import fuzz_functions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    print("configurations:", configurations(arguments.draws, arguments.runs), flush=True)
    print("calls of public functions:", fuzz_functions.calls(arguments.draws), flush=True)


if __name__ == "__main__":
    main()
