"""Free energies from simulation, in units of the caller's k_B T or energies: from U(T), from thermodynamic integration, and from work values.

Plain arrays in, (value, standard error) out. Compared with each other and with Cp integration they cross-check runs."""
import numpy as np

from .errors import NoEquilibrium, ThermoInputError


def from_energy(temperatures, energies, t0, f0, errors=None):
    """F at all `temperatures` (ascending, K) from U(T) measured there: F/T = F0/T0 - integral of U/T^2 dT, cubic spline in 1/T.

    With `errors` (standard errors of U, independent): (F, standard errors), by the linear weights of the same integral. t0 must be one of the temperatures.
    """
    from scipy.interpolate import CubicSpline
    t = np.asarray(temperatures, float)
    u = np.asarray(energies, float)
    if len(t) < 4 or np.any(np.diff(t) <= 0):
        raise ThermoInputError(f"temperatures: {len(t)} values; at least 4, ascending, are needed")
    at = int(np.argmin(np.abs(t - t0)))
    if abs(t[at] - t0) > 1e-9 * t0:
        raise ThermoInputError(f"t0 = {t0:g} K is not among the temperatures {t.tolist()}; add a run there, or start from one of them")
    beta = 1 / t[::-1]

    def integral(values):
        # d(F/T) = U d(1/T)
        primitive = CubicSpline(beta, values[::-1]).antiderivative()
        p = primitive(beta)[::-1]
        return p - p[at]
    f = t * (f0 / t0 + integral(u))
    if errors is None:
        return f
    weights = np.array([integral(np.eye(len(t))[k]) for k in range(len(t))])
    return f, t * np.sqrt(np.sum((weights * np.asarray(errors, float)[:, None]) ** 2, axis=0))


def thermodynamic_integration(nodes, weights, means, errors=None):
    """Delta F = integral of <dU/dlambda> d lambda by a quadrature: `nodes` in [0, 1] with `weights` (see `quadrature`), `means` there; with errors (value, error)."""
    value = float(np.dot(weights, means))
    if len(nodes) != len(means):
        raise ThermoInputError(f"{len(means)} means for {len(nodes)} nodes")
    return value if errors is None else (value, float(np.sqrt(np.dot(np.square(weights), np.square(errors)))))


def quadrature(points, power=1.0):
    """(lambda, weights): Gauss-Legendre in t with lambda = t^power. power = 3 resolves the end at which a bond is cut or a particle vanishes."""
    t, w = np.polynomial.legendre.leggauss(points)
    t, w = 0.5 * (t + 1), 0.5 * w
    return t ** power, w * power * t ** (power - 1)


def jarzynski(work):
    """(Delta F, standard error) in the units of `work` = k_B T: -ln <exp(-W)>, error by the delta method; biased for few samples of wide work."""
    w = np.asarray(work, float)
    low = w.min()
    e = np.exp(-(w - low))
    return float(low - np.log(e.mean())), float(e.std(ddof=1) / e.mean() / np.sqrt(len(w)))


def bennett(forward, reverse):
    """(Delta F, standard error) in k_B T from work of the forward and the reverse protocol (Bennett 1976; Crooks 2000): the root of
    sum_F 1/(1 + n_F/n_R e^(W_F - D)) = sum_R 1/(1 + n_R/n_F e^(W_R + D)); error of Shirts et al., PRL 91, 140601 (2003), eq. 10."""
    from scipy.optimize import brentq
    from scipy.special import expit
    f, r = np.asarray(forward, float), np.asarray(reverse, float)
    m = np.log(len(f) / len(r))

    def gap(d):
        return expit(-(m + f - d)).sum() - expit(m - r - d).sum()
    low = min(f.min(), -r.max()) - 50
    high = max(f.max(), -r.min()) + 50
    if gap(low) * gap(high) > 0:
        raise NoEquilibrium("Bennett's equation has no root: the work values are not finite")
    d = brentq(gap, low, high, xtol=1e-13)
    total = len(f) + len(r)
    every = np.concatenate([f - d, -r - d]) + m
    overlap = np.mean(1 / (2 + 2 * np.cosh(every)))
    return float(d), float(np.sqrt((1 / overlap - total / len(f) - total / len(r)) / total))


def crooks_crossing(forward, reverse):
    """Where the (Gaussian) densities P_F(W) and P_R(-W) cross, nearest to Bennett's value: a rough look at Crooks' theorem, in k_B T."""
    f, r = np.asarray(forward, float), -np.asarray(reverse, float)
    a = 1 / (2 * f.var(ddof=1)) - 1 / (2 * r.var(ddof=1))
    b = r.mean() / r.var(ddof=1) - f.mean() / f.var(ddof=1)
    c = f.mean() ** 2 / (2 * f.var(ddof=1)) - r.mean() ** 2 / (2 * r.var(ddof=1)) + 0.5 * np.log(f.var(ddof=1) / r.var(ddof=1))
    roots = np.roots([a, b, c]) if abs(a) > 1e-12 * abs(b) else np.array([-c / b])
    roots = roots[np.isreal(roots)].real
    if not len(roots):
        raise NoEquilibrium("the two work distributions do not cross")
    return float(roots[np.argmin(np.abs(roots - bennett(forward, reverse)[0]))])


def chain_cut(masses):
    """Exact Delta F / k_B T on cutting one bond of a harmonic chain of `masses` particles between fixed ends: -ln(N+1)/2. The determinant of the stiffness
    matrix is N+1 with all N+1 bonds, 1 with one less."""
    return -0.5 * np.log(masses + 1)


def chain_cut_mean(masses, strength):
    """<dU/dlambda>/k_B T at bond strength 1 - lambda = `strength` of the bond that is cut (an inner or an end one: the same): the determinant is
    1 + N s for strength s, so that <dU/dlambda> = -(1/2) N/(1 + N s)."""
    return -0.5 * masses / (1 + masses * np.asarray(strength, float))

