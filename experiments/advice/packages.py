"""Data and pretrained models that lie inside installed packages (the extra `examples`); nothing is ever downloaded."""

import csv
import functools
import json
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.advice.config import Part
from experiments.running.study import UserError

NEEDS = {
    Part.words: ("wordllama", "vaderSentiment", "safetensors", "tokenizers"),
    Part.elements: ("elementembeddings",),
    Part.digits: ("sklearn",),
}
REPRESENTATIONS = {
    "chemeleon": "chemeleon.csv",
    "chgnet": "chgnet.csv",
    "crystallm": "crystallm_v24c.dim512_atom_vectors.csv",
    "mace": "mace_mp0.csv",
    "mat2vec": "mat2vec.csv",
    "matscholar": "matscholar-embedding.json",
    "matscibert": "matscibert.csv",
    "megnet": "megnet16.json",
    "orb": "orb_v2.csv",
    "sevennet": "sevennet.csv",
    "skipatom": "skipatom_20201009_induced.csv",
    "random": "random_200.csv",  # the control: 200 random numbers an element
}
PROPERTIES = {"electronegativity": "electronegativity_pauling", "melting point": "melt"}


class Words(NamedTuple):
    """`vectors` (words, 256), whitened so that any prefix spans that of the raw vectors; `ratings` (words, 10)."""

    words: tuple[str, ...]
    vectors: np.ndarray
    ratings: np.ndarray


def check(parts: list[Part]) -> None:
    """Refuse parts whose packages are not installed."""
    for part in parts:
        absent = [name for name in NEEDS[part] if find_spec(name) is None]
        if absent:
            others = ",".join(p.value for p in parts if p != part) or "..."
            raise UserError(
                f"part {part.value} needs {', '.join(absent)}: pip install 'tlx[examples]', or choose parts=[{others}]."
            )


def _inside(package: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"{package} is not installed: pip install 'tlx[examples]'.")
    return Path(found.submodule_search_locations[0])


@functools.cache
def words() -> Words:
    """Words of letters only, longer than two, that VADER's raters judged, each the mean of its tokens' vectors."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    root = _inside("wordllama")
    (table,) = load_file(root / "weights" / "l2_supercat_256.safetensors").values()
    tokenizer = Tokenizer.from_file(str(root / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    names, ratings = [], []
    for line in (_inside("vaderSentiment") / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines():
        entry = line.split("\t")
        if len(entry) >= 4 and entry[0].isascii() and entry[0].isalpha() and len(entry[0]) > 2:
            names.append(entry[0])
            ratings.append(json.loads(entry[3]))
    tokens = [found.ids for found in tokenizer.encode_batch(names, add_special_tokens=False)]
    vectors = np.stack([table[ids].astype(float).mean(axis=0) for ids in tokens])
    vectors -= vectors.mean(axis=0)
    factor = np.linalg.cholesky(vectors.T @ vectors / len(vectors))  # lower: prefixes keep their span
    return Words(tuple(names), np.linalg.solve(factor, vectors.T).T, np.asarray(ratings, dtype=float))


class Elements(NamedTuple):
    """Symbols, a property (elements,), and representation -> (elements, k) with unit variance in every column."""

    symbols: tuple[str, ...]
    labels: np.ndarray
    features: dict[str, np.ndarray]


@functools.cache
def elements(name: str) -> Elements:
    """The elements that have the property and are in every representation; labels have mean 0 and variance 1."""
    data = _inside("elementembeddings") / "data"
    text = (data / "element_data" / "periodic-table-lookup-symbols.json").read_text(encoding="utf-8")
    values = {symbol: entry[PROPERTIES[name]] for symbol, entry in json.loads(text).items()}
    tables = {key: _representation(data / "element_representations" / file) for key, file in REPRESENTATIONS.items()}
    symbols = tuple(s for s, v in values.items() if v is not None and all(s in table for table in tables.values()))
    labels = np.array([float(values[symbol]) for symbol in symbols])
    features = {key: _scaled(np.array([table[s] for s in symbols])) for key, table in tables.items()}
    return Elements(symbols, _scaled(labels[:, None])[:, 0], features)


def _representation(path: Path) -> dict[str, list[float]]:
    if path.suffix == ".json":
        return {symbol: list(map(float, vector)) for symbol, vector in json.loads(path.read_text("utf-8")).items()}
    with open(path, newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    return {row[0]: [float(entry) for entry in row[1:]] for row in rows[1:] if row}


def _scaled(columns: np.ndarray) -> np.ndarray:
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    keep = spread > 1e-9
    return centred[:, keep] / spread[keep]


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels (1797, 64) of mean zero and mean square one, and the digits (1797,)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = found.data / 16 - np.mean(found.data / 16, axis=0)
    return (pixels / np.sqrt(np.mean(pixels**2))).astype(np.float32), found.target.astype(np.int32)
