"""Can the planner be trusted on real data and real pretrained models? Its advice against what training then shows.

python -m experiments.real_data [overrides]      (--help explains them)
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from experiments.advice import digits, elements, findings, packages, units, words
from experiments.advice.config import Part, RealDataConfig
from experiments.running import grid as _grid
from experiments.running.app import main
from experiments.running.store import Arrays
from experiments.running.study import Place, Progress, Study, UserError

OWN = {  # the axes of each kind of unit; its units are the values of the first, or of the first two
    "words_features": ("words_features", "words_samples", "words_raters", "words_protocol", "asked", "bound"),
    "words_ratio": ("words_ratio", "form_features"),
    "element_property": ("element_property", "element_samples", "representation", "element_score_name"),
    "digits_samples": ("digits_samples", "digits_protocol", "digits_run"),
}
PART = {
    "words_features": Part.words,
    "words_ratio": Part.words,
    "element_property": Part.elements,
    "digits_samples": Part.digits,
}


class RealData(Study):
    """Can the planner be trusted on real data and real pretrained models? Word vectors to the valence of words,
    representations of the chemical elements to their properties, and networks pretrained on some handwritten digits and
    moved to others: what the planner said from a pilot against what training then shows. Nothing is downloaded; the
    data lie inside the packages of `pip install 'tlx[examples]'`.
    """

    Config = RealDataConfig
    apart = tuple(OWN.values())

    @property
    def figures(self) -> dict[str, Callable]:
        """What is drawn, of the parts that there are."""
        from experiments.figures import real_data

        return {"advice": real_data.advice, "errors": real_data.errors}

    def axes(self, config: RealDataConfig) -> dict[str, np.ndarray]:
        """Coordinates, and with them every check of the configuration."""
        if not config.parts or len(set(config.parts)) < len(config.parts):
            raise UserError(f"parts = {[part.value for part in config.parts]} must name each part once, at least one.")
        packages.check(config.parts)
        if not (0.5 <= config.confidence <= 1 and 0 <= config.tolerance <= 1) or config.seed < 0:
            raise UserError(
                f"confidence = {config.confidence}, tolerance = {config.tolerance}, seed = {config.seed}: the first "
                "lies in [0.5, 1], the second in [0, 1], and the seed is at least 0."
            )
        every = {"instance": _grid.instances(config.ensemble)}
        for part in config.parts:
            every |= {Part.words: _words, Part.elements: _elements, Part.digits: _digits}[part](config)
        return every

    def places(self, config: RealDataConfig) -> list[Place]:
        """Units of each part, without the axes of the others."""
        every, out = self.axes(config), []
        for kind, own in OWN.items():
            if PART[kind] not in config.parts:
                continue
            others = {name: slice(0, 0) for name in every if name not in (*own, "instance")}
            out += [{**others, kind: slice(i, i + 1)} for i in range(len(every[kind]))]
        return out

    def lanes(self, config: RealDataConfig, place: Place) -> int:
        """Fits and training runs in a unit."""
        kind, part = _kind(config, place), _grid.part(self.axes(config), place)
        count = len(part["instance"])
        if kind == "words_features":
            return count * len(part["words_samples"]) * len(part["words_raters"]) * len(words.PROTOCOLS)
        if kind == "words_ratio":
            return count * len(part["form_features"])
        if kind == "element_property":
            return count * len(part["element_samples"]) * len(elements.NAMES)
        return count * 4

    def compute(self, config: RealDataConfig, place: Place, progress: Progress) -> Arrays:
        """One unit's pilots, the planner's words, and what training shows."""
        own = _grid.part(self.axes(config), place)
        work = {
            "words_features": units.compute_words,
            "words_ratio": units.compute_form,
            "element_property": units.compute_elements,
            "digits_samples": units.compute_digits,
        }
        return work[_kind(config, place)](config, own, progress)

    def finish(self, config: RealDataConfig, data: xr.Dataset) -> xr.Dataset:
        """Means, the score card, and the sentences that follow from them."""
        return findings.complete(config, data)

    def statuses(self, data: xr.Dataset) -> dict[str, np.ndarray]:
        """Status codes of the trained networks."""
        if "digits_status" not in data:
            return {}
        return {str(run): data.digits_status.sel(digits_run=run).values for run in data.digits_run.values}


def _kind(config: RealDataConfig, place: Place) -> str:
    return next(kind for kind in OWN if kind in place and place[kind].stop > place[kind].start)


def _counts(name: str, value: Any, low: int, high: int) -> np.ndarray:
    """A list of whole numbers within bounds, in order."""
    found = _grid.axis(name, [value] if isinstance(value, int | float) else value, high)
    if np.any(found != np.round(found)) or found[0] < low or found[-1] > high:
        raise UserError(f"{name} = {value} must hold whole numbers from {low} to {high:,}.")
    return found.astype(int)


def _words(config: RealDataConfig) -> dict[str, np.ndarray]:
    chosen = config.words
    widths = _counts("words.num_features", chosen.num_features, 1, 256)
    sizes = _counts("words.num_samples", chosen.num_samples, 30, 5000)
    if widths[0] > sizes[-1] - 4:
        raise UserError(f"words.num_samples = {sizes[-1]} is too few for {widths[0]} features: 4 more are needed.")
    ratios = _grid.axis("words.ratios", chosen.ratios, 20.0)
    if ratios[0] * widths[0] < widths[0] + 4 or ratios[-1] * widths[-1] > 6000:
        raise UserError(f"words.ratios = {chosen.ratios} must leave k + 4 to 6,000 words for each of num_features.")
    return {
        "words_features": widths,
        "words_samples": sizes,
        "words_raters": _counts("words.num_raters", chosen.num_raters, 1, 10),
        "words_protocol": np.asarray(words.PROTOCOLS),
        "asked": np.asarray(["plain", "all"]),
        "bound": np.asarray(["value", "low", "high"]),
        "words_ratio": ratios,
        "form_features": widths,
    }


def _elements(config: RealDataConfig) -> dict[str, np.ndarray]:
    return {
        "element_property": np.asarray(list(packages.PROPERTIES)),
        "element_samples": _counts("elements.num_samples", config.elements.num_samples, 10, 78),
        "representation": np.asarray(elements.NAMES),
        "element_score_name": np.asarray(elements.SCORES),
    }


def _digits(config: RealDataConfig) -> dict[str, np.ndarray]:
    chosen = config.digits
    for name in ("width", "num_steps", "pretraining_steps", "advised"):
        if getattr(chosen, name) < 1:
            raise UserError(f"digits.{name} = {getattr(chosen, name)} must be at least 1.")
    if not 0 < chosen.learning_rate < 10:
        raise UserError(f"digits.learning_rate = {chosen.learning_rate} must be above 0 and below 10.")
    return {
        "digits_samples": _counts("digits.num_samples", chosen.num_samples, 10, 600),
        "digits_protocol": np.asarray(digits.PROTOCOLS),
        "digits_run": np.asarray(["pretraining", "fine_tuning", "scratch", "lp_ft"]),
    }


if __name__ == "__main__":
    main(RealData)
