"""python -m experiments.plan: files in, one table, one page and one line out, and refusals that name the place."""

import subprocess
import sys

import numpy as np
import pytest

from experiments import plan
from experiments.advice import command, reading
from experiments.running.study import UserError

pytestmark = pytest.mark.filterwarnings("error")


def arrays():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 12))
    return {"X": inputs, "y": inputs[:, 0] + 0.3 * rng.normal(size=40), "source": np.eye(12)[0]}


def saved(path, **changes):
    np.savez(path, **{name: value for name, value in {**arrays(), **changes}.items() if value is not None})
    return path


def text(delimiter=",", mark=".", end="\n"):
    """The pilot as text, with a header and the last column the label."""
    found = arrays()
    rows = [[*(f"x{i}" for i in range(12)), "y"]]
    rows += [[f"{v:.17g}".replace(".", mark) for v in row] for row in np.column_stack([found["X"], found["y"]])]
    return "\n".join(delimiter.join(row) for row in rows) + end


def pilot_of(path, content, encoding="utf-8", **options):
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return reading.read(path, **options)


def config(*words):
    return command.typed(plan.PLAN, [command.quoted(plan.PLAN, word) for word in words])


def called(*words):
    done = subprocess.run([sys.executable, "-m", "experiments.plan", *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_command_ends_with_its_advice_and_leaves_a_page(tmp_path):
    file = saved(tmp_path / "a pilot (1), of May.npz")
    code, said, complaint = called(f"data={file}", f"hydra.run.dir={tmp_path / 'out'}", "num_samples=1e3", "seed=1")
    assert code == 0, complaint
    names = ("scratch", "linear_transfer", "fine_tuning", "undecided")
    assert said.strip().splitlines()[-1] in [f"recommendation: {m}" for m in names]
    assert (tmp_path / "out" / "plan.png").stat().st_size > 10_000
    assert (tmp_path / "out" / "plan.pdf").exists()
    page = (tmp_path / "out" / "plan.html").read_text()
    assert "data:image/png;base64" in page
    assert 'src="http' not in page


@pytest.mark.slow
def test_bad_input_is_one_sentence_and_code_2(tmp_path):
    (tmp_path / "hole.csv").write_text(text().replace("\n", "\n\n", 1))
    for words, part in (
        ([f"data={tmp_path / 'hole.csv'}"], "row 2 (the header is row 1), column 'x0' is missing"),
        (["depht=2"], "Did you mean depth?"),
    ):
        code, said, complaint = called(*words, f"hydra.run.dir={tmp_path / 'no'}")
        assert (code, said) == (2, "")
        assert complaint.count("\n") == 1
        assert part in complaint
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_a_run_prints_its_table_within_80_columns_and_escapes_what_it_shows(tmp_path, capsys):
    file = tmp_path / "<b>&.csv"
    file.write_text(text())
    np.savetxt(tmp_path / "source.txt", arrays()["source"])
    own = config(f"data={file}", f"source={tmp_path / 'source.txt'}", "confidence=0.8", "tolerance=0.1")
    plan.run(own, tmp_path / "out", "python -m experiments.plan 'data=<b>&.csv'")
    said = capsys.readouterr().out
    table = said[said.index("method ") : said.index("Notes")]
    assert max(map(len, table.splitlines())) <= 80
    assert "utf-8, separated by commas, header in row 1, 40 rows of 13 columns" in said
    page = (tmp_path / "out" / "plan.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;.csv" in page


def test_what_is_asked_for_reaches_the_planner(tmp_path):
    pilot = reading.read(saved(tmp_path / "pilot.npz"))
    one = plan.advise(pilot, config("data=x.npz", "confidence=0.5"))
    two = plan.advise(pilot, config("data=x.npz", "confidence=1.0", "tolerance=0.0", "num_samples=1000000000000000"))
    assert one.recommendation != "undecided"
    assert two.recommendation == "undecided"
    assert two.num_samples == 10**15


@pytest.mark.parametrize("tail", ["\n", "", "\n\n", "\n ; \n"[:1] + "\r\n"])
@pytest.mark.parametrize(
    ("name", "delimiter", "mark", "encoding", "said"),
    [
        ("a.csv", ",", ".", "utf-8", "utf-8, separated by commas"),
        ("a.csv", ";", ".", "utf-8-sig", "utf-8-sig, separated by semicolons,"),
        ("a.csv", ";", ",", "latin-1", "separated by semicolons, decimal commas"),
        ("a.tsv", "\t", ".", "utf-16", "utf-16, separated by tabs"),
        ("a.csv", ",", ".", "utf-16-le", "utf-16-le, separated by commas"),
        ("a.txt", " ", ".", "utf-8", "separated by spaces"),
    ],
)
def test_however_it_is_written_it_says_the_same(tmp_path, name, delimiter, mark, encoding, said, tail):
    pilot = pilot_of(tmp_path / name, text(delimiter, mark, tail), encoding)
    np.testing.assert_array_equal(pilot.arrays["X"], arrays()["X"])
    np.testing.assert_array_equal(pilot.arrays["y"], arrays()["y"])
    assert said in pilot.remarks[0]
    assert "header in row 1, 40 rows of 13 columns" in pilot.remarks[0]


def test_parquet_says_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    found = arrays()
    frame = pd.DataFrame(found["X"], columns=[f"x{i}" for i in range(12)]).assign(y=found["y"])
    frame.to_parquet(tmp_path / "a.parquet")
    np.testing.assert_array_equal(reading.read(tmp_path / "a.parquet").arrays["X"], found["X"])
    frame.loc[6, "x3"] = np.nan
    frame.to_parquet(tmp_path / "b.parquet")
    frame.fillna(0).assign(x4="word").to_parquet(tmp_path / "c.parquet")
    (tmp_path / "d.parquet").write_text("no")
    for name, part in {"b": "row 7, column 'x3' is missing", "c": "column 'x4' holds", "d": "not a Parquet"}.items():
        with pytest.raises(UserError, match=part):
            reading.read(tmp_path / f"{name}.parquet")


def test_features_an_index_column_and_no_header(tmp_path):
    rows = text().splitlines()
    numbered = [("," if i == 0 else f"{i},") + row for i, row in enumerate(rows)]
    pilot = pilot_of(tmp_path / "r.csv", "\n".join(numbered).replace("x11", "feature_0"))
    assert pilot.arrays["X"].shape == (40, 11)
    assert pilot.arrays["features"].shape == (40, 1)
    assert "numbers the rows and is left out" in pilot.remarks[0]
    pilot = pilot_of(tmp_path / "bare.csv", "\n".join(rows[1:]), label="column_13")
    assert "no header" in pilot.remarks[0]
    np.testing.assert_array_equal(pilot.arrays["y"], arrays()["y"])
    accents = pilot_of(tmp_path / "latin.csv", text().replace("x0", "Größe"), "latin-1")
    assert "latin-1" in accents.remarks[0]


BODY = "4,5,6\n7,8,10\n9,1,2\n"
BAD_TEXT = {
    "a,b,y\n1,,3\n" + BODY: r"row 2 \(the header is row 1\), column 'b' is missing",
    "a,b,y\n1,NA,3\n4,nan,6\n7,8,9\n": "row 2 .*missing, and 1 more in this column",
    "a,b,y\n" + BODY + "\n1,2,3\n": "row 5 .*column 'a' is missing",
    "a,b,y\n1,x,3\n" + BODY: r"row 2 .*column 'b': 'x' is text, not a number",
    "a,b,y\n1,2,cat\n" + BODY: "column 'y': 'cat' is text.*plan_network",
    "a,b,y\n1,2,1+2j\n" + BODY: "a complex number; give real numbers",
    "a,b,y\n1,inf,3\n" + BODY: "column 'b' is inf",
    "a,b,y\n1,2,3\n4,5,3\n7,8,3\n": "label column 'y' is constant .3.: there is nothing to learn",
    "a,b,y\n1,2,3\n1,5,4\n1,8,6\n": "column 'a' is constant",
    "a,b,y\n1,2\n" + BODY: "row 2 .*column 'y' is missing",
    "a,b,y\n1,2,3,4\n" + BODY: "Expected 3 fields in line 2, saw 4",
    "a,a,y\n1,2,3\n" + BODY: "two columns called 'a'",
    "a,,y\n1,2,3\n" + BODY: "column 2 has no name",
    "a,b,z\n" + BODY: r"no column 'y'; its columns are a, b, z. Name the label with label=NAME",
    "a,b,y\n1,2,3\n": "1 row.s. of data; at least 3",
    "y\n1\n2\n3\n": "no input column",
    "  \n": "is empty",
    "a,b\0,y\n" + BODY: "zero bytes",
}


@pytest.mark.parametrize(("content", "message"), BAD_TEXT.items(), ids=range(len(BAD_TEXT)))
def test_tables_that_are_not_numbers(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as refused:
        pilot_of(tmp_path / "bad.csv", content)
    assert "\n" not in str(refused.value)


def test_pickled_content_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    import pickle

    file = saved(tmp_path / "pilot.npz", y=np.array([Trap()] * 40, dtype=object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps([Trap()]))
    np.save(tmp_path / "source.npy", np.array([Trap()] * 12, dtype=object), allow_pickle=True)
    for call, message in (
        (lambda: reading.read(file), "'y' holds pickled objects, which are never loaded"),
        (lambda: reading.read(tmp_path / "bare.npz"), "never loaded"),
        (lambda: reading.numbers(tmp_path / "source.npy"), "never loaded"),
    ):
        with pytest.raises(UserError, match=message) as refused:
            call()
        assert "unsafe" not in str(refused.value)
        assert "allow_pickle" not in str(refused.value)
    assert not (tmp_path / "touched").exists()


def test_files_that_are_not_what_they_say(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", np.ones(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    (tmp_path / "pilot.doc").write_text("x")
    for name, message in {
        "text.npz": "not an .npz archive",
        "array.npz": "single array",
        "missing.npz": "not a file",
        "pilot.doc": "must end in .csv",
    }.items():
        with pytest.raises(UserError, match=message):
            reading.read(tmp_path / name)
    with pytest.raises(UserError, match="array 'y' is missing"):
        reading.read(saved(tmp_path / "half.npz", y=None))
    (tmp_path / "s.txt").write_text("1 2 three")
    with pytest.raises(UserError, match="is not a file of numbers"):
        reading.numbers(tmp_path / "s.txt")


HOLE = arrays()["X"].copy()
HOLE[6, 2] = np.nan
DEAD = arrays()["X"].copy()
DEAD[:, 4] = 0
DOUBLE = arrays()["X"].copy()
DOUBLE[:, 4] = DOUBLE[:, 3]
BAD_ARRAYS = [
    ({"y": np.array(["a"] * 40)}, "array 'y' holds text"),
    ({"y": 1j * arrays()["y"]}, "array 'y' holds complex numbers"),
    ({"y": np.ones(40)}, "y are constant"),
    ({"X": HOLE}, "array 'X' is missing or infinite in row 7, column 3 .from 1."),
    ({"X": DEAD}, "column 4 is constant"),
    ({"source": np.ones(5)}, "X have 12 columns"),
    ({"source": None, "features": np.zeros((40, 2))}, "constant|zero|rank"),
    ({"source": None, "features": np.outer(arrays()["y"], [1, 2])}, "rank|repeat|depend"),
    ({"y": arrays()["y"][:-1]}, "one label a row"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS, ids=range(len(BAD_ARRAYS)))
def test_arrays_that_do_not_fit(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as refused:
        plan.advise(reading.read(saved(tmp_path / "pilot.npz", **changes)), config("data=pilot.npz"))
    assert "\n" not in str(refused.value)


def test_a_repeated_column_is_named(tmp_path):
    advice = plan.advise(reading.read(saved(tmp_path / "pilot.npz", X=DOUBLE)), config("data=pilot.npz"))
    assert any("distinct" in check.name for check in advice.broken)


BAD_WORDS = {
    "depth=nan": "depth = nan",
    "depth=0": "depth = 0",
    "depth=-1": "depth = -1",
    "num_samples=0": "num_samples = 0",
    "num_samples=2.5": "whole number",
    "num_samples=many": "whole number",
    "confidence=1.5": "confidence = 1.5",
    "tolerance=-1": "tolerance = -1",
    "coverage=2": "coverage = 2",
    "covariance=round": "covariance",
    "seed=-1": "seed = -1",
}


@pytest.mark.parametrize(("word", "message"), BAD_WORDS.items())
def test_options_out_of_range(tmp_path, word, message):
    with pytest.raises(UserError, match=message) as refused:
        plan.advise(reading.read(saved(tmp_path / "pilot.npz")), config("data=pilot.npz", word))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("count", [10**7, 10**15, 10**24])
def test_any_number_of_rows_may_be_planned(tmp_path, count):
    pilot = reading.read(saved(tmp_path / "pilot.npz"))
    advice = plan.advise(pilot, config("data=pilot.npz", f"num_samples={count}"))
    assert advice.num_samples == count


@pytest.mark.parametrize("words", [["dta=x.npz"], ["depth=two"], ["seed=1.5"], ["experiment=demo"]])
def test_words_that_are_not_understood(words):
    with pytest.raises(UserError) as refused:
        config(*words)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="give data=FILE"):
        plan.load(config())
