"""The tails and quantiles that the analyses use are those of scipy.stats."""
import numpy as np
import pytest
from scipy import stats

from hpcnemd.analysis.distributions import chi2_ppf, chi2_sf, f_ppf, f_sf, t_ppf, t_sf

X, P, DOF = (1e-3, 0.7, 3.0, 40.0), (1e-6, 0.025, 0.3, 0.975), (1, 2, 5.7, 240.0, 1e5)


@pytest.mark.parametrize("dof", DOF)
def test_tails_and_quantiles(dof):
    for x in X:
        assert chi2_sf(x, dof) == pytest.approx(stats.chi2.sf(x, dof), rel=1e-9, abs=1e-300)
        assert t_sf(x, dof) == pytest.approx(stats.t.sf(x, dof), rel=1e-9, abs=1e-300) and t_sf(-x, dof) == pytest.approx(stats.t.sf(-x, dof), rel=1e-9)
        assert f_sf(x, dof, 7.5) == pytest.approx(stats.f.sf(x, dof, 7.5), rel=1e-9, abs=1e-300)
    for p in P:
        assert chi2_ppf(p, dof) == pytest.approx(stats.chi2.ppf(p, dof), rel=1e-9)
        assert t_ppf(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-9)
        assert f_ppf(p, dof, 7.5) == pytest.approx(stats.f.ppf(p, dof, 7.5), rel=1e-9)


def test_ends_of_the_range():
    assert chi2_sf(0.0, 3) == 1.0 and chi2_sf(np.inf, 3) == 0.0 and t_sf(np.inf, 4) == 0.0 and f_sf(np.inf, 2, 5) == 0.0
    assert t_ppf(0.975, np.inf) == pytest.approx(1.959964, rel=1e-6) and np.isnan(t_ppf(0.975, np.nan)) and np.isnan(chi2_sf(np.nan, 2))
