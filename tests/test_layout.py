"""The house rules, read off the source: who may import whom, what a package's face holds, file sizes."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TLX = sorted((ROOT / "tlx").rglob("*.py"))
assert TLX[0].name == "__init__.py"  # the face of tlx, which hands everything on
PLUMBING_ONLY = {"hydra", "omegaconf", "matplotlib", "xarray", "rich"}
COMPARES = {"theory", "planner"}  # all that may import tlx.theory: itself, and what advises before any training


def imported(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(names):
    return {name.split(".")[0] for name in names}


def tlx_modules(names):
    return {name.split(".")[1] for name in names if name.startswith("tlx.")}


@pytest.mark.parametrize("path", TLX, ids=lambda p: str(p.relative_to(ROOT)))
def test_tlx_knows_neither_configuration_nor_disk_nor_plots(path):
    assert not top(imported(path)) & (PLUMBING_ONLY | {"experiments"})


@pytest.mark.parametrize("path", [p for p in TLX if "theory" in p.parts], ids=lambda p: p.name)
def test_theory_imports_no_simulation(path):
    names = imported(path)
    assert tlx_modules(names) <= {"_checks", "glossary", "theory"}
    assert top(names) <= {"tlx", "jax", "numpy", "jaxtyping", "math", "functools", "collections", "typing"}


@pytest.mark.parametrize(
    "path", [p for p in TLX[1:] if not COMPARES & set(p.parts)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_simulation_imports_no_theory(path):
    assert "theory" not in tlx_modules(imported(path))


def modules():
    """Every module of the project, and those of the project that it imports, inside functions too."""
    files = {p: ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
             for package in ("tlx", "experiments", "benchmarks") for p in (ROOT / package).rglob("*.py")}  # fmt: skip
    known = set(files.values())
    out = {}
    for path, name in files.items():
        found = imported(path) | {part.rpartition(".")[0] for part in imported(path)}
        out[name] = {other for other in found & known if other != name and not name.startswith(f"{other}.")}
    return out


def test_imports_go_round_in_no_circle():
    order = graphlib.TopologicalSorter({name: found for name, found in modules().items() if name != "tlx"})
    assert len(list(order.static_order())) > 100  # a circle raises, and names who is in it


@pytest.mark.parametrize("path", [p for p in TLX if "ensemble" not in p.parts], ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_ensemble_spreads_lanes_over_devices(path):
    names = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
    assert not names & {"pmap", "shard_map", "make_mesh", "device_put", "local_devices"}


FACES = [p for package in ("tlx", "experiments") for p in sorted((ROOT / package).rglob("__init__.py"))]


@pytest.mark.parametrize("path", FACES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_package_face_only_hands_names_on(path):
    for node in ast.parse(path.read_text()).body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        version = isinstance(node, ast.Assign) and node.targets[0].id == "__version__"
        # the face of experiments fetches its three functions when asked: importing one part of it stays light
        lazy = path == ROOT / "experiments/__init__.py" and isinstance(node, ast.FunctionDef | ast.ImportFrom)
        assert docstring or version or lazy or isinstance(node, ast.ImportFrom), ast.dump(node)


DOORS = {f"experiments/running/{name}.py" for name in ("api", "study", "custom")}  # by name; unpickled; one's own


def test_only_the_doors_look_anything_up_by_name():
    for path in (ROOT / "experiments").rglob("*.py"):
        if str(path.relative_to(ROOT)) not in DOORS:
            names = imported(path)
            assert not {"importlib", "importlib.import_module", "pkgutil", "pkgutil.resolve_name"} & names, path


def test_what_runs_a_study_knows_no_study():
    """Nothing under running/ imports a family, a figure or a command; figures and families import no command."""
    commands = {path.stem for path in (ROOT / "experiments").glob("*.py")}
    for path in (ROOT / "experiments").rglob("*/*.py"):
        parts = {name.split(".")[1] for name in imported(path) if name.startswith("experiments.")}
        assert not parts & commands, path
        if path.parent.name == "running":
            assert parts <= {"running"}, path


def test_import_tlx_alone_reaches_every_public_module():
    names = [
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for p in TLX
        if p.parent == ROOT / "tlx" or p.name == "__init__.py"
    ]
    public = [name for name in names if not any(part.startswith("_") for part in name.split("."))]
    reached = [*public, "tlx.linear.engines.engine", "tlx.theory.scratch_risk", "tlx.kernels.relu_gram"]
    assert len(reached) > 15
    subprocess.run([sys.executable, "-c", f"import tlx\n{'; '.join(reached)}"], check=True, cwd=ROOT)


def test_importing_tlx_starts_no_backend():
    code = "import tlx, tlx.theory, tlx.ensemble, tlx.linear.lanes, jax; assert not jax._src.xla_bridge._backends"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.alone
def test_importing_tlx_costs_little():
    """At most .5 s more than jax, flax and optax, every public module included (best of three processes)."""
    code = (
        "import time, jax, flax, flax.nnx, optax, scipy.special\n"
        "begin = time.perf_counter()\n"
        "import tlx, tlx.theory, tlx.ensemble, tlx.linear.engines, tlx.kernels\n"
        "import tlx.nonlinear.overlap, tlx.discrepancy, tlx.planner\n"
        "print(time.perf_counter() - begin)"
    )
    command = [sys.executable, "-c", code]
    seconds = [float(subprocess.run(command, check=True, cwd=ROOT, capture_output=True).stdout) for _ in range(3)]
    assert min(seconds) <= 0.5, seconds
