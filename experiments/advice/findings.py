"""What follows from the pilots: means, the planner's score card, and the findings in sentences."""

import json
from typing import NamedTuple

import numpy as np
import xarray as xr

from experiments.advice import packages, words
from experiments.advice.config import Part, RealDataConfig

HARMFUL, CLOSE, GOOD = 0.25, 0.05, 0.10  # relative distances from the best measured mean error
_SE = 3.0


class Score(NamedTuple):
    """How often the planner was asked and spoke; of those, right within 5 % and 10 % of the best, and harmful."""

    asked: int
    spoke: int
    right: int
    within: int
    harmful: int


def score(errors: np.ndarray, advice: np.ndarray) -> Score:
    """The score card of a part.

    Args:
        errors: (..., instance, protocol) measured errors; the planner is judged against their means over instances.
        advice: (..., instance) positions among the protocols, -1 for undecided, -2 for not asked.
    """
    finite = np.isfinite(errors)
    total = np.sum(np.where(finite, errors, 0.0), axis=-2, keepdims=True)
    count = np.sum(finite, axis=-2, keepdims=True)
    mean = np.where(count > 0, np.maximum(total / np.maximum(count, 1), 1e-9), np.inf)
    best = np.min(mean, axis=-1, keepdims=True)
    ratio = np.broadcast_to(
        np.where(np.isfinite(mean), mean, 1e9) / np.where(np.isfinite(best), best, 1e9), errors.shape
    )
    spoke = advice >= 0
    given = np.take_along_axis(ratio, np.maximum(advice, 0)[..., None], axis=-1)[..., 0][spoke]
    return Score(
        int(np.sum(advice > -2)),
        int(np.sum(spoke)),
        int(np.sum(given <= 1 + CLOSE)),
        int(np.sum(given <= 1 + GOOD)),
        int(np.sum(given > 1 + HARMFUL)),
    )


def complete(config: RealDataConfig, data: xr.Dataset) -> xr.Dataset:
    """Means over instances, the score card and the sentences, of the parts that are there."""
    lines: list[str] = []
    cards: dict[str, Score] = {}
    known = {Part.words: ("words_error", _of_words), Part.elements: ("element_error", _of_elements)}
    known[Part.digits] = ("digits_error", _of_digits)
    for part in config.parts:
        name, work = known[part]
        if name in data:
            data, more, found = work(data)
            lines += found
            cards |= more
    if "form_measured" in data:
        data, found = _of_form(data)
        lines += found
    data.attrs["tables"] = json.dumps({"score_card": {name: one._asdict() for name, one in cards.items()}})
    lines = [_said(name, one) for name, one in cards.items()] + lines
    data.attrs["title"] = ", ".join(part.value for part in config.parts)
    data.attrs["notes"] = "\n".join(lines)
    return data


def _said(name: str, one: Score) -> str:
    if not one.spoke:
        return f"{name}: asked {one.asked} times, the planner never spoke."
    share = 100 / one.spoke
    return (
        f"{name}: asked {one.asked} times, the planner spoke {one.spoke} times ({100 * one.spoke / one.asked:.0f} %); "
        f"within 5 % of the best {one.right} times ({share * one.right:.0f} %), within 10 % {one.within} "
        f"({share * one.within:.0f} %), harmful {one.harmful} ({share * one.harmful:.1f} %)."
    )


def within(estimate: np.ndarray, measured: np.ndarray, *errors: np.ndarray) -> str:
    """Share of the estimates within 3 standard errors of what was measured."""
    z = (estimate - measured) / np.sqrt(sum(error**2 for error in errors))
    z = z[np.isfinite(z)]
    return f"{np.mean(np.abs(z) <= _SE) * 100:.0f} % of {z.size} (mean z {z.mean():+.2f})" if z.size else "no case"


def _mean(data: xr.Dataset, name: str) -> xr.Dataset:
    found = data[f"{name}_error"]
    count = found.notnull().sum("instance")
    data[f"{name}_mean"] = found.mean("instance")
    data[f"{name}_standard_error"] = (found.std("instance", ddof=1) if count.max() > 1 else 0 * count) / np.sqrt(count)
    return data


def _of_words(data: xr.Dataset):
    data = _mean(data, "words")
    known = words.truth([256])
    raters = data.words_raters
    variance = known.misfit[256] + known.rating_variance / raters
    data["words_noise_known"] = np.sqrt(variance)
    data.attrs["rating_variance"] = known.rating_variance
    dims = ("words_features", "words_samples", "words_raters", "instance")
    errors = data.words_error.transpose(*dims, "words_protocol").values
    advice = data.words_advice.transpose(*dims, "asked").values
    excess = errors - known.misfit[256]
    cards = {
        "words, probe or linear regression": score(errors[..., :2], advice[..., 0]),
        "words, all methods": score(errors, advice[..., 1]),
        "words, all methods, over the best linear form": score(excess, advice[..., 1]),
    }
    noise = data.words_noise.transpose(*dims, "bound").values
    truth = np.broadcast_to(np.sqrt(variance.values)[:, None], noise.shape[:-1])
    asked = np.isfinite(noise[..., 0])
    inside = np.mean(((noise[..., 1] <= truth) & (truth <= noise[..., 2]))[asked])
    off = np.median((noise[..., 0] / truth)[asked])
    lines = [
        f"Noise: {known.rating_variance:.3f}/m of m ratings and {known.misfit[256]:.3f} that no linear form explains; "
        f"the planner's standard deviation is {off:.3f} of it (median), and its 95 % interval covers it in "
        f"{100 * inside:.0f} % of {asked.sum()} pilots.",
        f"Assumptions named as broken in {100 * np.mean(data.words_broken.values[asked]):.0f} % of them.",
    ]
    for name in ("linear_transfer", "ridge_probe"):
        one = data.sel(words_protocol=name)
        found = within(
            *(one[f"words_{key}"].values for key in ("held_out", "error", "held_out_se", "test_se")),
        )
        lines.append(f"Words, {name}: leave-one-out within 3 standard errors of the error on other words in {found}.")
    best = data.words_mean.fillna(np.inf).argmin("words_protocol").values[np.isfinite(errors[..., 0, 0])]
    wins = {name: int(np.sum(best == i)) for i, name in enumerate(words.PROTOCOLS)}
    lines.append("Words, cells won: " + ", ".join(f"{name} {count}" for name, count in wins.items() if count) + ".")
    return data, cards, lines


def _of_form(data: xr.Dataset):
    gauss, elliptical = [], []
    for ratio in data.words_ratio.values:
        counts = [(round(float(ratio) * k), int(k)) for k in data.form_features.values]
        gauss.append([k / (n - k - 2) for n, k in counts])
        elliptical.append([words.elliptical_factor(words.squared_lengths(k), k, n) for n, k in counts])
    cell = ("words_ratio", "form_features")
    data["form_gaussian"], data["form_elliptical"] = (cell, np.array(gauss)), (cell, np.array(elliptical))
    count = data.sizes["instance"]
    data["form_mean"] = data.form_measured.mean("instance")
    data["form_standard_error"] = data.form_measured.std("instance", ddof=min(1, count - 1)) / np.sqrt(count)
    lines = []
    for i, ratio in enumerate(data.words_ratio.values):
        one = data.isel(words_ratio=i)
        off = [
            f"{100 * float(((1 + one[name]) / (1 + one.form_mean)).mean() - 1):+.0f} %"
            for name in ("form_gaussian", "form_elliptical")
        ]
        lines.append(
            f"Probe at n = {ratio:g} k: by the Gaussian form it is off by {off[0]}, with the rows' lengths {off[1]}."
        )
    return data, lines


def _of_elements(data: xr.Dataset):
    data = _mean(data, "element")
    dims = ("element_property", "element_samples", "instance")
    errors = data.element_error.transpose(*dims, "representation").values
    scores = data.element_score.transpose(*dims, "element_score_name", "representation").values
    alone = np.isin(data.representation.values, list(packages.REPRESENTATIONS))  # the others have no order to predict
    cards = {"elements": score(errors, data.element_advice.transpose(*dims).values)}
    leading = np.where(alone, scores[..., 0, :], np.inf).argmin(axis=-1)
    cards["elements, the leading representation, not advised"] = score(errors, leading)
    found = errors.mean(axis=2)[..., alone]
    table = np.full((*scores.shape[:-1],), np.nan)
    for at in np.ndindex(*table.shape):
        values = scores[at][alone] * (1 if at[-1] == 0 else -1)  # low error, high scores
        if np.all(np.isfinite(values)):
            table[at] = _spearman(values, found[at[:2]])
    data["element_rank_correlation"] = ((*dims, "element_score_name"), table)
    lines = []
    for i, name in enumerate(data.element_score_name.values):
        usable = np.isfinite(table[..., i])
        mean = f"{np.mean(table[..., i][usable]):.2f}" if usable.any() else "-"
        lines.append(f"Elements, order by {name} and order found: rank correlation {mean} in {usable.sum()} pilots.")
    control = int(np.flatnonzero(data.representation.values[alone] == "random")[0])
    last = np.mean(np.argsort(np.argsort(found, axis=-1), axis=-1)[..., control] >= found.shape[-1] - 2)
    lines.append(f"The random control is among the last two of {found.shape[-1]} in {100 * last:.0f} % of the cells.")
    ratio = data.element_mean.sel(representation="together").values / found.min(axis=-1)
    lines.append(
        f"All together have {ratio.min():.2f} to {ratio.max():.2f} of the best one's error (mean {ratio.mean():.2f})."
    )
    inside = within(scores[..., 0, :], errors, data.element_held_out_se.values, data.element_test_se.values)
    lines.append(f"Elements: held-out errors within 3 standard errors of those on the other elements in {inside}.")
    return data, cards, lines


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)


def _of_digits(data: xr.Dataset):
    data = _mean(data, "digits")
    dims = ("digits_samples", "instance")
    errors = data.digits_error.transpose(*dims, "digits_protocol").values
    cards = {"digits": score(errors, data.digits_advice.transpose(*dims).values)}
    lines = []
    for name in ("probe", "fine_tuning", "scratch"):
        one = data.sel(digits_protocol=name)
        inside = within(*(one[f"digits_{key}"].values for key in ("held_out", "error", "held_out_se", "test_se")))
        kind = "" if name == "probe" else " (linearised; the network was trained)"
        lines.append(f"Digits, {name}{kind}: leave-one-out within 3 standard errors of the test error in {inside}.")
    for size in data.digits_samples.values:
        mean = data.digits_mean.sel(digits_samples=size)
        order = mean.sortby(mean)
        found = [f"{name} {value:.3f}" for name, value in zip(order.digits_protocol.values, order.values, strict=True)]
        lines.append(f"Digits, n = {size}, test error: {', '.join(found)}.")
    return data, cards, lines
