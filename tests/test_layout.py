"""The house rules, read off the source: who may import whom, what a package's face holds, file sizes."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.running import api
from experiments.running.study import UserError

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


FILES = [p for package in ("tlx", "experiments", "benchmarks") for p in sorted((ROOT / package).rglob("*.py"))]
LOOKS_UP = {"import_module", "resolve_name", "__import__"}


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def looked_up(path):
    """How the names begin that a module imports by name: the constant part; "" where all of it comes from outside."""
    begins = set()
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func if isinstance(node, ast.Call) else None
        if getattr(called, "attr", getattr(called, "id", None)) in LOOKS_UP:
            text = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            begins.add(text.value if isinstance(text, ast.Constant) else "")
    return begins


def studies():
    """The commands that hold a study."""
    classes = [(path, node) for path in sorted((ROOT / "experiments").rglob("*.py"))
               for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]  # fmt: skip
    holds = {"Study"}
    for _ in range(4):  # studies of studies
        found = [(path, node) for path, node in classes if holds & {getattr(b, "id", "") for b in node.bases}]
        holds |= {node.name for _, node in found}
    return {dotted(path) for path, _ in found if path.parent.name == "experiments"}


def modules():
    """Every module of the project, and those of the project that it imports: inside functions and by name too."""
    known, out = {dotted(path) for path in FILES}, {}
    others = {f"experiments.{name}" for name in api.NO_STUDIES}  # turned away before they are looked up
    for path in FILES:
        name, names = dotted(path), imported(path)
        found = names | {part.rpartition(".")[0] for part in names}
        found |= {other for begin in looked_up(path) - {""} for other in known - others if other.startswith(begin)
                  and "." not in other.removeprefix(begin)}  # fmt: skip
        out[name] = {other for other in found & known if other != name and not name.startswith(f"{other}.")}
    return out


def test_studies_are_the_commands_that_hold_one():
    assert {f"experiments.{name}" for name in api.studies()} == studies()
    for name in api.NO_STUDIES:
        with pytest.raises(UserError, match="there is no study called"):
            api.find(name)


def test_imports_go_round_in_no_circle():
    order = graphlib.TopologicalSorter({name: found for name, found in modules().items() if name != "tlx"})
    assert len(list(order.static_order())) > 100  # a circle raises, and names who is in it
    assert "experiments.phase_diagram" in modules()["experiments.running.api"]  # what is looked up by name counts


def test_names_from_outside_are_resolved_at_the_doors_alone():
    """Of the names that are no constant: what a pickle says, and what a user asks for."""
    found = {str(path.relative_to(ROOT)) for path in FILES if "" in looked_up(path)}
    assert found <= DOORS, found


def test_no_private_name_is_imported_from_another_package():
    """What begins with an underscore is for the package that holds it, and for those inside that."""
    for path in FILES:
        place = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
        for name in imported(path):
            parts = name.split(".")
            hidden = next((i for i, part in enumerate(parts) if part.startswith("_") and not part.endswith("__")), None)
            if hidden and parts[0] in ("tlx", "experiments", "benchmarks"):
                holder = ".".join(parts[:hidden])
                assert f"{place}.".startswith(f"{holder}."), f"{path} imports {name}"


def bodies(tree):
    """(name, lines without the docstring) of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            rest = node.body[1:] if said else node.body
            yield node.name, rest[-1].end_lineno - rest[0].lineno + 1 if rest else 0


def test_files_and_functions_are_short():
    for path in [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]:
        text = path.read_text()
        assert text.count("\n") <= 300, f"{path} has {text.count(chr(10))} lines"
        if path in FILES:
            longest = max(bodies(ast.parse(text)), key=lambda one: one[1], default=("", 0))
            assert longest[1] <= 45, f"{path}: the body of {longest[0]} has {longest[1]} lines"


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
        # these fetch what they hand on when it is asked for: importing one part of them stays light
        parts = ast.FunctionDef | ast.Import | ast.If | ast.Assign
        lazy = path.parent in (ROOT / "experiments", ROOT / "tlx", ROOT / "tlx/networks") and isinstance(node, parts)
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
