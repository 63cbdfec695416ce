"""Source text of pair kernels: one kernel per set of terms, so that a system pays for the terms that it has and nothing else.

A kernel goes through the lists of clusters [foremost, clusters) and computes, for every pair within the cutoff, F/r of

    qq erfc(beta r)/r + a1 e + a2 e^2 + sum_n c_n/r^n + stiffness (contact - r)^(5/2) + table,     e = exp(-decay r),

with the truncation's constants, adds forces to both particles of each pair, and, if it is told to observe, energies and virial. Every path has the same text but for
the elementary functions: plain code calls the library's, vector code has polynomials (`coefficients`). In vector code 4 particles i meet `rows`
particles j in one vector, and `unroll` such vectors are worked on at once with their statements interleaved. Forces have the same bits whether energies are
observed or not. In the lines below a name that ends in @ is local to one of the unrolled vectors. The text is short on purpose: a cold start waits for
its compilation.

Precision "mixed" works on pairs in float32, from positions that are 32-bit fractions of a period (`pair_slots`): differences of positions are exact and
the same whichever image a rank holds. Sums are kept in float64; vector code adds the few terms of one block of the list in float32 first."""
import re
from dataclasses import dataclass

import numpy as np

from .coefficients import EXP2_DEGREE
from .memory import zeros
from .pair_arguments import BRING_BACK, definition

LOG2_E = 1.4426950408889634
MAGIC = {"double": 1.5 * 2**52, "mixed": 1.5 * 2**23}           # adding it rounds to an integer, which then stands in the low bits


@dataclass(frozen=True)
class KernelPlan:
    """What one kernel has. `precision`: "double" or "mixed"; `coulomb`: degree of its polynomials, 0 without charges (plain code: 1); `exponential`: 0,
    1 (e) or 2 (also e^2)."""
    path: str
    precision: str = "double"
    coulomb: int = 0
    exponential: int = 0
    powers: tuple = ()
    shifted: bool = False
    switched: bool = False
    contact: bool = False
    table: bool = False
    rows: int = 1
    unroll: int = 1

    @property
    def vector(self):
        return self.path != "plain"

    @property
    def mixed(self):
        return self.precision == "mixed"

    @property
    def even(self):
        """Only even powers of r: no root is needed."""
        others = self.coulomb or self.exponential or self.shifted or self.switched or self.contact or self.table
        return not others and all(n % 2 == 0 for n in self.powers)

    @property
    def full(self):
        """Every cluster lists all owned particles near it (`pair_full`): the pair function costs less than forces on both sides."""
        return self.vector and not (self.coulomb or self.exponential or self.switched or self.contact or self.table)

    @property
    def multiple(self):
        """List groups are filled up to a multiple of this."""
        return self.rows * self.unroll if self.full else self.rows

    @property
    def groups(self):
        """Groups of a cluster's list for each species of the particles j: where the list is full, owned ones and behind them ghosts."""
        return 2 if self.full else 1


def parameter_names(plan):
    """Names of a pair's parameters in the order of the kernel's array. First those that forces need: qq = k_e q_i q_j; `log2` = -decay log2(e);
    `g1` = decay a1, `g2` = 2 decay a2; `f{n}` = n c_n; `pull` = -(force taken off by the truncation); contact, table. Then those of energies: a1, a2,
    c_n and the truncation's e0 + e1 r for the short-range and the Coulomb part."""
    names = ["qq"] if plan.coulomb else []
    names += ["log2", "g1"] if plan.exponential else []
    names += ["g2"] if plan.exponential == 2 else []
    names += [f"f{n}" for n in plan.powers]
    names += ["pull"] if plan.shifted else []
    names += ["contact", "stiffness"] if plan.contact else []
    names += ["start", "inverse", "first", "pieces_of"] if plan.table else []
    names += ["a1"] if plan.exponential else []
    names += ["a2"] if plan.exponential == 2 else []
    names += [f"c{n}" for n in plan.powers]
    names += ["short0", "short1"] if plan.shifted else []
    names += ["far0", "far1"] if plan.shifted and plan.coulomb else []
    return tuple(names)


def _inverse_power(gap):
    """An expression for r^-gap from ir and i2 = ir^2."""
    factors = ["i6@"] * (gap // 6) + ["i4@"] * (gap % 6 // 4) + ["i2@"] * (gap % 6 % 4 // 2) + ["ir@"] * (gap % 2)
    return " * ".join(factors)


def _powers(name, powers, letter):
    """Lines for name = sum_n letter_n r^-n, from the highest power inwards."""
    value = f"{letter}{powers[-1]}"
    lines = []
    for low, high in zip(powers[-2::-1], powers[:0:-1]):
        lines.append(f"{name}@ = fma({value}, {_inverse_power(high - low)}, {letter}{low})")
        value = f"{name}@"
    return lines + [f"{name}@ = {value} * ({_inverse_power(powers[0])})"]


def distance_lines(plan):
    """Statements from r2@ to rm@ and ir@ = 1/r (or i2@ = 1/r^2). Vector code takes pairs beyond the cutoff at the cutoff, so that nothing overflows; where all that
    follows is a sum of powers of 1/r, this is zero for them."""
    if plan.full and plan.even and plan.path == "avx512":
        more = "h@" if plan.mixed else "fma(h@, h@, h@)"
        return ["rm@ = r2@", "near@ = r2@ < cutoff2", "i2@ = rcp14(rm@)", "h@ = fma(-rm@, i2@, 1.0)", f"i2@ = select(near@, fma({more}, i2@, i2@), 0.0)"]
    if plan.full:
        lines = ["rm@ = r2@", "near@ = r2@ < cutoff2"]
        return lines + (["i2@ = select(near@, 1.0 / rm@, 0.0)"] if plan.even else ["ir@ = select(near@, 1.0 / sqrt(rm@), 0.0)"])
    lines = ["rm@ = minimum(r2@, cutoff2)"] if plan.vector else ["rm@ = r2@"]
    if plan.even:
        return lines + ["i2@ = 1.0 / rm@"]
    if plan.path == "avx512":           # 14 bits, made 28 or 42 by one or two terms of (1 - h)^(-1/2), with h = 1 - r2 ir^2
        more = "ir@ * 0.5" if plan.mixed else "ir@ * fma(h@, 0.375, 0.5)"
        return lines + ["ir@ = rsqrt14(rm@)", "h@ = fma(-(rm@ * ir@), ir@, 1.0)", f"ir@ = fma({more}, h@, ir@)"]
    return lines + ["ir@ = 1.0 / sqrt(rm@)"]


def _needs_distance(plan):
    return bool(plan.exponential or plan.contact or plan.table or plan.switched or not plan.vector and not plan.even)


def pair_lines(plan):
    """Statements from rm@ and ir@ (or i2@) to s@ = F/r, zero beyond the cutoff."""
    lines = [] if plan.even else ["i2@ = ir@ * ir@"]
    gaps = [b - a for a, b in zip((0,) + plan.powers, plan.powers)]
    lines += ["i4@ = i2@ * i2@"] if any(gap % 6 >= 4 or gap >= 6 for gap in gaps) else []
    lines += ["i6@ = i4@ * i2@"] if any(gap >= 6 for gap in gaps) else []
    lines += ["r@ = rm@ * ir@"] if _needs_distance(plan) else []
    terms = []
    if plan.powers:
        lines += _powers("p", plan.powers, "f")
        terms += ["s@ = p@ * i2@"]
    if plan.exponential:
        lines += (["u@ = fma(r@, log2, MAGIC)", "n@ = u@ - MAGIC", "g@ = fma(r@, log2, -n@)", "x@ = exp2_polynomial(g@, E)", "e@ = x@ * power_of_two(u@)"]
                  if plan.vector else ["e@ = exp(r@ * log2 * LN2)"])
        first = "fma(g2, e@, g1)" if plan.exponential == 2 else "g1"
        terms += [f"s@ = fma({first} * e@, ir@, s@)" if terms else f"s@ = {first} * e@ * ir@"]
    if plan.contact:
        lines += ["d@ = maximum(contact - r@, 0.0)", "q@ = stiffness * d@ * sqrt(d@)"]
        terms += ["s@ = fma(2.5 * q@, ir@, s@)" if terms else "s@ = 2.5 * q@ * ir@"]
    if plan.table:
        lines += ["ut@, ft@ = table_value(r@, start, inverse, first, pieces_of, pieces)"]
        terms += ["s@ = fma(ft@, ir@, s@)" if terms else "s@ = ft@ * ir@"]
    lines += terms or ["s@ = 0.0 * rm@"]
    if plan.switched:
        lines += _short_energy(plan)
        lines += ["w@ = minimum(maximum((r@ - switch_start) * switch_inverse, 0.0), 1.0)", "v@ = 1.0 - w@",
                  "sw@ = fma(w@ * w@ * w@, fma(w@, fma(w@, -6.0, 15.0), -10.0), 1.0)", "ds@ = w@ * w@ * v@ * v@ * (30.0 * switch_inverse)",
                  "s@ = fma(us@, ds@ * ir@, s@ * sw@)", "us@ = us@ * sw@"]
    if plan.shifted:
        lines += ["s@ = fma(pull, ir@, s@)"]
    if plan.coulomb and plan.vector:
        lines += ["t@ = fma(rm@, scale, -1.0)", "c@ = ewald_polynomial(t@, P)", "s@ = fma(qq, fma(ir@, i2@, c@), s@)"]
    elif plan.coulomb:
        lines += ["w1@ = erfc(beta * r@) * ir@", "s@ = fma(qq * i2@, w1@ + TWO_OVER_ROOT_PI * beta * exp(-beta * beta * rm@), s@)"]
    # plain code has skipped pairs beyond the cutoff
    return lines + (["near@ = rm@ < cutoff2", "s@ = select(near@, s@, 0.0)"] if plan.vector and not plan.full else [])


def _short_energy(plan):
    """Short-range energy us@ before truncation by a switch."""
    parts, lines = [], []
    if plan.powers:
        lines += _powers("pu", plan.powers, "c")
        parts += ["pu@"]
    if plan.exponential:
        parts += ["e@ * fma(a2, e@, a1)" if plan.exponential == 2 else "e@ * a1"]
    if plan.contact:
        parts += ["q@ * d@"]
    if plan.table:
        parts += ["ut@"]
    if plan.shifted:
        parts += ["fma(short1, r@, short0)"]
    return lines + ["us@ = " + (" + ".join(parts) if parts else "0.0 * rm@")]


def energy_lines(plan):
    """Statements that follow `pair_lines` when a pair is observed: energies us@ (short range) and uc@ (Coulomb), zero beyond the cutoff."""
    lines = ["r@ = rm@ * ir@"] if plan.shifted and not _needs_distance(plan) else []
    lines += [] if plan.switched else _short_energy(plan)
    far = " + fma(far1, r@, far0)" if plan.shifted else ""
    if plan.coulomb and plan.vector:
        lines += ["k@ = ewald_polynomial(t@, Q)", f"uc@ = qq * (ir@ - k@){far}"]
    else:
        lines += [f"uc@ = qq * w1@{far}" if plan.coulomb else "uc@ = 0.0 * rm@"]
    return lines + (["us@ = select(near@, us@, 0.0)", "uc@ = select(near@, uc@, 0.0)"] if plan.vector else [])


VIRIAL = tuple((a, b) for a, b in ("xx", "yy", "zz", "xy", "xz", "yz"))         # after us and uc, what a kernel observes


def interleaved(lines, unroll):
    """The lines for each of the unrolled vectors, in turn; a polynomial is worked out for all of them by one call."""
    out = []
    for line in lines:
        call = re.fullmatch(r"(\w+)@ = (\w+_polynomial)\((\w+)@, (\w)\)", line)
        if call:
            results, arguments = ("".join(f"{call[k]}_{u}, " for u in range(unroll)) for k in (1, 3))
            out.append(f"{results.strip()[:-1] if unroll > 1 else results.strip()} = {call[2]}(({arguments}), {call[4]})")
        else:
            out += [line.replace("@", f"_{u}") for u in range(unroll)]
    return out


BLOCK = 64          # entries of the list
PLACES = ["own = load_four(rows, b)"] + [f"{a}i = {a}s_of(own)" for a in "xyz"]         # of the particles i of a cluster, whose first slot is b
KEPT = ("dx", "dy", "dz", "rm", "ir")               # what the first loop of a block leaves to the others (i2 in place of ir where no root is taken); the second puts s in the place of the last


def indented(lines, depth):
    return "\n".join("    " * depth + line for line in lines)


def scratch(plan):
    """Work space that a kernel's last arguments want, one set for each thread: nothing for plain code.

    Ones: what fills the last turn of the second loop is multiplied by zero, and must be finite for that."""
    if not plan.vector:
        return ()
    lanes = 4 * plan.rows
    turns = (BLOCK + 4) // plan.rows + plan.unroll
    work = zeros(turns * lanes * len(KEPT), np.float32 if plan.mixed else np.float64)
    work[:] = 1.0
    return work, zeros(BLOCK + 4 + plan.rows, np.int32), zeros(8 * lanes, np.float64)


def source(plan):
    """The text of a Python file that defines `kernel`."""
    return _vector_source(plan) if plan.vector else _plain_source(plan)


def used_parameters(plan):
    """(parameters that forces need, those that only energies need)."""
    names = parameter_names(plan)
    energies = [n for n in names if n in ("a1", "a2", "short0", "short1", "far0", "far1") or n[0] == "c" and n[1:].isdigit()]
    if plan.switched:
        energies = [n for n in energies if n in ("far0", "far1")]
    return [n for n in names if n not in energies], energies


def place_lines(plan):
    """Statements from xi, yi, zi and the particles v@ to their differences and r2@."""
    lines = [f"d{a}@ = to_float({a}i - {a}_of(v@)) * unit_{a}" if plan.mixed else f"d{a}@ = {a}i - {a}_of(v@)" for a in "xyz"]
    return lines + ["r2@ = fma(dx@, dx@, fma(dy@, dy@, dz@ * dz@))"]


def own_force(plan):
    """Names of the vectors whose rows, added, are the forces on the particles i."""
    return ", ".join(f"force_{a}" if plan.mixed else f"a{a}" for a in "xyz")


def flushed(plan):
    """float32 sums end with each block of the list."""
    return [f"force_{a} = force_{a} + widen(a{a})" for a in "xyz"] + [f"a{a} = splat(real(0.0))" for a in "xyz"] if plan.mixed else []


def header(plan):
    """Lines above a vector kernel: what it takes its functions from."""
    lanes = 4 * plan.rows
    found = ["import numpy as np", "from numba import int64, njit",
              "from hpcnemd.kernels.simd import bits, fma, lanes, maximum, minimum, polynomial, power_of_two, rcp14, rsqrt14, select, sqrt, to_float, total, widen",
              "from hpcnemd.kernels.simd_rows import add_four, add_four_at, load_four, prefetch_three, rows as row_functions", "",
              f"_lanes, _few, _rows = lanes({lanes}), lanes({plan.rows}), row_functions({plan.rows})",
              "load, splat, store, load_few, store_few = _lanes.load, _lanes.splat, _lanes.store, _few.load, _few.store"]
    found += [f"{f} = _rows.{f}" for f in ("load_rows", "load_rows_at", "load_quads", "load_i", "x_of", "y_of", "z_of", "xs_of", "ys_of", "zs_of", "row_sums", "subtract_rows")]
    found += [f"MAGIC, real = {MAGIC[plan.precision]!r}, np.{'float32' if plan.mixed else 'float64'}",
               f"exp2_polynomial, ewald_polynomial = polynomial({EXP2_DEGREE[plan.precision]}, {lanes}), polynomial({max(plan.coulomb, 2)}, {lanes})"]
    return found


def _vector_source(plan):
    names, (used, observed), lanes = parameter_names(plan), used_parameters(plan), 4 * plan.rows
    stride, size = 4 * len(names), lanes * len(KEPT)
    kept, s_at = KEPT[:4] + ("i2" if plan.even else "ir",), lanes * 4
    place = place_lines(plan)
    store = distance_lines(plan) + [f"store(work, q + {lanes * i}, {name}@)" for i, name in enumerate(kept)]
    store += ["inside = int64(bits(r2@ < cutoff2) != 0)", "m += inside", f"q += {size} * inside"]
    # inside a cluster: each i with the later j of this species
    own = ", ".join(f"4 * (k + {r}) * (species[b + k + {r}] == t)" for r in range(plan.rows))
    inner = ["v@ = load_rows_at(rows, b + k)"] + place + [f"r2@ = select(load_quads(partners, ({own},)) > 0.5, r2@, 1e30)"]
    inner += [f"place[{plan.rows} * m + {r}] = b + k + {r}" for r in range(plan.rows)] + store
    # Three short loops over a block of the list instead of one long one: distances and roots, pair function, forces. As one chain they would be longer than
    # the processor can look ahead, and the constants of all three would not fit into its registers. Vectors without a pair inside the cutoff end with the first.
    near = ["v@ = load_rows(rows, neighbour, k)"] + place + [f"store_few(place, {plan.rows} * m, load_few(neighbour, k))"] + store
    middle = [f"{name}_{u} = load(work, q + {lanes * kept.index(name) + size * u})" for name in kept[3:] for u in range(plan.unroll)]
    middle += interleaved(pair_lines(plan), plan.unroll) + [f"store(work, q + {s_at + size * u}, s_{u})" for u in range(plan.unroll)]
    last = [f"{name}@ = load(work, q + {at})" for name, at in (("dx", 0), ("dy", lanes), ("dz", 2 * lanes), ("s", s_at))]
    last += [f"a{a} = fma(s@, d{a}@, a{a})" for a in "xyz"]
    last += [f"subtract_rows(force, place, {plan.rows} * n, row_sums(s@ * dx@, s@ * dy@, s@ * dz@))"]
    # ir has given its place to s; what only s needs of the repeated statements, the compiler drops
    watch = [f"{name}@ = load(work, q + {lanes * kept.index(name)})" for name in kept[:4]] + ["r2@ = rm@"] + distance_lines(plan) + pair_lines(plan) + energy_lines(plan)
    watch += [f"s@ = load(work, q + {s_at})"]
    wide = "widen({})" if plan.mixed else "{}"
    watch += [f"store(sums, {lanes * i}, load(sums, {lanes * i}) + {wide.format(value)})"
              for i, value in enumerate(("us@", "uc@") + tuple(f"s@ * d{a}@ * d{b}@" for a, b in VIRIAL))]
    inner, near, last = ([line.replace("@", "_0") for line in lines] for lines in (inner, near, last))
    beyond = [f"store(work, q + {lanes * 3 + size * u}, splat(cutoff2))" for u in range(plan.unroll - 1)]       # to fill the last turn of the second loop
    zero = [f"a{a} = splat(real(0.0))" for a in "xyz"]
    flush = flushed(plan)
    return f'''# {plan}
{indented(header(plan), 0)}


{definition(plan)}
    if observe:
        for k in range({8 * lanes}):
            sums[k] = 0.0
    for c in range(foremost, clusters):
        b = 4 * c
{indented(PLACES + zero + ([f"force_{a} = splat(0.0)" for a in "xyz"] if plan.mixed else []), 2)}
        for t in range(kinds):
            low, end = pointer[c * kinds + t], reach[c * kinds + t]
            o = (c * kinds + t) * {stride}
{indented([f"{name} = load_i(parameters, o + {4 * names.index(name)})" for name in used], 3)}
            m, q = 0, 0
            for k in range(0, 4, {plan.rows}):
{indented(inner, 4)}
            while m or low < end:
                for k in range(low, min(low + {BLOCK}, end), {plan.rows}):
{indented(near, 5)}
{indented(beyond, 4)}
                for n in range(0, m, {plan.unroll}):
                    q = n * {size}
{indented(middle, 5)}
                if observe:
{indented([f"{name} = load_i(parameters, o + {4 * names.index(name)})" for name in observed], 5)}
                    for n in range(m):
                        q = n * {size}
{indented(interleaved(watch, 1), 6)}
                for n in range(m):
                    q = n * {size}
{indented(last, 5)}
{indented(flush, 4)}
                m, q, low = 0, 0, low + {BLOCK}
        add_four(force, b, {own_force(plan)})
    if observe:
        for k in range(8):
            observed[k] = total(load(sums, {lanes} * k))
{BRING_BACK}
'''


PLAIN_FUNCTIONS = '''from math import erfc, exp, sqrt

from numba import njit

LN2, TWO_OVER_ROOT_PI = 0.6931471805599453, 1.1283791670955126


@njit(error_model="numpy")
def fma(a, b, c):
    return a * b + c


@njit(error_model="numpy")
def minimum(a, b):
    return a if a < b else b


@njit(error_model="numpy")
def maximum(a, b):
    return a if a > b else b


@njit(error_model="numpy")
def table_value(r, start, inverse, first, number, pieces):
    """(U, F) of a cubic piece; a straight line below the first, zero beyond the last."""
    at = (r - start) * inverse
    if at >= number:
        return 0.0, 0.0
    k = max(int(at), 0)
    w = at - k
    o = 4 * (int(first) + k)
    if at < 0.0:
        return pieces[o] + pieces[o + 1] * w, -pieces[o + 1] * inverse
    energy = pieces[o] + w * (pieces[o + 1] + w * (pieces[o + 2] + w * pieces[o + 3]))
    return energy, -(pieces[o + 1] + w * (2.0 * pieces[o + 2] + 3.0 * w * pieces[o + 3])) * inverse
'''


def _of_precision(plan, text):
    """Plain code of a pair with its literals in the precision of the pair: a bare literal would turn float32 into float64."""
    return re.sub(r"(?<![\w.])\d+\.\d+(?!\w)", r"real(\g<0>)", text) if plan.mixed else text


def _plain_source(plan):
    names, (used, observed) = parameter_names(plan), used_parameters(plan)
    stride = 4 * len(names)
    offsets = [(a, f"4 * i + {k}" if k else "4 * i") for k, a in enumerate("xyz")]
    place = [f"d{a}@ = real(int32(rows[{at}] - {a}j)) * unit_{a}" if plan.mixed else f"d{a}@ = rows[{at}] - {a}j" for a, at in offsets]
    body = place + ["r2@ = fma(dx@, dx@, fma(dy@, dy@, dz@ * dz@))", "if r2@ < cutoff2:"]
    def load(which):
        return [f"{name} = parameters[o + {4 * names.index(name)} + i - b]" for name in which]
    pair = load(used) + distance_lines(plan) + pair_lines(plan)
    pair += [f"force[{at}] += s@ * d{a}@" for a, at in offsets] + ["gx += s@ * dx@", "gy += s@ * dy@", "gz += s@ * dz@", "if observe:"]
    watch = load(observed) + energy_lines(plan)
    watch += [f"observed[{k}] += {value}" for k, value in enumerate(("us@", "uc@") + tuple(f"s@ * d{a}@ * d{b}@" for a, b in VIRIAL))]
    loop = [line.replace("@", "_0") for line in body + ["    " + line for line in pair] + ["        " + line for line in watch]]
    particle = ["xj, yj, zj = rows[4 * j], rows[4 * j + 1], rows[4 * j + 2]", "gx, gy, gz = 0.0, 0.0, 0.0"]
    back = ["force[4 * j] -= gx", "force[4 * j + 1] -= gy", "force[4 * j + 2] -= gz"]
    return f'''# {plan}
from numpy import {"float32" if plan.mixed else "float64"} as real, int32
{_of_precision(plan, PLAIN_FUNCTIONS)}

{definition(plan)}
    observed[:] = 0
    for c in range(foremost, clusters):
        b = 4 * c
        for j in range(b + 1, b + 4):
            o = (c * kinds + species[j]) * {stride}
{indented(particle, 3)}
            for i in range(b, j):
{_of_precision(plan, indented(loop, 4))}
{indented(back, 3)}
        for t in range(kinds):
            o = (c * kinds + t) * {stride}
            for k in range(pointer[c * kinds + t], reach[c * kinds + t]):
                j = neighbour[k]
{indented(particle, 4)}
                for i in range(b, b + 4):
{_of_precision(plan, indented(loop, 5))}
{indented(back, 4)}
{BRING_BACK}
'''
