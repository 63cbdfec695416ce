"""Equations of state as Helmholtz energies f(T, v), every derivative exact through `jets`: ideal gas, van der Waals, and two for the full
Lennard-Jones fluid (reduced units: epsilon = sigma = k_B = 1, v per particle).

Lennard-Jones: Johnson, Zollweg, Gubbins, Mol. Phys. 78, 591 (1993), and Thol et al., J. Phys. Chem. Ref. Data 45, 023101 (2016); the second is the
better one. Both are for the potential without cut-off: a truncated one (r_c = 2.5, say) has other phase boundaries, and needs its own equation."""
from dataclasses import dataclass

import numpy as np

from .errors import NoEquilibrium, TemperatureOutOfRange, ThermoInputError
from .jets import exp, log, variables
from .units import GAS_CONSTANT

_JZG = (0.8623085097507421, 2.976218765822098, -8.402230115796038, 0.1054136629203555, -0.8564583828174598, 1.582759470107601, 0.7639421948305453,
        1.753173414312048, 2.798291772190376e3, -4.8394220260857657e-2, 0.9963265197721935, -3.698000291272493e1, 2.084012299434647e1,
        8.305402124717285e1, -9.574799715203068e2, -1.477746229234994e2, 6.398607852471505e1, 1.603993673294834e1, 6.805916615864377e1,
        -2.791293578795945e3, -6.245128304568454, -8.116836104958410e3, 1.488735559561229e1, -1.059346754655084e4, -1.131607632802822e2,
        -8.867771540418822e3, -3.986982844450543e1, -4.689270299917261e3, 2.593535277438717e2, -2.694523589434903e3, -7.218487631550215e2,
        1.721802063863269e2)
_THOL_POWER = (     # n, t, d, l: n tau^t delta^d exp(-delta^l)
    (0.52080730e-2, 1.0, 4, 0), (0.21862520e1, 0.320, 1, 0), (-0.21610160e1, 0.505, 1, 0), (0.14527000e1, 0.672, 2, 0), (-0.20417920e1, 0.843, 2, 0),
    (0.18695286, 0.898, 3, 0), (-0.62086250, 1.205, 1, 1), (-0.56883900, 1.786, 1, 2), (-0.80055922, 2.770, 3, 2), (0.10901431, 1.786, 2, 1),
    (-0.49745610, 2.590, 2, 2), (-0.90988445e-1, 1.294, 5, 1))
_THOL_GAUSS = (     # n, t, d, eta, beta, gamma, epsilon: n tau^t delta^d exp(-eta (delta-epsilon)^2 - beta (tau-gamma)^2)
    (-0.14667177e1, 2.830, 1, 2.067, 0.625, 0.71, 0.2053), (0.18914690e1, 2.548, 1, 1.522, 0.638, 0.86, 0.409), (-0.13837010, 4.650, 2, 8.82, 3.91, 1.94, 0.6),
    (-0.38696450, 1.385, 3, 1.722, 0.156, 1.48, 1.203), (0.12657020, 1.460, 3, 0.679, 0.157, 1.49, 1.829), (0.60578100, 1.351, 2, 1.883, 0.153, 1.945, 1.397),
    (0.11791890e1, 0.660, 1, 3.925, 1.16, 3.02, 1.39), (-0.47732679, 1.496, 2, 2.461, 1.73, 1.11, 0.539), (-0.99218575e1, 1.830, 3, 28.2, 383.0, 1.17, 0.934),
    (-0.57479320, 1.616, 1, 0.753, 0.112, 1.33, 2.369), (0.37729230e-2, 4.970, 1, 0.82, 0.119, 0.24, 2.43))


@dataclass(frozen=True)
class Fluid:
    """f(T, v) of one substance: `residual(T, rho)` is the residual Helmholtz energy as a Jet in the same units as `gas_constant` * T;
    `cv_ideal` in units of the gas constant; `reference` (T0, v0) where the ideal part has s = 0, u = cv_ideal * R * T0."""
    name: str
    residual: object
    gas_constant: float = 1.0
    cv_ideal: float = 1.5
    reference: tuple = (1.0, 1.0)
    temperature_range: tuple = (0.0, np.inf)
    density_scale: float = 1.0              # a typical critical density, for searches
    density_max: float = np.inf
    temperature_scale: float = 1.0

    def helmholtz(self, t, v):
        """f as a Jet in (T, v)."""
        tj, vj = variables(t, v)
        t0, v0 = self.reference
        r = self.gas_constant
        ideal = (self.cv_ideal * r) * (tj - tj * log(tj / t0)) - r * (tj * log(vj / v0))
        return ideal + self.residual(tj, 1.0 / vj)

    def check_temperature(self, t):
        low, high = self.temperature_range
        if np.any(np.asarray(t) < low) or np.any(np.asarray(t) > high) or np.any(np.asarray(t) <= 0):
            raise TemperatureOutOfRange(f"{self.name}: T = {t} is outside {low:g}-{high:g}; choose T there")

    def properties(self, t, v):
        """{"p","s","u","h","f","g","cv","cp","w2","dpdt","dpdv","kappa"}: molar (per particle in reduced units); w2 = -v^2 (dp/dv)_s, which is the
        squared speed of sound times the molar mass."""
        self.check_temperature(t)
        f = self.helmholtz(t, v)
        p, s = -f.y, -f.x
        cv = -t * f.xx
        dpdt, dpdv = -f.xy, -f.yy
        u = f.v + t * s
        return {"p": p, "s": s, "u": u, "h": u + p * v, "f": f.v, "g": f.v + p * v, "cv": cv, "cp": cv - t * dpdt ** 2 / dpdv,
                "w2": -v ** 2 * (dpdv - t * dpdt ** 2 / cv), "dpdt": dpdt, "dpdv": dpdv, "kappa": -1 / (v * dpdv)}

    def pressure(self, t, rho):
        return -self.helmholtz(t, 1.0 / np.asarray(rho, float)).y

    def chemical_potential(self, t, rho):
        f = self.helmholtz(t, 1.0 / np.asarray(rho, float))
        return f.v - f.y / rho

    def stiffness(self, t, rho):
        """(dp/drho)_T"""
        f = self.helmholtz(t, 1.0 / np.asarray(rho, float))
        return f.yy / np.asarray(rho, float) ** 2

    def spinodal(self, t, points=600):
        """(rho_gas, rho_liquid) where (dp/drho)_T = 0; None above the critical temperature."""
        from scipy.optimize import brentq
        rho = np.linspace(1e-3, min(3.0, 0.98 * self.density_max / self.density_scale), points) * self.density_scale
        d = self.stiffness(t, rho)
        k = np.flatnonzero(d < 0)
        if not len(k):
            return None
        # equations with Gaussian terms have further, unphysical loops between the two: the outermost signs count
        last = k[-1]
        if last == points - 1:
            raise NoEquilibrium(f"{self.name}: no liquid spinodal below density {rho[-1]:g} at T = {t:g}")
        first = brentq(lambda r: self.stiffness(t, r), rho[k[0] - 1], rho[k[0]], xtol=1e-14) if k[0] else rho[0]
        return first, brentq(lambda r: self.stiffness(t, r), rho[last], rho[last + 1], xtol=1e-14)

    def critical_point(self):
        """(T, rho, p): the highest T at which the smallest (dp/drho)_T is zero."""
        from scipy.optimize import brentq, minimize_scalar

        def lowest(t):
            rho = np.linspace(0.3, 2.0, 120) * self.density_scale
            d = self.stiffness(t, rho)
            k = int(np.clip(np.argmin(d), 1, len(rho) - 2))
            return minimize_scalar(lambda r: self.stiffness(t, r), bounds=(rho[k - 1], rho[k + 1]), method="bounded", options={"xatol": 1e-12})
        low, high = 0.8 * self.temperature_scale, 1.3 * self.temperature_scale
        t = brentq(lambda t: lowest(t).fun, low, high, xtol=1e-13)
        rho = float(lowest(t).x)
        return t, rho, float(self.pressure(t, rho))

    def saturation(self, t):
        """{"p","rho_gas","rho_liquid","latent_heat","slope","residual"} on the coexistence line at T: equal p and mu by Newton in (ln rho).

        Raises TemperatureOutOfRange above the critical temperature, NoEquilibrium when Newton fails.
        """
        self.check_temperature(t)
        spinodal = self.spinodal(t)
        if spinodal is None:
            raise TemperatureOutOfRange(f"{self.name}: T = {t:g} is above the critical temperature; no saturation there")
        start = self._saturation_start(t, *spinodal)
        y, last = np.log(np.array(start)), np.inf
        for _ in range(60):
            rho = np.exp(y)
            f = self.helmholtz(t, 1 / rho)
            p, mu = -f.y, f.v - f.y / rho
            slope = f.yy / rho ** 2                     # dp/drho; dmu/drho = slope / rho
            miss = np.array([p[0] - p[1], mu[0] - mu[1]])
            matrix = np.array([[slope[0] * rho[0], -slope[1] * rho[1]], [slope[0], -slope[1]]])
            step = np.linalg.solve(matrix, miss)
            size = np.abs(step).max()
            y = y - step * min(1.0, 0.3 / size)
            if size < 1e-14 or size < 1e-9 and size >= last:    # rounding has the last word
                break
            last = size
        gas, liquid = (self.properties(t, 1 / r) for r in np.exp(y))
        rho = np.exp(y)
        residual = max(abs(gas["p"] - liquid["p"]), abs(gas["g"] - liquid["g"]))
        if not (rho[0] < spinodal[0] <= spinodal[1] < rho[1]) or not np.isfinite(residual):
            raise NoEquilibrium(f"{self.name}: the saturation line was not found at T = {t:g} (densities {rho[0]:g}, {rho[1]:g})")
        latent = gas["h"] - liquid["h"]
        return {"p": float(0.5 * (gas["p"] + liquid["p"])), "rho_gas": float(rho[0]), "rho_liquid": float(rho[1]), "latent_heat": float(latent),
                "slope": float((gas["s"] - liquid["s"]) / (1 / rho[0] - 1 / rho[1])), "residual": float(residual)}

    def _saturation_start(self, t, rho_g, rho_l):
        """Densities near coexistence: where mu(p) of the gas branch crosses that of the liquid branch, both tabulated up to their spinodals."""
        dense = min(3.5 * self.density_scale, 0.999 * self.density_max)
        gas, liquid = np.geomspace(1e-10 * self.density_scale, rho_g, 600), np.linspace(rho_l, dense, 600)
        (pg, mg), (pl, ml) = ((-f.y, f.v - f.y / rho) for rho, f in ((rho, self.helmholtz(t, 1 / rho)) for rho in (gas, liquid)))
        rising = np.concatenate([[True], np.diff(pl) > 0])
        last = len(pl) if rising.all() else int(np.argmin(rising))
        pl, ml, liquid = pl[:last], ml[:last], liquid[:last]
        p = np.geomspace(max(pl[0], pg[0]), min(pg[-1], pl[-1]), 800)
        gap = np.interp(p, pg, mg) - np.interp(p, pl, ml)
        k = int(np.argmax(gap > 0))             # the gas has the lower mu at low pressure
        return np.interp(p[k], pg, gas), np.interp(p[k], pl, liquid)

    def volume(self, t, p, phase=None):
        """v at (T, p). `phase` "gas" or "liquid" chooses where there are two; None takes the one of lower Gibbs energy."""
        from scipy.optimize import brentq
        dense = min(3.5 * self.density_scale, 0.999 * self.density_max)
        spinodal = self.spinodal(t)
        tiny = 1e-12 * self.density_scale

        def solve(low, high):
            if (self.pressure(t, low) - p) * (self.pressure(t, high) - p) > 0:
                return None
            return 1.0 / brentq(lambda r: self.pressure(t, r) - p, low, high, xtol=1e-300, rtol=8.9e-16)
        if spinodal is None:
            found = [solve(tiny, dense)]
        else:
            found = [solve(tiny, spinodal[0]), solve(spinodal[1], dense)]
            if phase:
                found = [found[("gas", "liquid").index(phase)]]
        found = [v for v in found if v]
        if not found:
            raise NoEquilibrium(f"{self.name}: no {phase or ''} state at T = {t:g}, p = {p:g}")
        return min(found, key=lambda v: self.properties(t, v)["g"])


def ideal_gas(cv=1.5, gas_constant=GAS_CONSTANT, reference=(298.15, 0.0248)):
    """Ideal gas, SI; `cv` in units of R."""
    return Fluid("ideal gas", lambda t, rho: t * 0.0, gas_constant, cv, reference, temperature_scale=reference[0], density_scale=1 / reference[1])


def van_der_waals(a, b, cv=1.5, gas_constant=GAS_CONSTANT, reference=(298.15, 0.0248)):
    """p = R T/(v-b) - a/v^2; a Pa m^6/mol^2, b m^3/mol."""
    if a <= 0 or b <= 0:
        raise ThermoInputError(f"van der Waals: a = {a!r}, b = {b!r}; both must be positive (Pa m^6/mol^2, m^3/mol)")

    def residual(t, rho):
        return -gas_constant * (t * log(1.0 - b * rho)) - a * rho
    return Fluid("van der Waals", residual, gas_constant, cv, reference, density_scale=1 / (3 * b), density_max=1 / b,
                 temperature_scale=8 * a / (27 * gas_constant * b))


def _jzg_residual(t, rho):
    x = (None,) + _JZG
    root = t ** 0.5
    i1, i2 = t ** -1, t ** -2
    i3 = i1 * i2
    a = (x[1] * t + x[2] * root + x[3] + x[4] * i1 + x[5] * i2, x[6] * t + x[7] + x[8] * i1 + x[9] * i2, x[10] * t + x[11] + x[12] * i1, x[13] + t * 0.0,
         x[14] * i1 + x[15] * i2, x[16] * i1, x[17] * i1 + x[18] * i2, x[19] * i2)
    b = (x[20] * i2 + x[21] * i3, x[22] * i2 + x[23] * i2 * i2, x[24] * i2 + x[25] * i3, x[26] * i2 + x[27] * i2 * i2, x[28] * i2 + x[29] * i3,
         x[30] * i2 + x[31] * i3 + x[32] * i2 * i2)
    gamma = 3.0
    square = rho * rho
    damp = exp(-gamma * square)
    total, power = t * 0.0, rho
    for i, c in enumerate(a, start=1):
        total = total + c * power * (1.0 / i)
        power = power * rho
    g = (1.0 - damp) * (1 / (2 * gamma))
    even = rho * 0.0 + 1.0
    for i, c in enumerate(b):
        total = total + c * g
        even = even * square
        # G_(i+1) = -(F rho^2(i+1) - 2(i+1) G_i)/(2 gamma); at small rho the difference loses digits that b_i G_i does not need
        g = (2.0 * (i + 1) * g - damp * even) * (1 / (2 * gamma))
    return total


def _thol_residual(t, rho):
    tau, delta = 1.32 / t, rho / 0.31
    total = t * 0.0
    ltau = log(tau)
    powers = {0: delta * 0.0 + 1.0}
    for k in range(1, 6):
        powers[k] = powers[k - 1] * delta
    decay = {0: 1.0, 1: exp(-delta), 2: exp(-(delta * delta))}
    for n, tt, d, l in _THOL_POWER:
        total = total + n * (exp(tt * ltau) * powers[d] * decay[l])
    for n, tt, d, eta, beta, gamma, epsilon in _THOL_GAUSS:
        away, late = delta - epsilon, tau - gamma
        total = total + n * (exp(tt * ltau - eta * (away * away) - beta * (late * late)) * powers[d])
    return t * total


def lennard_jones(which="thol"):
    """The full Lennard-Jones fluid in reduced units: "thol" (2016) or "jzg" (1993)."""
    if which == "thol":
        return Fluid("Lennard-Jones (Thol 2016)", _thol_residual, 1.0, 1.5, (1.0, 1.0), (0.661, 1200.0), 0.31, np.inf, 1.32)
    if which == "jzg":
        return Fluid("Lennard-Jones (Johnson, Zollweg, Gubbins 1993)", _jzg_residual, 1.0, 1.5, (1.0, 1.0), (0.6, 12.0), 0.31, np.inf, 1.313)
    raise ThermoInputError(f'Lennard-Jones equation of state {which!r}: "thol" or "jzg"')


def second_virial(fluid, t):
    """B2 = lim (p/(rho R T) - 1)/rho, from the residual's derivative at zero density."""
    tj, rj = variables(t, 0.0)
    a = fluid.residual(tj, rj)
    return a.y / (fluid.gas_constant * t)


def saturation_curve(fluid, temperatures):
    """(n, 7) table T, p, rho_gas, rho_liquid, latent heat, dp/dT and the residual of the coexistence conditions, for the liquid-gas experiment."""
    rows = []
    for t in np.asarray(temperatures, float):
        s = fluid.saturation(float(t))
        rows.append((t, s["p"], s["rho_gas"], s["rho_liquid"], s["latent_heat"], s["slope"], s["residual"]))
    return np.array(rows)
