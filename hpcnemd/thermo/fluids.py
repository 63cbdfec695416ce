"""Water by IAPWS-95 through CoolProp (extra `fluids`), in SI per kilogram. Ice is not part of it."""
from .errors import ExtraMissing, NoEquilibrium, TemperatureOutOfRange, ThermoInputError

T_MIN, T_MAX, P_MAX = 273.16, 1273.0, 1e9       # K, Pa: the range that the release states for the fluid (extrapolation is refused)
T_CRITICAL = 647.096


class Water:
    """State by (T, rho) and saturation by T. Raises ExtraMissing without CoolProp."""

    def __init__(self):
        try:
            import CoolProp
        except ImportError:
            raise ExtraMissing("water properties need CoolProp; install it with: pip install \"hpcnemd[fluids]\"") from None
        self._cp = CoolProp
        self.state = CoolProp.AbstractState("HEOS", "Water")
        self.state.specify_phase(CoolProp.iphase_not_imposed)
        self.gas_constant = self.state.gas_constant()       # J/mol/K, the value of this equation of state
        self.version = f"CoolProp {CoolProp.__version__} ({CoolProp.__gitrevision__[:12]}), IAPWS-95"

    def _check(self, t):
        if not T_MIN <= t <= T_MAX:
            hint = f"; if {t:g} degrees Celsius is meant, write {t + 273.15:g} K" if 0 <= t < T_MIN else ""
            raise TemperatureOutOfRange(f"water: T = {t:g} K is outside {T_MIN}-{T_MAX:g} K{hint}")

    def properties(self, t, rho):
        """{"p","cv","cp","w","s","u","h","dpdt","dpdrho"} at T (K), rho (kg/m^3): Pa, J/kg/K, m/s, J/kg. `rho` between saturated vapour and liquid is a
        metastable or unstable state of the equation, not a mixture."""
        self._check(t)
        cp, s = self._cp, self.state
        # the single-phase equation itself: without a flash, so that metastable states and derivatives come from the Helmholtz function
        s.specify_phase(cp.iphase_gas)
        s.update(cp.DmassT_INPUTS, rho, t)
        out = {"p": s.p(), "cv": s.cvmass(), "cp": s.cpmass(), "w": s.speed_sound(), "s": s.smass(), "u": s.umass(), "h": s.hmass(),
               "dpdt": s.first_partial_deriv(cp.iP, cp.iT, cp.iDmass), "dpdrho": s.first_partial_deriv(cp.iP, cp.iDmass, cp.iT)}
        s.unspecify_phase()
        return out

    def equilibrium(self, t, rho=None, p=None):
        """{"p","rho","u","s","quality"} of the stable state at T (K) and either rho (kg/m^3) or p (Pa); `quality` is the mass fraction of vapour where liquid
        and vapour coexist, else None. Raises NoEquilibrium on the saturation line at (T, p), where the volume is not determined."""
        self._check(t)
        if p is not None and p > P_MAX:
            raise ThermoInputError(f"water: P = {p:g} Pa is above {P_MAX:g} Pa, the end of the equation's range; choose a lower pressure")
        cp, s = self._cp, self.state
        try:
            s.update(*((cp.DmassT_INPUTS, rho, t) if p is None else (cp.PT_INPUTS, p, t)))
        except ValueError as problem:
            raise NoEquilibrium(f"water at T = {t:g} K and {f'rho = {rho:g} kg/m^3' if p is None else f'P = {p:g} Pa'}: {problem}") from None
        if s.p() > P_MAX:
            raise ThermoInputError(f"water: {rho:g} kg/m^3 at {t:g} K is {s.p():g} Pa, above {P_MAX:g} Pa, the end of the equation's range; choose a larger volume")
        return {"p": s.p(), "rho": s.rhomass(), "u": s.umass(), "s": s.smass(), "quality": s.Q() if s.phase() == cp.iphase_twophase else None}

    def saturation(self, t):
        """{"p","rho_liquid","rho_gas","h_liquid","h_gas","s_liquid","s_gas"} at T (K)."""
        self._check(t)
        if t >= T_CRITICAL:
            raise TemperatureOutOfRange(f"water: T = {t:g} K is above the critical temperature {T_CRITICAL} K; no saturation there")
        cp, s, out = self._cp, self.state, {}
        for name, quality in (("liquid", 0.0), ("gas", 1.0)):
            s.update(cp.QT_INPUTS, quality, t)
            out.update({"p": s.p(), f"rho_{name}": s.rhomass(), f"h_{name}": s.hmass(), f"s_{name}": s.smass()})
        return out
