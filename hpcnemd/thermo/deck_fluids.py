"""Decks of equations of state: saturation curves, and states with their potentials and the relations that these must obey."""
from . import clapeyron, eos, figures, potentials
from .deck import REQUIRED, finish, open_deck
from .errors import NoEquilibrium, ThermoInputError
from .ledger import Candidate, DataSet, Record
from .outcome import Outcome, number_rows

HEAD = ("T", "p", "rho_gas", "rho_liquid", "latent_heat", "dp_dT")


def equation_of_state(path, strict=False):
    """fluid = "lennard_jones" (equation = "thol" or "jzg"), "van_der_waals" (a, b) or "water"; saturation = temperatures, or [state] temperature with
    pressure or volume (of one particle, one mole, or one kilogram of water), or both; state.minimise: the potential that is wanted."""
    deck, _ = open_deck(path)
    fluid = deck.take("fluid", str, REQUIRED, '"lennard_jones"', ("lennard_jones", "van_der_waals", "water"))
    equation = deck.take("equation", str, "thol", choices=("thol", "jzg"))
    reduced, water = fluid == "lennard_jones", fluid == "water"
    kelvin, pascal, cubic = ("1", "1", "1") if reduced else ("K", "Pa", "m^3/kg" if water else "m^3/mol")
    t = deck.numbers("saturation", kelvin)
    a, b = deck.number("a", "Pa*m^6/mol^2"), deck.number("b", "m^3/mol")
    state = deck.table("state", required=False) if "state" in deck.data else None
    if state:
        at, p, v = state.number("temperature", kelvin, REQUIRED), state.number("pressure", pascal), state.number("volume", cubic)
        wanted = state.take("minimise", str, None, choices=tuple(potentials.POTENTIALS))
        state.end()
        if (p is None) == (v is None):
            deck.problems.append("state: give temperature and either pressure or volume")
        deck.problems += [f"state.{key} = {value:g} must be positive" for key, value in (("temperature", at), ("pressure", p), ("volume", v)) if value is not None and not value > 0]
    elif t is None and not deck.problems:
        deck.problems.append("give saturation = temperatures, or a table [state]")
    deck.end()
    if fluid == "van_der_waals" and (a is None or b is None):
        deck.problems.append('fluid = "van_der_waals" needs a and b, for example a = "0.3658 Pa*m^6/mol^2", b = "4.286e-5 m^3/mol"')
    finish(deck)
    model, data = _model(fluid, equation, a, b)
    outcome = Outcome([])
    if t is not None:
        _saturation(outcome, model, data, t, reduced, water)
    if state:
        asked = {"T": (at, "K"), **({"V": (v, cubic)} if p is None else {"P": (p, "Pa")})}
        if reduced:
            asked = {k: (value, "reduced units") for k, (value, _) in asked.items()}
        potentials.potential_for({"N", *asked}, wanted)
        outcome.records.append((_water_state if water else _state)(model, data, asked, reduced))
    return outcome


def _model(fluid, equation, a, b):
    """(the fluid, its DataSet)"""
    if fluid == "water":
        from .fluids import T_MAX, T_MIN, Water
        water = Water()
        return water, DataSet(water.version, gas_constant=water.gas_constant, reference_state="u = s = 0 of the saturated liquid at the triple point",
                              temperature_range=(T_MIN, T_MAX), phases=("fluid",))
    model = eos.lennard_jones(equation) if fluid == "lennard_jones" else eos.van_der_waals(a, b)
    zero = "s = 0 of the ideal gas at T = 1, v = 1" if model.gas_constant == 1.0 else "s = 0 of the ideal gas at 298.15 K, 0.0248 m^3/mol"
    return model, DataSet(model.name, gas_constant=model.gas_constant, reference_state=zero, temperature_range=model.temperature_range, phases=("fluid",))


def _saturation(outcome, model, data, t, reduced, water):
    if water:
        rows, worst = [], 0.0
        for one in t:
            s = model.saturation(float(one))
            latent, dv = s["h_gas"] - s["h_liquid"], 1 / s["rho_gas"] - 1 / s["rho_liquid"]
            rows.append((float(one), s["p"], s["rho_gas"], s["rho_liquid"], latent, clapeyron.slope(float(one), latent, dv)))
            worst = max(worst, abs(latent - one * (s["s_gas"] - s["s_liquid"])))
        residual, units = "Gibbs energies of both phases (J/kg)", "K, Pa, kg/m^3, kg/m^3, J/kg, Pa/K"
    else:
        rows = eos.saturation_curve(model, t)
        worst, rows = float(rows[:, 6].max()), rows[:, :6].tolist()
        residual, units = "pressures and chemical potentials of both phases", "reduced units" if reduced else "K, Pa, mol/m^3, mol/m^3, J/mol, Pa/K"
    values = {f"saturation at T = {r[0]:g}": (list(r[1:]), units if reduced else units[units.find(",") + 2:]) for r in rows}
    outcome.records.append(Record("F", ("T", "V", "N"), {"fluid": (data.name, "")}, values, [Candidate("liquid", "stable"), Candidate("gas", "stable")], [data],
                                  data.gas_constant, {residual: worst}))
    labels = [" (reduced)"] * 3 if reduced else [f" ({u})" for u in units.split(", ")]
    outcome.tables["saturation"] = number_rows(HEAD, rows)
    outcome.figures["saturation"] = lambda: figures.saturation(rows, data.name, labels)


def _potentials(u, s, p, v, t):
    return {"U": u, "H": u + p * v, "F": u - t * s, "G": u + p * v - t * s}


def _state_record(data, asked, values, candidates, residuals, notes):
    name = potentials.potential_for({"N", *asked})
    _, transform, differential = potentials.POTENTIALS[name]
    return Record(name, potentials.POTENTIALS[name][0], {"fluid": (data.name, ""), **asked}, values, candidates, [data], data.gas_constant, residuals,
                  [f"{name} = {transform}, d{name} = {differential}", *notes])


def _state(model, data, asked, reduced):
    """A state of a Helmholtz equation: phases, potentials, and how well its numerical derivatives obey Maxwell and Euler."""
    t = asked["T"][0]
    if "V" in asked and asked["V"][0] * model.density_max <= 1:
        raise ThermoInputError(f"{data.name}: V = {asked['V'][0]:g} is not above {1 / model.density_max:g}, the volume of the molecules themselves; choose a larger one")
    found = potentials.minimise_volume(model, t, *(asked[k][0] if k in asked else None for k in ("V", "P")))
    energy, volume, entropy = ("reduced units",) * 3 if reduced else ("J/mol", "m^3/mol", "J/mol/K")
    states = [(w, v, model.properties(t, v)) for w, v in found["phases"]]
    names = ("gas", "liquid") if len(states) == 2 else ("fluid",)
    total = {k: sum(w * float(q[k]) for w, _, q in states) for k in ("u", "s", "h", "f", "g")}
    pressure, mean = float(states[0][2]["p"]), sum(w * v for w, v, _ in states)
    values = {f"fraction of {n}, volume": ([w, v], f"1, {volume}") for n, (w, v, _) in zip(names, states)}
    values.update({"P": (pressure, energy if reduced else "Pa"), "V": (mean, volume), "S": (total["s"], entropy)})
    values.update({k.upper(): (total[k], energy) for k in ("u", "h", "f", "g")})
    residuals, notes = {}, []
    if len(states) == 2:
        residuals["pressures of both phases, relative"] = abs(float(states[1][2]["p"]) / pressure - 1)
        residuals["chemical potentials of both phases, over R T"] = abs(float(states[1][2]["g"] - states[0][2]["g"])) / (data.gas_constant * t)
    else:
        q = states[0][2]
        values.update({"Cv, Cp": ([float(q["cv"]), float(q["cp"])], entropy)})
        try:
            residuals.update({f"Maxwell {k}, relative": r for k, r in potentials.maxwell_residuals(model, t, mean).items()})
            residuals.update({f"fundamental relation, {k}, relative": r for k, r in potentials.fundamental_relation(model, t, mean).items()})
        except NoEquilibrium as problem:
            notes.append(f"so near the edge of stability that numerical derivatives cannot be taken: {problem}")
    return _state_record(data, asked, values, [Candidate(n, "stable") for n in names], residuals, notes)


def _water_state(model, data, asked, reduced):
    """A state of water, one phase or liquid with vapour."""
    t = asked["T"][0]
    q = model.equilibrium(t, **({"rho": 1 / asked["V"][0]} if "V" in asked else {"p": asked["P"][0]}))
    v = 1 / q["rho"]
    values = {"P": (q["p"], "Pa"), "V": (v, "m^3/kg"), "S": (q["s"], "J/kg/K")}
    values.update({k: (x, "J/kg") for k, x in _potentials(q["u"], q["s"], q["p"], v, t).items()})
    if q["quality"] is not None:
        return _state_record(data, asked, {"fraction of vapour": (q["quality"], "kg/kg"), **values}, [Candidate("liquid", "stable"), Candidate("gas", "stable")], {}, [])
    one = model.properties(t, q["rho"])
    values["Cv, Cp"] = ([one["cv"], one["cp"]], "J/kg/K")
    slope = potentials.difference(lambda x: model.properties(t, 1 / x)["s"], v, 0.01 * v)
    return _state_record(data, asked, values, [Candidate("fluid", "stable")], {"Maxwell dS/dV=dP/dT, relative": float(abs(slope / one["dpdt"] - 1))}, [])
