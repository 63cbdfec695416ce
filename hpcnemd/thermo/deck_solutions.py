"""Decks of solutions: activities, mixing and stability of activity models, and an isomerisation in a regular solution."""
import numpy as np

from . import activity, figures, reaction
from .binary import SolutionPhase, spinodal, tie_lines
from .deck import REQUIRED, finish, open_deck
from .errors import ImpossibleComposition, ThermoInputError
from .ledger import Candidate, Record
from .outcome import Outcome, number_rows
from .potentials import difference
from .units import GAS_CONSTANT

MODELS = ("ideal", "regular", "redlich_kister", "wilson", "nrtl")


def activities(path, strict=False):
    """model, components, temperature, composition (of the second of two components) or compositions (lists of all mole fractions), and the parameters of the
    model: interaction (regular), terms (redlich_kister), lambda (wilson), tau and alpha (nrtl)."""
    deck, _ = open_deck(path)
    name, components = deck.take("model", str, REQUIRED, '"regular"', MODELS), deck.words("components", REQUIRED, '["A", "B"]')
    t = deck.number("temperature", "K", REQUIRED, '"700 K"')
    count = len(components or ())
    x = deck.numbers("composition", "1") if "composition" in deck.data else None
    rows = deck.take("compositions", list, None, "[[0.2, 0.3, 0.5]]")
    if (x is None) == (rows is None) and not deck.problems:
        deck.problems.append("give composition (of the second of two components) or compositions (lists of all mole fractions)")
    if x is not None and count != 2:
        deck.problems.append(f"composition is for two components, and {count} are given; write compositions = [[...], ...] with all mole fractions")
    model = _model(deck, name, count)
    deck.end()
    finish(deck)
    fractions = np.column_stack([1 - x, x]) if x is not None else _fractions(rows, count)
    for k, one in enumerate(fractions):
        activity.check_composition(one, "composition" if x is not None else f"compositions[{k}]")
        if np.any(one <= 0):
            raise ImpossibleComposition(f"composition {one.tolist()}: the logarithm of an activity needs all components; choose mole fractions above 0")
    if not t > 0:
        raise ThermoInputError(f"temperature = {t:g} K must be positive")
    gamma = np.array([model.ln_gamma(one, t) for one in fractions])
    excess = np.array([model.excess(one, t) for one in fractions])
    rt, mixing = GAS_CONSTANT * t, np.sum(fractions * np.log(fractions), axis=1)
    values = {f"{c}: x, ln gamma, activity": (np.column_stack([fractions[:, k], gamma[:, k], np.exp(gamma[:, k]) * fractions[:, k]]).tolist()[:: max(1, len(fractions) // 5)], "")
              for k, c in enumerate(components)}
    residuals = {"Gibbs-Duhem, greatest |sum x d ln gamma|": max(activity.gibbs_duhem(model, one, t) for one in fractions),
                 "G^ex/RT - sum x ln gamma": float(np.abs(np.sum(fractions * gamma, axis=1) - excess).max())}
    notes, gaps, unstable = [], [], []
    if count == 2:
        gaps, unstable = _stability(model, t)
        notes = [f"unstable (inside the spinodal) from x({components[1]}) = {a:.6g} to {b:.6g}" for a, b in unstable]
        values.update({f"miscibility gap {k}": (list(line.x), f"x({components[1]}) of both phases") for k, line in enumerate(gaps, 1)})
    record = Record("G", ("T", "P", "N"), {"model": (name, ""), "T": (t, "K")}, values, [Candidate("solution", "used")], [], GAS_CONSTANT, residuals, notes, minimised=False)
    head = tuple(f"{what}_{c}" for what in ("x", "ln_gamma", "activity") for c in components) + ("G_excess_J_per_mol", "G_mix_J_per_mol")
    table = np.column_stack([fractions, gamma, np.exp(gamma) * fractions, rt * excess, rt * (mixing + excess)])
    outcome = Outcome([record], {"activities": number_rows(head, table)})
    if count == 2 and len(fractions) > 2:
        outcome.figures["activities"] = lambda: figures.activities(fractions[:, 1], np.exp(gamma) * fractions, rt * (mixing + excess), components, unstable, [g.x for g in gaps],
                                                                  f"{name.replace('_', ' ')} model, {t:g} K; gas constant {GAS_CONSTANT:.10g} J/mol/K.")
    return outcome


def _model(deck, name, count):
    """The activity model with its parameters taken from the deck; None where something is missing."""
    before = len(deck.problems)
    if name == "regular":
        energy = deck.number("interaction", "J/mol", REQUIRED, '"20 kJ/mol"')
        made = activity.RedlichKister(((energy, 0.0),))
    elif name == "redlich_kister":
        parts = deck.tables("terms")
        terms = [(one.number("a", "J/mol", REQUIRED, '"20 kJ/mol"'), one.number("b", "J/mol/K", 0.0)) for one in parts]
        for one in parts:
            one.end()
        if not terms:
            deck.problems.append('terms is missing; write for example terms = [{ a = "20 kJ/mol", b = "-3 J/mol/K" }], one entry for each power of x1 - x2')
        made = activity.RedlichKister(tuple(terms))
    elif name == "wilson":
        made = activity.Wilson(_matrix(deck, "lambda", count, "[[1, 0.5], [0.8, 1]]"))
    elif name == "nrtl":
        made = activity.NRTL(_matrix(deck, "tau", count, "[[0, 1.2], [0.6, 0]]"), _matrix(deck, "alpha", count, "[[0, 0.3], [0.3, 0]]"))
    else:
        made = activity.Ideal(count)
    if isinstance(made, activity.RedlichKister) and count != 2:
        deck.problems.append(f"model = {name!r} is for two components, and {count} are given; use wilson or nrtl, or a TDB file with thermo eq")
    return made if len(deck.problems) == before else None


def _matrix(deck, name, count, example):
    rows = deck.take(name, list, REQUIRED, example)
    try:
        found = np.array(rows, float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if rows is not None and found.shape != (count, count):
        deck.problems.append(f"{name} = {rows!r}: {count} rows of {count} numbers are needed; write for example {name} = {example}")
    return tuple(map(tuple, found.tolist())) if found.ndim == 2 else ()


def _fractions(rows, count):
    try:
        found = np.array(rows, float)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.ndim != 2 or found.shape[1] != count:
        raise ThermoInputError(f"compositions = {rows!r}: lists of {count} mole fractions are needed, such as [[{', '.join(['0.1'] * (count - 1) + [f'{1 - 0.1 * (count - 1):g}'])}]]")
    return found


def _stability(model, t):
    """(miscibility gaps as TieLines, [(x, x) unstable]) of a binary. The gap is exact for polynomials (Redlich-Kister); of the other models only the unstable
    part is looked for, on a grid."""
    if isinstance(model, activity.RedlichKister):
        phase = SolutionPhase("solution", lambda _: 0.0, lambda _: 0.0, tuple(lambda at, a=a, b=b: a + b * at for a, b in model.terms))
        roots = spinodal(phase, t)
        return tie_lines([phase], t), list(zip(roots[::2], roots[1::2]))
    x = np.linspace(0.005, 0.995, 199)
    slope = np.array([difference(lambda e, u=u: float(np.diff(model.ln_gamma([1 - u - e, u + e], t))[0]), 0.0, 1e-3) for u in x])
    inside = np.flatnonzero(1 / (x * (1 - x)) + slope < 0)
    runs = np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1) if len(inside) else []
    return [], [(float(x[r[0]]), float(x[r[-1]])) for r in runs]


def isomerisation(deck, table):
    """The Outcome of a react deck with [isomerisation] delta_g, interaction: A = B in a regular solution over temperature."""
    t = deck.numbers("temperature", "K", REQUIRED)
    energy, interaction = table.number("delta_g", "J/mol", REQUIRED, '"5 kJ/mol"'), table.number("interaction", "J/mol", 0.0)
    table.end()
    deck.end()
    finish(deck)
    if np.any(t <= 0):
        raise ThermoInputError(f"temperature = {t.min():g} K must be positive")
    rows = [(one, reaction.equilibrium_constant(energy, one), *reaction.isomerisation(energy, float(one), interaction)) for one in t]
    # the affinity left at the root: Delta G0 + R T ln(x/(1-x)) + L (1-2x)
    left = max(abs(energy + GAS_CONSTANT * one * np.log(x / (1 - x)) + interaction * (1 - 2 * x)) for one, _, x, _ in rows)
    record = Record("G", ("T", "P", "N"), {"reaction": ("A = B", ""), "standard Gibbs energy": (energy, "J/mol"), "interaction": (interaction, "J/mol")},
                    {f"K, x(B), G over pure A at {one:g} K": ([float(k), x, g], "1, 1, J/mol") for one, k, x, g in rows[:: max(1, len(rows) // 8)]},
                    [Candidate("A", "used"), Candidate("B", "used")], [], GAS_CONSTANT, {"affinity (J/mol)": float(left)})
    return Outcome([record], {"isomerisation": number_rows(("T_K", "K", "x_B", "G_over_pure_A_J_per_mol"), rows)})
