"""Faults in the nonlinear networks, the ensemble, the planner, and in what runs studies."""

from tests.mutants.fault import Fault


def _tlx(package: str):
    def fault(name: str, module: str, old: str, new: str, first: str) -> Fault:
        tests = f"tests/{package}"
        return Fault(name, f"tlx/{package}/{module}.py", old, new, tests, f"{tests}/test_{first}.py")

    return fault


def _running(name: str, module: str, old: str, new: str, first: str) -> Fault:
    place = "tests/running"
    return Fault(name, f"experiments/running/{module}.py", old, new, place, f"{place}/test_{first}.py")


_nonlinear, _ensemble, _planner = map(_tlx, ("nonlinear", "ensemble", "planner"))

NONLINEAR = [
    _nonlinear("ridge overlap counts the ridge once", "overlap", "(basis.eigenvalues + 2 * ridge) / safe**2",
               "(basis.eigenvalues + ridge) / safe**2", "overlap"),
    _nonlinear("cut-off relative to the least eigenvalue", "overlap", "cutoff * basis.eigenvalues[-1]",
               "cutoff * basis.eigenvalues[0]", "overlap"),
    _nonlinear("features not divided by the width", "overlap", "/ scale**2\n", "/ scale\n", "overlap"),
    _nonlinear("jackknife error without its factor", "overlap", "jnp.sqrt((NUM_BLOCKS - 1) / NUM_BLOCKS * spread)",
               "jnp.sqrt(spread / NUM_BLOCKS)", "overlap"),
    _nonlinear("failed pretraining counts as usable", "protocols", "jnp.where(good & ok, risk(",
               "jnp.where(ok, risk(", "protocols"),
    _nonlinear("failed scratch lane keeps its number", "protocols", "jnp.where(usable(result.status), risk(",
               "jnp.where(result.status < 99, risk(", "protocols"),
    _nonlinear("LP-FT starts where fine-tuning does", "protocols",
               "jnp.stack(leaves), prepared.weights, linear)",
               "jnp.stack(leaves), prepared.weights, prepared.weights)", "protocols"),
    _nonlinear("the next smaller sample size", "data", "jax.lax.switch(jnp.asarray(index), [",
               "jax.lax.switch(jnp.asarray(index) - 1, [", "fit"),
    _nonlinear("every sample size at once on accelerators", "lanes",
               "sample_of, scratch, lanes, sizes, (setting, key), side_by_side=False",
               "sample_of, scratch, lanes, sizes, (setting, key), side_by_side=True", "fit"),
    _nonlinear("calm trainings at the rate that was asked for", "fit", "if calm else optimizer",
               "if not calm else optimizer", "fit"),
    _nonlinear("label noise of the target dropped", "data", "+ noise_std * jax.random.normal(noise_key",
               "+ 0 * noise_std * jax.random.normal(noise_key", "protocols"),
    _nonlinear("the mean of a mixture over one network", "teachers", "2 * weights)", "weights)",
               "mean_field"),
    _nonlinear("rotation the wrong way round", "teachers", "jnp.cos(angle) * target.neurons + jnp.sin(angle) * other",
               "jnp.sin(angle) * target.neurons + jnp.cos(angle) * other", "mean_field"),
    _nonlinear("alignment without the square of the kernel", "alignment",
               "gram(one.neurons, other.neurons) ** 2 @", "gram(one.neurons, other.neurons) @", "alignment"),
]  # fmt: skip

ENSEMBLE = [
    _ensemble("groups start one lane late", "program", "leaf, group * together, together)",
              "leaf, group * together + 1, together)", "ensemble"),
    _ensemble("results overwrite each other", "program", "(whole, part, group * together, 0)",
              "(whole, part, group, 0)", "ensemble"),
    _ensemble("padding lanes returned as lanes", "run", "np.concatenate(parts)[:total]", "np.concatenate(parts)",
              "ensemble"),
    _ensemble("devices' lanes out of order", "run", "by_device[:, : groups * layout.together].reshape(",
              "by_device[::-1, : groups * layout.together].reshape(", "ensemble"),
    _ensemble("lanes of another shape taken from a journal", "watch", "if leaf.ndim] != shapes:",
              "if leaf.ndim] != shapes and False:", "ensemble"),
    _ensemble("kept lanes computed again", "run", "begin = min(len(before[0]), total) if before else 0", "begin = 0",
              "ensemble"),
    _ensemble("memory limit not looked at", "compiled", "allowed is None or needed <= allowed", "True", "ensemble"),
    _ensemble("lane axes of unequal length", "run", "len(lengths) == 1 and None not in lengths, f", "True, f",
              "ensemble"),
]  # fmt: skip

PLANNER = [
    _planner("signal power with the rows' own squares", "moments", "(total @ total - own)", "(total @ total)",
             "planner"),
    _planner("noise power of the whole label", "moments", "float(np.mean(labels**2)) - signal_power(inputs, labels)",
             "float(np.mean(labels**2))", "planner"),
    _planner("overlap by the count of rows", "moments", "float(labels @ along / (along @ along))",
             "float(labels @ along / len(labels) / 2)", "planner"),
    _planner("leave-one-out without the leverage", "leave_one_out", "free, 1.0)[:, :, None], np.nan)\n\n\n",
             "1.0, 1.0)[:, :, None], np.nan)\n\n\n", "leave_one_out"),
    _planner("the largest held-out error is tuned for", "leave_one_out", "best = int(np.argmin(",
             "best = int(np.argmax(", "leave_one_out"),
    _planner("tolerance against the method's favour", "predictions", "usable <= (1 + tolerance) * best",
             "usable <= (1 - tolerance) * best", "planner"),
    _planner("source ridge priced as scratch", "predictions", "rest + (noise**2 + rest) * width / room", "rest",
             "assumptions"),
    _planner("nobody is ever undecided", "recommendation", "shares[leading] >= confidence else", "True else",
             "planner"),
    _planner("representations weighted by their errors", "representations", "(share / (1 - share)) ** 2",
             "(1 - share) ** 2", "representations"),
    _planner("predictions without the features' means", "representations", "Linear(level - offset", "Linear(level",
             "representations"),
    _planner("weights found with the rows that are held out", "representations",
             "        _, fit = _together({name: one[0] for name, one in both.items()}, labels[train])",
             "        every = np.arange(count)\n"
             "        whole = {key: _centred(gram, every, every)[0] for key, gram in grams.items()}\n"
             "        weights = _together(whole, labels)[1].weights\n"
             "        fit = _fitted({name: one[0] for name, one in both.items()}, weights, labels[train])[0]",
             "representations"),
    _planner("contradiction of theory ignored", "assumptions", "abs(z) > CONTRADICTION else", "abs(z) < 0 else",
             "assumptions"),
]  # fmt: skip

RUNNING = [
    _running("checksum of a unit not looked at", "store", 'receipt["sha256"] != hashlib.sha256(content).hexdigest()',
             "False", "units"),
    _running("length of a unit not looked at", "store", 'receipt["bytes"] != len(content)', "False", "units"),
    _running("a copy of a unit passes for another", "store", 'receipt["unit"] != name', "False", "identity"),
    _running("another configuration under a name", "store",
             'unit_name(receipt["study"], receipt["science"], receipt["axes"]) != name', "False", "identity"),
    _running("missing cells are zero", "store", "fill = np.nan if np.issubdtype(values.dtype, np.floating) else -1",
             "fill = 0", "units"),
    _running("arrays need not fill their axes", "unit_file", "lengths == tuple(shape) else", "True else", "identity"),
    _running("checksum of a checkpoint not looked at", "checkpoint",
             "hashlib.sha256(content[DIGEST:]).hexdigest().encode() != content[:DIGEST]", "False", "survival"),
    _running("checkpoint of another unit taken up", "checkpoint", "if label != _label(path):", "if False:",
             "survival"),
    _running("stale claims live for ever", "claims", "> STALE_SECONDS\n", "> 1e9\n", "claims"),
    _running("claims of live processes are stale", "claims", "if is_here(found) and is_gone(found):",
             "if is_here(found):", "claims"),
    _running("a claim is released by anybody", "claims", '.get("token") == self.me["token"]',
             '.get("token") != ""', "claims"),
    _running("shards overlap", "study", "every[index::count]", "every[index:]", "units"),
    _running("merged axes swapped", "merging", "whole[name][1][np.ix_(*at, *own)] = array.values",
             "whole[name][1][np.ix_(*at, *own)] = array.values[::-1]", "collect"),
    _running("a unit that is missing is not named", "merging", "if arrays is None:\n                missing.append",
             "if arrays is None:\n                str", "collect"),
    _running("files are written in place", "files", "os.replace(beside, path)\n    except",
             "path.write_bytes(content)\n    except", "survival"),
    _running("a killed job still runs", "status", 'f"killed while {state}" if state in LIVE and not live else state',
             "state", "status"),
]  # fmt: skip
