"""One unit of the study of real data: its pilots, what the planner says to them, and what training then shows."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.advice import digits, elements, packages, words
from experiments.advice.config import RealDataConfig
from experiments.running.store import Arrays

Progress = Callable[[int], None]


def _options(config: RealDataConfig) -> dict[str, Any]:
    return {"tolerance": config.tolerance, "confidence": config.confidence, "seed": config.seed}


def _gathered(prefix: str, trials: list[dict], shape: tuple[int, ...], dims: tuple[str, ...], own: dict) -> Arrays:
    """Trials in the order of `dims`, as arrays; `own` are the further dimensions of each entry."""
    out: Arrays = {}
    for name, further in own.items():
        values = np.stack([np.asarray(trial[name]) for trial in trials])
        out[f"{prefix}_{name}"] = ((*dims, *further), values.reshape(*shape, *values.shape[1:]))
    return out


def compute_words(config: RealDataConfig, own: dict[str, np.ndarray], progress: Progress) -> Arrays:
    """Word vectors at one prefix: every pilot size, number of raters and instance."""
    width = int(own["words_features"][0])
    dims = ("words_samples", "words_raters", "instance")
    trials = []
    for count in own["words_samples"]:
        for raters in own["words_raters"]:
            for instance in own["instance"]:
                random = np.random.default_rng([config.seed, 1, width, count, raters, instance])
                fits = width + 4 <= count  # fewer words than features: there is no probe to speak of
                one = words.trial(int(count), width, int(raters), random, _options(config)) if fits else words.nothing()
                trials.append(one)
                progress(len(trials) * len(words.PROTOCOLS))
    further = dict.fromkeys(("error", "test_se", "held_out", "held_out_se"), ("words_protocol",))
    further |= {"advice": ("asked",), "noise": ("bound",), "broken": ()}
    shape = (1, *(len(own[name]) for name in dims))
    return _gathered("words", trials, shape, ("words_features", *dims), further)


def compute_form(config: RealDataConfig, own: dict[str, np.ndarray], progress: Progress) -> Arrays:
    """The k-feature form at one ratio n/k."""
    ratio = float(own["words_ratio"][0])
    trials = []
    for width in own["form_features"]:
        for instance in own["instance"]:
            random = np.random.default_rng([config.seed, 2, width, round(1000 * ratio), instance])
            measured, trace = words.form(round(ratio * width), int(width), random)
            trials.append({"measured": measured, "trace": trace})
            progress(len(trials))
    shape = (1, len(own["form_features"]), len(own["instance"]))
    return _gathered("form", trials, shape, ("words_ratio", "form_features", "instance"), {"measured": (), "trace": ()})


def compute_elements(config: RealDataConfig, own: dict[str, np.ndarray], progress: Progress) -> Arrays:
    """One property of the elements."""
    name, trials = str(own["element_property"][0]), []
    for count in own["element_samples"]:
        for instance in own["instance"]:
            random = np.random.default_rng([config.seed, 3, list(packages.PROPERTIES).index(name), count, instance])
            trials.append(elements.trial(name, int(count), random, _options(config)))
            progress(len(trials) * len(elements.NAMES))
    further = dict.fromkeys(("error", "test_se", "held_out_se"), ("representation",))
    further |= {"score": ("element_score_name", "representation"), "advice": ()}
    shape = (1, len(own["element_samples"]), len(own["instance"]))
    return _gathered("element", trials, shape, ("element_property", "element_samples", "instance"), further)


def compute_digits(config: RealDataConfig, own: dict[str, np.ndarray], progress: Progress) -> Arrays:
    """One pilot size of the digits: every protocol trained, and the planner asked."""
    count, instances = int(own["digits_samples"][0]), own["instance"]
    found = digits.pairs(config, count, instances, progress)
    advised = min(config.digits.advised, len(instances))
    said = [
        digits.advice(config, count, int(instances[i]), jax.tree.map(lambda leaf, i=i: leaf[i], found.params))
        for i in range(advised)
    ]
    blank = {"advice": np.array(-2), "held_out": np.full(5, np.nan), "held_out_se": np.full(5, np.nan)}
    said += [blank] * (len(instances) - advised)
    cell = ("digits_samples", "instance")
    out = _gathered(
        "digits", said, (1, len(instances)), cell,
        {"advice": (), "held_out": ("digits_protocol",), "held_out_se": ("digits_protocol",)},
    )  # fmt: skip
    for name in ("error", "accuracy", "test_se"):
        out[f"digits_{name}"] = ((*cell, "digits_protocol"), np.asarray(getattr(found, name))[None])
    out["digits_status"] = ((*cell, "digits_run"), np.asarray(found.status)[None].astype(np.int8))
    return out
