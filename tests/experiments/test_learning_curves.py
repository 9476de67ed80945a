"""Learning curves: the end of training is that of the phase diagram, and a minimum over noise is no gain."""

import json

import numpy as np
import pytest
import small
import xarray as xr

from experiments import learning_curves


def config(*overrides):
    return small.composed("learning_curves", [*small.SMALL["learning_curves"], *overrides])


def test_an_int_of_times_ends_with_training_and_is_even_in_the_logarithm():
    times = learning_curves.times(config("grid.times=5", "optimizer.num_steps=1000", "optimizer.momentum=0.5"))
    assert times[-1] == pytest.approx(1000 * 0.01 / 0.5)
    np.testing.assert_allclose(times[1:] / times[:-1], 10.0)


@pytest.mark.slow
def test_the_last_time_is_the_end_of_training(tmp_path):
    steps = ["optimizer.num_steps=40000", "task.noise_std=0.5", "ensemble.num_instances=4"]
    small.run("learning_curves", tmp_path, *steps, "engine=spectral", "optimizer.tolerance=1e-5")
    with xr.open_dataset(tmp_path / "results.nc") as data:
        assert data.risk_over_time.dims == ("protocol", "theta", "sample_ratio", "time", "instance")
        np.testing.assert_allclose(data.risk_over_time.isel(time=-1), data.risk, rtol=1e-3)
        spread = data.risk_over_time_mean.max("time") - data.risk_over_time_mean.min("time")
        assert np.all(spread.sel(protocol="fine_tuning") > 0.01)  # there is something to see
    assert "stopping at the best time" in json.loads((tmp_path / "summary.json").read_text())["notes"]


def test_stopping_early_is_judged_on_instances_that_did_not_choose():
    noise = np.random.default_rng(0).normal(size=(400, 30, 40))
    _, gain = learning_curves.early_stopping(noise)
    assert abs(np.mean(gain.mean)) < 4 * np.std(gain.mean) / np.sqrt(400)
    assert np.mean(noise[..., -1, :].mean(-1) - noise.mean(-1).min(-1)) > 0.2  # what the naive difference would claim
    dip = noise * 0.01 + np.where(np.arange(30) == 7, -1.0, 0.0)[:, None]
    best, gain = learning_curves.early_stopping(dip)
    assert np.all(best == 7)
    np.testing.assert_allclose(gain.mean, 1.0, atol=0.02)
