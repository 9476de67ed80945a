"""One labelled data set from the units of any number of jobs, shards and directories, and the figures drawn from it.

python -m experiments.collect DIR [DIR ...] --output DIR        (hydra.run.dir=DIR means the same)

Looks below every DIR for jobs (their configuration) and units. Jobs that differ only in their grid or shard are merged
on the union of their axes; where jobs differ in anything else (depth, noise, seed, ...) that becomes a dimension of its
own. Cells without a finished unit stay NaN (integers -1) and are listed; nothing is ever filled in or computed.

Whatever could not be taken in (a configuration that cannot be read, is of no study here or asks for values from outside
itself, a job without a finished unit) is listed with its reason, in the attribute `omitted` too. The exit code is 1 if
anything is missing or omitted, 2 if nothing can be collected.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from experiments.running import api, console, help, results
from experiments.running import study as studies
from experiments.running.compose import slug
from experiments.running.compute import Outcome
from experiments.running.jobs import Found, Job, find
from experiments.running.merging import Gathered, Group, differences, gathered, groups, stacked, varying
from experiments.running.start import start_jax
from experiments.running.store import StoreError
from experiments.running.study import Study, UserError


def collect(
    directories: list[Path], output: Path, figures: list[str] | None = None, own: Sequence[Study] = ()
) -> xr.Dataset:
    """Merge, report what is missing or left out, and write results.nc, summary.json and figures to `output`.

    `own` are studies that are not commands of this package.

    Raises:
        UserError: nothing can be collected; the message lists why for every job.
    """
    for directory in directories:
        if not directory.is_dir():
            raise UserError(f"{directory} is not a directory; name the output directories of jobs, or one above them.")
    known = {study.name: study for study in (*map(api.find, api.studies()), *own)}
    found = find(directories, known)
    if not found.jobs:
        raise _nothing(f"no job of a study lies below {', '.join(map(str, directories))}.", found)
    names = sorted({one.config.study for one in found.jobs})
    if len(names) > 1:
        raise UserError(f"these directories hold jobs of several studies ({', '.join(names)}); collect one at a time.")
    study = known[names[0]]
    start_jax(found.jobs[0].config)
    every = groups(_sound(study, found))
    done = [(group, part) for group in every if (part := _gathered(study, group, every, found)) is not None]
    if not done:
        raise _nothing(f"{len(found.jobs)} jobs, but no finished unit; run them first.", found)
    studies.writable(output)
    data = _write(study, output, every, done, found, figures)
    data.attrs["omitted"] = "\n".join(found.omitted)
    for line in found.omitted:
        console.fail(f"left out: {line}")
    return data


def _nothing(reason: str, found: Found) -> UserError:
    return UserError("\n  ".join([reason, *found.omitted]))


def _sound(study: Study, found: Found) -> list[Job]:
    """The jobs whose configuration this version accepts; the others are noted."""
    sound = []
    for one in found.jobs:
        try:
            if not studies.units(study, one.config):
                raise ValueError("its grid is empty")
            sound.append(one)
        except (ValueError, TypeError, UserError) as error:
            found.omitted.append(f"{one.directory}: {str(error).splitlines()[0]}")
    return sound


def _gathered(study: Study, group: Group, every: list[Group], found: Found) -> Gathered | None:
    """A group's data, or None and a note for each of its jobs why not."""
    try:
        part = gathered(study, group, found.stores)
        if part.data is not None:
            return part
        why = f"no unit is finished of {differences(group, every)}{_others(group, found)}"
    except Exception as error:  # of units that anybody may have written; the other groups go on
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    found.omitted += [f"{one.directory}: {why}" for one in group.jobs]
    return None


def _others(group: Group, found: Found) -> str:
    """The units of other versions that lie where those of a group should."""
    own = {str(one.directory / "units") for one in group.jobs} | {one.config.store for one in group.jobs}
    others = [store.other_versions(()) for store in found.stores if str(store.directory) in own]
    told = [f"{count} of {version}" for other in others for version, count in other.items()]
    return f" (units of another version: {', '.join(told)})" if told else ""


def _write(
    study: Study,
    output: Path,
    every: list[Group],
    done: list[tuple[Group, Gathered]],
    found: Found,
    figures: list[str] | None,
) -> xr.Dataset:
    """A directory for every configuration, and one data set of all."""
    kept = []
    for group, part in done:
        place = output if len(every) == 1 else output / slug(differences(group, every))
        group.config.figures = figures
        try:
            chosen = results.chosen_figures(study, group.config)
            studies.writable(place)
            attributes = {"device": "; ".join(sorted(part.devices)), "command": " ".join(sys.argv)}
            results.finish(study, group.config, place, part.data, attributes, Outcome(), chosen)
        except (UserError, StoreError):
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            found.omitted.append(f"{place}: its results could not be drawn ({why})")
        kept.append((group, part))
    if len(every) == 1:
        return done[0][1].data
    return _write_stacked(study, output, every, kept, found)


def _write_stacked(
    study: Study, output: Path, every: list[Group], kept: list[tuple[Group, Gathered]], found: Found
) -> xr.Dataset:
    keys = varying(every)
    data = stacked(keys, [group for group, _ in kept], [part.data for _, part in kept])
    missing = [f"{differences(group, every)}: {line}" for group, part in kept for line in part.missing]
    there = [id(group) for group, _ in kept]
    missing += [f"{differences(group, every)}: nothing finished" for group in every if id(group) not in there]
    absent = int(np.prod([len(values) for values in keys.values()])) - len(every)
    missing += [f"{absent} combinations of {', '.join(keys)}, which no job was asked for"] if absent else []
    data.attrs = {"study": study.name, "missing": "\n".join(missing), "omitted": "\n".join(found.omitted)}
    studies.write_results(output, data, {})
    dimensions = ", ".join(f"{name} {size}" for name, size in data.sizes.items())
    console.say(f"{len(kept)} configurations in {output / 'results.nc'}: {dimensions}")
    for line in missing:
        console.say(f"  missing: {line}")
    return data


def main(own: Sequence[Study] = ()) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=help.Paragraphs)
    parser.add_argument(
        "directories", nargs="+", type=Path, metavar="DIR", help="output directories, or one above them"
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="where the merged results go (or hydra.run.dir=DIR)"
    )
    parser.add_argument("--figures", nargs="*", help="figures to draw (default: all of the study's)")
    arguments = parser.parse_args([word.replace("hydra.run.dir=", "--output=", 1) for word in sys.argv[1:]])
    try:
        data = collect(arguments.directories, arguments.output, arguments.figures, own)
    except (UserError, StoreError) as error:
        console.fail(str(error))
        raise SystemExit(2) from None
    raise SystemExit(1 if data.attrs.get("missing") or data.attrs.get("omitted") else 0)


if __name__ == "__main__":
    main()
