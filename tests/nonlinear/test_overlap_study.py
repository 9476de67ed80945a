"""The overlap study, at smoke size."""

import numpy as np
import pytest

import experiments

SMALL = ["ensemble.num_instances=1", "task.dim=6", "task.num_neurons=4", "network.width=12", "num_test=1000"]
SMALL += ["optimizer.num_steps=100", "pretraining.num_steps=500", "standard_num_steps=50", "grid.fractions=[0,1]"]


@pytest.mark.extended
@pytest.mark.slow
def test_linear_transfer_follows_one_line_over_networks(tmp_path):
    grid = ["grid.networks=[mean_field-2-relu,standard-3-tanh]", "grid.families=[rotation]"]
    data = experiments.run("overlap", [*SMALL, *grid], directory=tmp_path, quiet=True)
    assert (tmp_path / "overlap.png").stat().st_size > 10_000
    assert data.risk.dims == ("protocol", "network", "family", "fraction", "instance")
    slope, _, explained = np.asarray(data.attrs["line_linear_transfer"])
    assert abs(slope - 1) < 0.2
    assert explained > 0.9


def test_a_misspelt_network_is_one_message(tmp_path):
    with pytest.raises(ValueError, match="scaling"):
        experiments.run("overlap", [*SMALL, "grid.networks=[deep-relu]"], directory=tmp_path, quiet=True)
