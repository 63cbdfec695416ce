"""What the decks of the commands ask for: each function reads one TOML file and returns its Outcome: records, tables and figures."""
import numpy as np

from . import calphad_map, clapeyron, diagram, figures, gmin, kinetics, transport_link
from .binary import SolutionPhase, spinodal, tie_lines
from .calphad import System
from .cp import transition
from .deck import REQUIRED, finish, open_deck, read_substances
from .deck_fluids import equation_of_state
from .deck_free_energy import free_energies
from .deck_solutions import activities, isomerisation
from .errors import BeyondBinary, ThermoInputError, UnknownPhase
from .from_tdb import binary_phases
from .ledger import Candidate, Record
from .outcome import Outcome
from .reaction import parse_reaction
from .sweep_grid import choose_candidates, left_out


LEAST_LATENT_HEAT = 10.0        # J/mol: a smaller step of H between two temperature ranges is the rounding of published coefficients


def _given(table, name):
    """A quantity as the user wrote it, for the record."""
    return table.data.get(name)


def _system(deck, folder):
    system = deck.table("system")
    file, components = system.take("file", str, REQUIRED, '"data.tdb"'), system.words("components", REQUIRED, '["AL", "ZN", "VA"]')
    phases, engine = system.words("phases", None), system.take("engine", str, "auto", choices=("auto", "own", "pycalphad"))
    system.end()
    return lambda: System(folder / file, components, phases, engine)


def equilibrium(path, strict=False):
    """[system] file, components, phases, engine; [conditions] temperature, pressure, X."""
    deck, folder = open_deck(path)
    build = _system(deck, folder)
    conditions = deck.table("conditions")
    asked = {}
    for key, name in (("T", "temperature"), ("P", "pressure")):
        given = _given(conditions, name)
        if conditions.number(name, "K" if key == "T" else "Pa") is not None:
            asked[key] = given
    x = conditions.table("X", required=False)
    asked["X"] = {c: x.number(c, "1") for c in list(x.data)}
    conditions.end()
    deck.end()
    finish(deck)
    return Outcome([build().equilibrium(asked, strict)])


def binary(path, strict=False):
    """[system] as above (two components); [grid] temperature, pressure; optional gibbs_at: temperatures of G(x) figures (own code). What own code does not
    cover goes through the mapping of pycalphad."""
    deck, folder = open_deck(path)
    build = _system(deck, folder)
    grid = deck.table("grid")
    temperatures = grid.numbers("temperature", "K", REQUIRED)
    pressure_given = _given(grid, "pressure")
    pressure = grid.number("pressure", "Pa", REQUIRED, '"1 atm"')
    curves = grid.numbers("gibbs_at", "K", np.array([]))
    grid.end()
    deck.end()
    finish(deck)
    system = build()
    if len(system.elements) != 2:
        raise BeyondBinary(f"components {', '.join(system.elements)}: a binary diagram has two; use thermo eq or thermo sweep for more")
    checked = system.check({"T": temperatures.tolist() + curves.tolist(), "P": pressure, "X": {system.elements[1]: 0.5}})
    if system.engine == "pycalphad":
        if len(curves):
            raise BeyondBinary("grid.gibbs_at draws G(x) of phases with one mixing sublattice, and pycalphad is the engine here; leave it out")
        return _binary_by_engine(system, checked, temperatures, pressure, pressure_given, strict)
    phases = binary_phases(system.db, system.elements, checked.phases, system.gas_constant)
    found = diagram.map_diagram(phases, temperatures, system.gas_constant)
    worst = max((line.residual for lines in found.lines if lines for line in lines), default=0.0)
    record = Record("G", ("T", "P", "N"), {"T": ([float(temperatures[0]), float(temperatures[-1])], "K, from and to"), "P": (pressure, "Pa"), "P as given": (pressure_given, "")},
                    {f"{i.kind} of {', '.join(dict.fromkeys(i.phases))}": ([i.temperature, *i.x], f"K, x({system.elements[1]})") for i in found.invariants},
                    _candidates(checked), [system.data(checked)], system.gas_constant, {"chemical potentials (J/mol)": worst}, list(checked.notes))
    if found.failed:
        record.status, record.reason = "failed", f"{len(found.failed)} temperatures; see the table"
    source = figures.source_text(system.data(checked), system.gas_constant)
    outcome = Outcome([record], {"diagram": diagram.table(found)}, {"diagram": lambda: figures.binary_diagram(found, system.elements, source)}, len(found.failed))
    for t in curves:
        outcome.figures[f"gibbs_{t:g}K"] = lambda t=float(t): figures.gibbs_curves(phases, tie_lines(phases, t, system.gas_constant), t, system.elements, system.gas_constant, source)
    _forces_of_excluded(system, checked, found, record, pressure)
    if strict:
        record.require_no_exclusion()
    return outcome


def _binary_by_engine(system, checked, temperatures, pressure, pressure_given, strict):
    """The Outcome of a diagram through pycalphad."""
    found = calphad_map.map_engine(system, checked, temperatures, pressure)
    names = system.elements_sorted()
    record = Record("G", ("T", "P", "N"), {"T": ([float(temperatures[0]), float(temperatures[-1])], "K, from and to"), "P": (pressure, "Pa"), "P as given": (pressure_given, "")},
                    {f"{i.kind}: {', '.join(i.phases)}": ([i.temperature, *i.x], f"K, x({names[1]})") for i in found.invariants}, _candidates(checked), [system.data(checked)],
                    system.gas_constant, {"tie lines asked again by equilibria in their middle, |x difference|": found.misses},
                    [*checked.notes, f"engine: {system.engine_version()}, mapping; transitions of second order have no two-phase field and draw no line",
                     *(f"not confirmed at {t:g} K, x = {x:.4g}: {text}" for t, x, text in found.unconfirmed)])
    if found.unconfirmed:
        record.status, record.reason = "failed", f"{len(found.unconfirmed)} tie lines are not confirmed by equilibria; see the notes for which stand, and for what to do"
        record.notes.append(calphad_map.WHAT_TO_DO)
    for t, a, b in found.lines:
        mu = system.point(checked, t, pressure, {names[1]: 0.5 * (a + b)})["mu"] if checked.left_out else None
        for k, c in enumerate(record.candidates):
            if c.name in checked.left_out:
                value = system.driving_forces(t, pressure, mu, [c.name])[c.name]
                if c.driving_force is None or value > c.driving_force:
                    record.candidates[k] = Candidate(c.name, "excluded", f"left out by the user; greatest at {t:g} K", value)
    if strict:
        record.require_no_exclusion()
    source = figures.source_text(system.data(checked), system.gas_constant)
    return Outcome([record], {"diagram": calphad_map.table(found)}, {"diagram": lambda: figures.engine_diagram(found, names, source)}, len(found.unconfirmed))


def _candidates(checked):
    return [Candidate(p, "used") for p in checked.phases] + [Candidate(p, "excluded", why) for p, why in checked.excluded.items()]


def _forces_of_excluded(system, checked, found, record, pressure):
    """Driving forces of what the user left out, at every tie line: the greatest goes to the record."""
    forces = {}
    for t, lines in zip(found.temperatures, found.lines):
        for line in lines or ():
            mu = dict(zip(system.elements, line.mu))
            for name, value in system.driving_forces(float(t), pressure, mu, checked.left_out).items():
                if value > forces.get(name, (-np.inf, 0))[0]:
                    forces[name] = (value, float(t))
    record.candidates = [c if c.name not in forces else Candidate(c.name, "excluded", f"{c.reason}; greatest at {forces[c.name][1]:g} K", forces[c.name][0]) for c in record.candidates]


def gibbs(path, strict=False):
    """data, candidates, excluded; [conditions] temperature, pressure; [elements] amounts or [feed] substances, mol. The driving force is given of all in the
    data that is not among the candidates."""
    deck, folder = open_deck(path)
    file, names = deck.take("data", str, REQUIRED, '"gas.toml"'), deck.words("candidates", REQUIRED, '["CO", "CO2"] or ["all"]')
    excluded = deck.words("excluded", [])
    conditions = deck.table("conditions")
    given = _given(conditions, "pressure")
    t, p = conditions.number("temperature", "K", REQUIRED), conditions.number("pressure", "Pa", REQUIRED, '"1 atm"')
    conditions.end()
    elements, feed = deck.table("elements", required=False), deck.table("feed", required=False)
    amounts = {e: elements.number(e, "mol") for e in list(elements.data)}
    fed = {n: feed.number(n, "mol") for n in list(feed.data)}
    if bool(amounts) == bool(fed):
        deck.problems.append("give either [elements] or [feed], in mol")
    deck.end()
    finish(deck)
    substances, data = read_substances(folder / file)
    if fed:
        amounts = gmin.element_amounts(fed, substances)
    found = gmin.minimise(substances, amounts, t, p, data.gas_constant, left_out(substances, names, excluded))
    record = gmin.record(found, amounts, t, p, given, substances, data.gas_constant)
    if strict:
        record.require_no_exclusion()
    return Outcome([record])


def react(path, strict=False):
    """data, reactions = ["CO + H2O = CO2 + H2"], temperature, reference_pressure, per (a substance, for lines per mole of it); or, without data, temperature
    and [isomerisation] delta_g, interaction."""
    deck, folder = open_deck(path)
    if "isomerisation" in deck.data:
        return isomerisation(deck, deck.table("isomerisation"))
    file, texts = deck.take("data", str, REQUIRED, '"gas.toml"'), deck.words("reactions", REQUIRED, '["CO + H2O = CO2 + H2"]')
    t = deck.numbers("temperature", "K", REQUIRED)
    per = deck.take("per", str)
    given = _given(deck, "reference_pressure")
    p0 = deck.number("reference_pressure", "Pa", REQUIRED, '"1 bar" (of the K that is wanted)')
    deck.end()
    finish(deck)
    substances, data = read_substances(folder / file)
    reactions = [parse_reaction(text, substances) for text in texts]
    if per and any(per not in r.stoichiometry for r in reactions):
        raise ThermoInputError(f"per = {per!r}: not in every reaction; leave it out, or choose a substance of all")
    rows, records = [("T_K", "reaction", "delta_H_J_per_mol", "delta_S_J_per_mol_K", "delta_G_J_per_mol", "ln_K")], []
    shift = np.log(p0 / data.reference_pressure)                # a gas of one mole gains R ln(p0'/p0) T in G, and loses as much in S
    gibbs = np.array([r.delta_g(t) + r.gas_moles() * data.gas_constant * t * shift for r in reactions])
    ln_k = -gibbs / (data.gas_constant * t)
    for r, g, k in zip(reactions, gibbs, ln_k):
        for values in zip(t, r.delta_h(t), r.delta_s(t) - r.gas_moles() * data.gas_constant * shift, g, k):
            rows.append((repr(float(values[0])), str(r), *(repr(float(v)) for v in values[1:])))
        values = {f"ln K at {tt:g} K": (float(kk), "") for tt, kk in list(zip(t, k))[:: max(1, len(t) // 8)]}
        records.append(Record("G", ("T", "P", "N"), {"reaction": (str(r), ""), "reference pressure": (p0, "Pa"), "as given": (given, "")}, values,
                              [Candidate(n, "used", substances[n].phase) for n in r.stoichiometry], [data], data.gas_constant, {"element balance (mol)": r.imbalance()},
                              [f"moles of gas made: {r.gas_moles():g}; the data's own reference pressure is {data.reference_pressure:g} Pa"], minimised=False))
    names, source = [str(r) for r in reactions], figures.source_text(data, data.gas_constant)
    drawn = {"equilibrium_constants": lambda: figures.equilibrium_constants(names, t, ln_k, p0, source)}
    if per:
        scale = np.array([[abs(r.stoichiometry[per])] for r in reactions])
        drawn["standard_lines"] = lambda: figures.standard_lines(names, t, gibbs / scale, per, p0, source)
    return Outcome(records, {"reactions": rows}, drawn)


def heat_capacity(path, strict=False):
    """data, substance (one or a list: phases of one substance, with their transitions), temperature."""
    deck, folder = open_deck(path)
    file, names = deck.take("data", str, REQUIRED, '"metal.toml"'), deck.words("substances", REQUIRED, '["Al(s)", "Al(l)"]')
    t = deck.numbers("temperature", "K", REQUIRED)
    deck.end()
    finish(deck)
    substances, data = read_substances(folder / file)
    chosen = choose_candidates(substances, names)
    rows, values, changes = [("T_K", "substance", "Cp_J_per_mol_K", "H_J_per_mol", "S_J_per_mol_K", "G_J_per_mol")], {}, []
    for n, s in chosen.items():
        c = s.caloric
        inside = t[(t >= c.low) & (t <= c.high)] if len(chosen) > 1 else t
        for row in zip(inside, c.cp(inside), c.h(inside), c.s(inside), c.g(inside)):
            rows.append((repr(float(row[0])), n, *(repr(float(v)) for v in row[1:])))
        values[f"range of {n}"] = ([c.low, c.high], "K")
        for at, latent, _ in c.joints():
            if abs(latent) > LEAST_LATENT_HEAT:
                changes.append((at, f"transition of {n}"))
                values[f"transition of {n} at {at:g} K"] = ([at, latent, latent / at], "K, J/mol, J/mol/K")
    listed = list(chosen.values())
    for a, b in zip(listed, listed[1:]):
        if a.elements != b.elements:            # two substances, not two phases of one
            continue
        at, latent, entropy = transition(a.caloric, b.caloric)
        values[f"{a.name} = {b.name}"] = ([at, latent, entropy], "K, J/mol, J/mol/K")
        changes.append((at, f"{a.name} = {b.name}"))
    jumps = [abs(step) for s in listed for _, _, step in s.caloric.joints()]
    record = Record("G", ("T", "P", "N"), {"T": ([float(t.min()), float(t.max())], "K, from and to")}, values, [Candidate(s.name, "used", s.phase) for s in listed], [data],
                    data.gas_constant, {"step of G where two ranges meet (J/mol)": max(jumps)} if jumps else {}, minimised=False)
    source = figures.source_text(data, data.gas_constant)
    return Outcome([record], {"heat_capacity": rows}, {"heat_capacity": lambda: figures.heat_capacities([s.caloric for s in listed], t, changes, source)})


def coexistence_slope(path, strict=False):
    """temperature, latent_heat and volume_change (per mole or per kilogram, both the same)."""
    deck, _ = open_deck(path)
    t = deck.number("temperature", "K", REQUIRED)
    mass = "kg" in str(_given(deck, "latent_heat")).split("/")[-1]
    per = "kg" if mass else "mol"
    latent, dv = deck.number("latent_heat", f"J/{per}", REQUIRED), deck.number("volume_change", f"m^3/{per}", REQUIRED)
    deck.end()
    finish(deck)
    slope = clapeyron.slope(t, latent, dv)
    return Outcome([Record("G", ("T", "P", "N"), {"T": (t, "K"), "latent heat": (latent, f"J/{per}"), "volume change": (dv, f"m^3/{per}")}, {"dP/dT": (slope, "Pa/K")}, minimised=False)])


def transport(path, strict=False):
    """A deck with either run (the folder of a conductivity run) or temperature, conductivity, density, charge and, where known, tracer_diffusion; and
    thermodynamic_factor and host. Or the folder of a run, or its numbers.json, instead of a deck."""
    if not str(path).endswith(".toml"):
        return Outcome([transport_link.record(**transport_link.from_run(path))])
    deck, folder = open_deck(path)
    run = deck.take("run", str)
    needed = None if run else REQUIRED
    given = {"temperature": deck.number("temperature", "K", needed), "sigma": deck.number("conductivity", "S/m", needed), "sigma_error": deck.number("conductivity_error", "S/m", 0.0),
             "density": deck.number("density", "1/m^3", needed), "charge": deck.number("charge", "1", needed, "1"), "tracer": deck.number("tracer_diffusion", "m^2/s"),
             "tracer_error": deck.number("tracer_error", "m^2/s", 0.0)}
    factor, host = deck.number("thermodynamic_factor", "1"), deck.take("host", str, "fixed stoichiometry", choices=("intercalation", "lattice model", "fixed stoichiometry"))
    if run and any(v for v in given.values()):
        deck.problems.append("run is given: leave out " + ", ".join(k for k, v in given.items() if v) + ", which come from it")
    deck.end()
    finish(deck)
    if run:
        given = transport_link.from_run(folder / run)
    return Outcome([transport_link.record(**given, factor=factor, host=host)])


def rates(path, strict=False):
    """parent, temperature, pressure, composition, molar_volume, gradient_energy, collective_diffusion, host; [system] of two components; optional [couple]
    left, right, length, time."""
    deck, folder = open_deck(path)
    build = _system(deck, folder)
    parent, host = deck.take("parent", str, REQUIRED, '"FCC_A1"'), deck.take("host", str, REQUIRED, '"lattice model"', ("intercalation", "lattice model"))
    t, given = deck.number("temperature", "K", REQUIRED), _given(deck, "pressure")
    p, x = deck.number("pressure", "Pa", REQUIRED, '"1 atm"'), deck.number("composition", "1", REQUIRED, "0.3")
    volume, kappa = deck.number("molar_volume", "m^3/mol", REQUIRED, '"1e-5 m^3/mol"'), deck.number("gradient_energy", "J*m^2/mol", REQUIRED, '"4e-16 J*m^2/mol"')
    collective = deck.number("collective_diffusion", "m^2/s", REQUIRED)
    couple = deck.table("couple", required=False) if "couple" in deck.data else None
    if couple:
        ends = [couple.number(side, "1", REQUIRED, "0.1") for side in ("left", "right")]
        length, time = couple.number("length", "m", REQUIRED, '"4 um"'), couple.number("time", "s", REQUIRED, '"1 h"')
        couple.end()
    deck.end()
    deck.problems += [f"{key} = {value:g} must be positive" for key, value in (("molar_volume", volume), ("gradient_energy", kappa), ("collective_diffusion", collective))
                      if value is not None and not value > 0]
    deck.problems += [f"couple.{side} = {value:g}: a mole fraction between 0 and 1, ends excluded" for side, value in (zip(("left", "right"), ends) if couple else ())
                      if value is not None and not 0 < value < 1]
    finish(deck)
    system = build()
    if len(system.elements) != 2:
        raise BeyondBinary(f"components {', '.join(system.elements)}: rates are given for two; leave the others out")
    checked = system.check({"T": t, "P": p, "X": {system.elements[1]: x}})
    phases = {f.name: f for f in binary_phases(system.db, system.elements, checked.phases, system.gas_constant)}
    if not isinstance(phases.get(parent), SolutionPhase):
        raise UnknownPhase(f"parent = {parent!r}: a solution phase among {', '.join(n for n, f in phases.items() if isinstance(f, SolutionPhase))} is needed")
    mother, r = phases[parent], system.gas_constant
    factor = float(transport_link.thermodynamic_factor(mother, t, x, r))
    values = {"thermodynamic factor": (factor, ""), "D_chem": (transport_link.chemical_diffusion(factor, collective, host), "m^2/s")}
    forces = kinetics.precipitation(mother, phases.values(), t, x, r)
    values.update({f"driving force to {n}": (list(found), f"J/mol of atoms, x({system.elements[1]}) of the nucleus") for n, found in forces.items()})
    gaps, wall, notes = tie_lines([mother], t, r), None, []
    line = next((one for one in gaps if one.x[0] < x < one.x[1]), None)
    if line:
        wall = kinetics.interface(mother, line, t, kappa, r)
        surface = wall["energy"] / volume
        values["interface of the gap"] = ([surface, wall["width"]], "J/m^2, m (middle 80 %)")
        if factor > 0:
            radius, barrier = kinetics.nucleation_barrier(surface, forces[parent][0] / volume)
            values["critical nucleus of the gap's other side"] = ([radius, barrier, barrier * kinetics.AVOGADRO / (r * t)], "m, J, k_B T")
        else:
            values["fastest wave inside the spinodal"] = (list(kinetics.fastest_wave(mother, t, x, kappa, collective, r)), "m, 1/s")
            notes.append("inside the spinodal: the phase decomposes without a barrier")
    profile, residuals = None, {}
    if couple:
        profile, released, residuals = _couple(mother, t, r, ends, length, time, collective)
        values["Gibbs energy released in the couple"] = (released / volume, "J/m^2")
    record = Record("G", ("T", "P", "N"), {"T": (t, "K"), "P": (p, "Pa"), "P as given": (given, ""), f"x({system.elements[1]}) of {parent}": (x, "")}, values,
                    [Candidate(n, "used", "", float(found[0])) for n, found in forces.items()] + [Candidate(n, "excluded", why) for n, why in checked.excluded.items()],
                    [system.data(checked)], r, residuals, notes, minimised=False)
    source = figures.source_text(system.data(checked), r)
    span = np.linspace(0.002, 0.998, 500)
    roots = spinodal(mother, t, r)
    return Outcome([record], {}, {"kinetics": lambda: figures.driving_forces(
        span, transport_link.thermodynamic_factor(mother, t, span, r), (list(zip(roots[::2], roots[1::2])), [one.x for one in gaps]), profile,
        wall and (wall["z"], wall["x"]), f"{parent}, {t:g} K", source)})


def _couple(phase, t, gas_constant, ends, length, time, collective, cells=100):
    """((z, start, end, end with Gamma = 1), J m/mol released, residuals) of two pieces joined at the middle."""
    z = (np.arange(cells) + 0.5) * length / cells
    start = np.where(z < 0.5 * length, *ends)
    end = kinetics.diffuse(start, length / cells, lambda x: collective * transport_link.thermodynamic_factor(phase, t, x, gas_constant), time)
    constant = kinetics.diffuse(start, length / cells, lambda x: np.full_like(x, collective), time)
    f = phase.at(t, gas_constant)
    before, after = (float(np.sum(f.g(np.log(x / (1 - x)))) * length / cells) for x in (start, end))
    return (z, start, end, constant), before - after, {"amount in the couple (mole fraction)": abs(float(end.mean() - start.mean()))}


JOBS = {"eq": equilibrium, "binary": binary, "gibbs": gibbs, "react": react, "cp": heat_capacity, "eos": equation_of_state, "clapeyron": coexistence_slope, "link": transport,
        "kinetics": rates, "activity": activities, "free_energy": free_energies}
