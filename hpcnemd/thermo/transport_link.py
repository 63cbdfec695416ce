"""From thermodynamics to transport: the thermodynamic factor, chemical diffusion and the Haven ratio. What driving forces do next is in `kinetics`.

D_sigma = sigma k_B T/(n q^2), Gamma = (x/RT) dmu/dx, D_chem = Gamma D_sigma, H = D*/D_sigma (G. E. Murch, Solid State Ionics 7, 177, 1982, for the terms).
D_chem is offered for hosts in which the content x of the mobile species can change at fixed electroneutrality (intercalation hosts, lattice models); for an
electrolyte of fixed stoichiometry it is not defined by the content alone, and `chemical_diffusion` refuses."""
import numpy as np

from .errors import ThermoInputError
from .units import GAS_CONSTANT

BOLTZMANN = 1.380649e-23            # J/K
CHARGE = 1.602176634e-19            # C


def conductivity_diffusion(sigma, density, charge, temperature):
    """D_sigma (m^2/s) from sigma (S/m), number density (1/m^3) and charge (in e) of the mobile ions, T (K)."""
    for key, value in (("sigma", sigma), ("density", density), ("temperature", temperature)):
        if not np.all(np.asarray(value) > 0):
            raise ThermoInputError(f"{key} = {value!r} must be positive (SI)")
    if charge == 0:
        raise ThermoInputError("charge = 0: a neutral species carries no current")
    return sigma * BOLTZMANN * temperature / (density * (charge * CHARGE) ** 2)


def conductivity_from_diffusion(diffusion, density, charge, temperature):
    """The inverse of `conductivity_diffusion`, S/m."""
    return diffusion * density * (charge * CHARGE) ** 2 / (BOLTZMANN * temperature)


def haven_ratio(tracer, collective, tracer_error=0.0, collective_error=0.0):
    """(H, its standard error), H = D*/D_sigma, errors taken as independent."""
    h = tracer / collective
    return h, abs(h) * np.hypot(tracer_error / tracer, collective_error / collective)


def thermodynamic_factor(phase, temperature, x, gas_constant=GAS_CONSTANT):
    """Gamma = (x/RT) dmu/dx of the second component of a `binary` solution phase: x (1-x) (d2g/dx2)/RT; 1 in an ideal solution, 0 at the spinodal."""
    f = phase.at(temperature, gas_constant)
    y = np.log(np.asarray(x, float) / (1 - np.asarray(x, float)))
    return f.stiffness(y) / (gas_constant * temperature)


def factor_from_curve(x, mu, temperature, gas_constant=GAS_CONSTANT):
    """Gamma on the points of a measured mu(x) (J/mol), by a cubic spline; for a lattice gas (intercalation) with x the site occupation."""
    from scipy.interpolate import CubicSpline
    x = np.asarray(x, float)
    return x * CubicSpline(x, mu)(x, 1) / (gas_constant * temperature)


def lattice_gas_factor(x, interaction=0.0, temperature=1.0, gas_constant=GAS_CONSTANT):
    """Gamma = 1/(1-x) + 2 w x/(RT) of a mean-field lattice gas, mu = RT ln(x/(1-x)) + 2 w x with w = `interaction` J/mol."""
    x = np.asarray(x, float)
    return 1 / (1 - x) + 2 * interaction * x / (gas_constant * temperature)


def chemical_diffusion(factor, collective, host):
    """D_chem = Gamma D_sigma. `host` must be "intercalation" or "lattice model"; "fixed stoichiometry" is refused (see the module's text)."""
    if host not in ("intercalation", "lattice model"):
        raise ThermoInputError(f"host = {host!r}: D_chem needs a host whose content can change (\"intercalation\" or \"lattice model\"); in an electrolyte of fixed stoichiometry "
                               "it is not defined by the content of the mobile ion alone")
    return factor * collective


def record(temperature, sigma, sigma_error, density, charge, tracer=None, tracer_error=0.0, factor=None, host="fixed stoichiometry"):
    """The ledger.Record that joins a conductivity run to thermodynamics; SI. D_chem only where `host` allows it and Gamma is given."""
    from .ledger import Record
    collective = conductivity_diffusion(sigma, density, charge, temperature)
    error = collective * sigma_error / sigma
    values = {"D_sigma": ([collective, error], "m^2/s, standard error")}
    notes = []
    if tracer is not None:
        values["Haven ratio"] = (list(haven_ratio(tracer, collective, tracer_error, error)), "standard error")
    if factor is not None:
        values["D_chem"] = ([chemical_diffusion(factor, collective, host), factor * error], "m^2/s, standard error")
    elif host == "fixed stoichiometry":
        notes.append("no D_chem: it is not defined by the content of the mobile ion alone at fixed stoichiometry")
    return Record("none", (), {"T": (temperature, "K"), "conductivity": ([sigma, sigma_error], "S/m, standard error"), "density": (density, "1/m^3"), "charge": (charge, "e")},
                  values, notes=notes)


def from_run(path):
    """{"temperature", "sigma", "sigma_error", "density", "charge", "tracer", "tracer_error"} (SI) from a conductivity run: its folder, or its numbers.json.

    The tracer is None where it was not measured. Raises ThermoInputError where the run has no conductivity, or several mobile species.
    """
    import json
    from pathlib import Path
    folder = Path(path)
    file = next((f for f in (folder, folder / "report" / "numbers.json", folder / "numbers.json") if f.is_file()), None)
    if file is None:
        raise ThermoInputError(f"{path}: no report/numbers.json there; write it with: hpcnemd report {path}")
    try:
        numbers = json.loads(file.read_text())
        settings, found = numbers["settings"], numbers["conductivity"]
        kinds = [(n, c, z) for n, c, z in zip(settings["species"], settings["counts"], settings["formal_charges_e"]) if n in settings["mobile"]]
        volume = settings["volume_angstrom3"] * 1e-30
    except (ValueError, KeyError, TypeError) as problem:
        raise ThermoInputError(f"{file}: not the report of a conductivity run ({problem!r})") from None
    if found is None:
        raise ThermoInputError(f"{file}: the run gave no conductivity: {'; '.join(numbers.get('refusals', [])) or 'no reason is stored'}")
    if len(kinds) != 1:
        raise ThermoInputError(f"{file}: {len(kinds)} mobile species ({', '.join(k[0] for k in kinds)}); D_sigma and the Haven ratio of one charge carrier need exactly one")
    (name, count, charge), = kinds
    tracer = numbers.get("diffusion", {}).get(name)
    return {"temperature": settings["temperature_K"], "sigma": found["value"], "sigma_error": found["error"] or 0.0, "density": count / volume, "charge": charge,
            "tracer": tracer and tracer["cm2_per_s"] * 1e-4, "tracer_error": ((tracer or {}).get("error_cm2_per_s") or 0.0) * 1e-4}
