"""Random arguments of public functions: a call is refused in one sentence, or its numbers are numbers."""

from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tlx import theory
from tlx.linear.setting import LinearSetting
from tlx.train import Optimizer

ANGLE, RATIO, SIZE = st.floats(0, np.pi), st.floats(0.05, 4), st.floats(0, 3)
NORM = st.floats(0.1, 4)
NASTY = [float("nan"), 1j, "a", -1.0, [[1.0], [1.0, 2.0]], {"a": 1}, b"x", lambda: 1.0]
FUNCTIONS: dict[Any, dict[str, st.SearchStrategy]] = {
    theory.scratch_risk: {"sample_ratio": RATIO, "noise_std": SIZE, "target_norm": NORM},
    theory.linear_transfer_risk: {"overlap_angle": ANGLE, "noise_std": SIZE, "num_samples": st.integers(4, 50)},
    theory.fine_tuning_risk: {"overlap_angle": ANGLE, "sample_ratio": RATIO, "noise_std": SIZE, "target_norm": NORM},
    theory.optimal_ridge_risk: {"sample_ratio": RATIO, "noise_std": SIZE},
    theory.ridge_risk: {"sample_ratio": RATIO, "noise_std": SIZE, "ridge": SIZE},
    theory.pretrained_norm: {"source_ratio": RATIO, "source_noise_std": SIZE},
    LinearSetting: {
        "dim": st.integers(2, 50),
        "depth": st.integers(1, 5),
        "noise_std": SIZE,
        "target_norm": NORM,
        "source_norm": NORM,
        "fine_tune": st.just(Optimizer()),
        "scratch": st.just(Optimizer()),
        "init_scale": st.floats(1e-6, 1),
    },
    Optimizer: {"learning_rate": NORM, "num_steps": st.integers(1, 100), "momentum": st.floats(0, 0.9)},
}


@st.composite
def call(draw: Any) -> tuple[Any, dict[str, Any], str]:
    """A function, its arguments, and the name of the one that is nonsense ("" if none is)."""
    function = draw(st.sampled_from(list(FUNCTIONS)))
    arguments = {name: draw(values) for name, values in FUNCTIONS[function].items()}
    spoiled = draw(st.sampled_from(["", *arguments]))
    if spoiled:
        arguments[spoiled] = draw(st.sampled_from(NASTY))
    return function, arguments, spoiled


def check(function: Any, arguments: dict[str, Any], spoiled: str) -> bool:
    """Whether the call was refused; what is neither refused nor sensible is an AssertionError."""
    shown = f"{function.__name__}({arguments})"
    try:
        result = function(**arguments)
    except (ValueError, TypeError) as error:
        text = str(error)
        if spoiled and text and len(text.splitlines()) == 1:
            return True
        raise AssertionError(f"{shown}: {type(error).__name__}: {text[:300]}") from error
    assert not spoiled, f"{shown}: {spoiled} was accepted"
    numbers = np.asarray(result, float) if not isinstance(result, LinearSetting | Optimizer) else np.zeros(())
    assert not np.isnan(numbers).any(), f"{shown} = {result}"
    return False


def calls(draws: int) -> dict[str, int]:
    """Draw calls; returns how many there were and how many of them were refused."""
    told = {"drawn": 0, "refused": 0}

    @settings(
        max_examples=draws, deadline=None, database=None, derandomize=True,
        phases=(Phase.generate,), suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @given(call())
    def drawn(what: tuple[Any, dict[str, Any], str]) -> None:
        told["refused"] += check(*what)
        told["drawn"] += 1

    drawn()
    return told
