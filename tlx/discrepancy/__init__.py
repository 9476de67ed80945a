"""Distances between two tasks' joint laws p(x, y): phi-divergences and integral probability metrics."""

from tlx.discrepancy.chi_squared import chi_squared as chi_squared
from tlx.discrepancy.counterexamples import Counterexample as Counterexample
from tlx.discrepancy.counterexamples import close_but_negative as close_but_negative
from tlx.discrepancy.counterexamples import far_but_positive as far_but_positive
from tlx.discrepancy.dudley import dudley_bounds as dudley_bounds
from tlx.discrepancy.dudley import dudley_sample as dudley_sample
from tlx.discrepancy.hellinger import squared_hellinger as squared_hellinger
from tlx.discrepancy.jensen_shannon import jensen_shannon as jensen_shannon
from tlx.discrepancy.kullback_leibler import kullback_leibler as kullback_leibler
from tlx.discrepancy.laws import FunctionLaw as FunctionLaw
from tlx.discrepancy.laws import InputNodes as InputNodes
from tlx.discrepancy.laws import LinearLaw as LinearLaw
from tlx.discrepancy.laws import gauss_hermite_inputs as gauss_hermite_inputs
from tlx.discrepancy.laws import joint_points as joint_points
from tlx.discrepancy.laws import sampled_inputs as sampled_inputs
from tlx.discrepancy.maximum_mean_discrepancy import maximum_mean_discrepancy as maximum_mean_discrepancy
from tlx.discrepancy.maximum_mean_discrepancy import maximum_mean_discrepancy_sample as maximum_mean_discrepancy_sample
from tlx.discrepancy.renyi import renyi as renyi
from tlx.discrepancy.total_variation import total_variation as total_variation
from tlx.discrepancy.wasserstein import wasserstein_1_bounds as wasserstein_1_bounds
from tlx.discrepancy.wasserstein import wasserstein_2 as wasserstein_2
from tlx.discrepancy.wasserstein import wasserstein_sample as wasserstein_sample
