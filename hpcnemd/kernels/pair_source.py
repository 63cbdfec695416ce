"""Source text of pair kernels: one kernel per set of terms, so that a system pays for the terms that it has and nothing else.

A kernel goes through the cluster lists and computes, for every pair within the cutoff, F/r of

    qq erfc(beta r)/r + a1 e + a2 e^2 + sum_n c_n/r^n + stiffness (contact - r)^(5/2) + table,     e = exp(-decay r),

with the truncation's constants, adds forces to both particles of each pair, and, if it observes, energies and virial. Every path has the same text but for
the elementary functions: plain code calls the library's, vector code has polynomials (`coefficients`). In vector code 4 particles i meet `rows`
particles j in one vector, `unroll` such vectors are worked on at once with their statements interleaved, and the forces of an observing kernel have the same bits
as those of its silent twin. In the lines below a name that ends in @ is local to one of the unrolled vectors.

Precision "mixed" works on pairs in float32, from positions that are 32-bit fractions of a period (`pair_slots`): differences of positions are exact and
the same whichever image a rank holds. Sums are kept in float64; vector code adds the few terms of one block of the list in float32 first."""
import re
from dataclasses import dataclass

from .coefficients import EXP2_DEGREE

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
    observe: bool = False
    rows: int = 1
    unroll: int = 1

    @property
    def vector(self):
        return self.path != "plain"

    @property
    def mixed(self):
        return self.precision == "mixed"

    @property
    def multiple(self):
        """List groups are filled up to a multiple of this."""
        return self.rows


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


def _polynomial(plan, name, variable, array, degree):
    """Lines for name = sum c_k variable^k: two Horner chains, in even and odd powers, that run side by side. The array holds every coefficient in
    all lanes: an operand in memory, where a register broadcast outside the loop would be spilled to an unaligned place of the stack."""
    def c(k):
        return f"load({array}, {4 * plan.rows * k})"
    even, odd = degree - degree % 2, degree - 1 + degree % 2
    lines = [f"{variable}2@ = {variable}@ * {variable}@", f"{name}e@ = fma({variable}2@, {c(even)}, {c(even - 2)})",
             f"{name}o@ = fma({variable}2@, {c(odd)}, {c(odd - 2)})"]
    lines += [f"{name}e@ = fma({name}e@, {variable}2@, {c(k)})" for k in range(even - 4, -1, -2)]
    lines += [f"{name}o@ = fma({name}o@, {variable}2@, {c(k)})" for k in range(odd - 4, 0, -2)]
    return lines + [f"{name}@ = fma({name}o@, {variable}@, {name}e@)"]


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


def _inverse_distance(plan):
    if plan.path == "avx512":           # 14 bits, doubled once or twice
        step = "ir@ = ir@ * (1.5 - h@ * (ir@ * ir@))"
        return ["ir@ = rsqrt14(rm@)", "h@ = rm@ * 0.5"] + [step] * (1 if plan.mixed else 2)
    return ["ir@ = 1.0 / sqrt(rm@)"]


def distance_lines(plan):
    """Statements from r2@ to ir@ = 1/r; vector code takes pairs beyond the cutoff at the cutoff, so that nothing overflows."""
    return (["rm@ = minimum(r2@, cutoff2)"] if plan.vector else ["rm@ = r2@"]) + _inverse_distance(plan)


def pair_lines(plan):
    """Statements from r2@, rm@ and ir@ to s@ = F/r and, where energies are needed, us@ (short range) and uc@ (Coulomb), all zero beyond the cutoff."""
    energies = plan.observe or plan.switched
    lines = ["i2@ = ir@ * ir@"]
    gaps = [b - a for a, b in zip((0,) + plan.powers, plan.powers)]
    lines += ["i4@ = i2@ * i2@"] if any(gap % 6 >= 4 or gap >= 6 for gap in gaps) else []
    lines += ["i6@ = i4@ * i2@"] if any(gap >= 6 for gap in gaps) else []
    lines += ["r@ = rm@ * ir@"] if plan.exponential or plan.contact or plan.table or energies or not plan.vector else []
    lines += ["s@ = 0.0 * ir@"]         # F/r of the short range; replaced by the first term below
    terms = []
    if plan.powers:
        lines += _powers("p", plan.powers, "f")
        terms += ["s@ = p@ * i2@"]
    if plan.exponential:
        lines += (["u@ = fma(r@, log2, MAGIC)", "n@ = u@ - MAGIC", "g@ = fma(r@, log2, -n@)"] + _polynomial(plan, "x", "g", "E", EXP2_DEGREE[plan.precision]) + ["e@ = x@ * power_of_two(u@)"]
                  if plan.vector else ["e@ = exp(r@ * log2 * LN2)"])
        first = "fma(g2, e@, g1)" if plan.exponential == 2 else "g1"
        terms += [f"s@ = fma({first} * e@, ir@, s@)" if terms else f"s@ = {first} * e@ * ir@"]
    if plan.contact:
        lines += ["d@ = maximum(contact - r@, 0.0)", "q@ = stiffness * d@ * sqrt(d@)"]
        terms += ["s@ = fma(2.5 * q@, ir@, s@)" if terms else "s@ = 2.5 * q@ * ir@"]
    if plan.table:
        lines += ["ut@, ft@ = table_value(r@, start, inverse, first, pieces_of, pieces)"]
        terms += ["s@ = fma(ft@, ir@, s@)" if terms else "s@ = ft@ * ir@"]
    lines = [line for line in lines if line != "s@ = 0.0 * ir@" or not terms] + terms
    if energies:
        lines += _energy_lines(plan)
    if plan.switched:
        lines += ["w@ = minimum(maximum((r@ - switch_start) * switch_inverse, 0.0), 1.0)", "v@ = 1.0 - w@",
                  "sw@ = fma(w@ * w@ * w@, fma(w@, fma(w@, -6.0, 15.0), -10.0), 1.0)", "ds@ = w@ * w@ * v@ * v@ * (30.0 * switch_inverse)",
                  "s@ = fma(us@, ds@ * ir@, s@ * sw@)", "us@ = us@ * sw@"]
    if plan.shifted:
        lines += ["s@ = fma(pull, ir@, s@)"]
    lines += _coulomb_lines(plan)
    return lines + _cut_lines(plan)


def _energy_lines(plan):
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
    return lines + ["us@ = " + (" + ".join(parts) if parts else "0.0 * ir@")]


def _coulomb_lines(plan):
    if not plan.coulomb:
        return ["uc@ = 0.0 * ir@"] if plan.observe else []
    far = " + fma(far1, r@, far0)" if plan.shifted else ""
    if not plan.vector:
        return ["w1@ = erfc(beta * r@) * ir@", "s@ = fma(qq * i2@, w1@ + TWO_OVER_ROOT_PI * beta * exp(-beta * beta * rm@), s@)"] + (
            [f"uc@ = qq * w1@{far}"] if plan.observe else [])
    lines = ["t@ = fma(rm@, scale, -1.0)"] + _polynomial(plan, "c", "t", "P", plan.coulomb) + ["s@ = fma(qq, fma(ir@, i2@, c@), s@)"]
    if plan.observe:
        lines += _polynomial(plan, "k", "t", "Q", plan.coulomb) + [f"uc@ = qq * (ir@ - k@){far}"]
    return lines


def _cut_lines(plan):
    if not plan.vector:
        return []                       # plain code has skipped the pair
    lines = ["near@ = r2@ < cutoff2", "s@ = select(near@, s@, 0.0)"]
    return lines + (["us@ = select(near@, us@, 0.0)", "uc@ = select(near@, uc@, 0.0)"] if plan.observe else [])


OBSERVED = ("us", "uc", "xx", "yy", "zz", "xy", "xz", "yz")
VIRIAL = tuple((a + b, a, b) for a, b in ("xx", "yy", "zz", "xy", "xz", "yz"))


def _accumulate(plan):
    """Sums of an observing kernel for one pair (or vector of pairs)."""
    if not plan.observe:
        return []
    return ["sum_us = sum_us + us@", "sum_uc = sum_uc + uc@"] + [f"sum_{name} = fma(s@ * d{a}@, d{b}@, sum_{name})" for name, a, b in VIRIAL]


def _interleaved(lines, unroll):
    return [line.replace("@", f"_{u}") for line in lines for u in range(unroll)]


BLOCK = 64          # entries of the list
KEPT = ("dx", "dy", "dz", "r2", "rm", "ir")         # what the first loop of a block leaves to the others


def _indented(lines, depth):
    return "\n".join("    " * depth + line for line in lines)


def arguments(plan):
    """{name: numba's signature text} of a kernel's arguments. `unit_x` ...: length of one unit of the integer positions."""
    real, place = ("f4", "i4") if plan.mixed else ("f8", "f8")
    kinds = {"x": f"{place}[::1]", "y": f"{place}[::1]", "z": f"{place}[::1]", "rows": f"{place}[::1]", "species": "i4[::1]", "clusters": "i8", "kinds": "i8",
             "pointer": "i8[::1]", "neighbour": "i4[::1]", "parameters": f"{real}[::1]", "earlier": f"{real}[::1]"}
    kinds.update({f"unit_{axis}": real for axis in "xyz"} if plan.mixed else {})
    kinds.update(dict.fromkeys(("cutoff2", "scale", "beta", "switch_start", "switch_inverse"), real))
    kinds.update(dict.fromkeys(("P", "Q", "E", "pieces"), f"{real}[::1]"))
    return {**kinds, **dict.fromkeys(("force", "fx", "fy", "fz", "observed"), "f8[::1]")}


def _definition(plan):
    """One signature per kernel, compiled when the kernel's file is imported."""
    takes = arguments(plan)
    return f'''@njit("void({", ".join(takes.values())})", cache=True, error_model="numpy")
def kernel({", ".join(takes)}):'''


def source(plan):
    """The text of a Python file that defines `kernel`."""
    return _vector_source(plan) if plan.vector else _plain_source(plan)


def _used(plan):
    """Parameters that this kernel reads."""
    names = parameter_names(plan)
    if plan.observe or plan.switched:
        return names if plan.observe else tuple(n for n in names if n not in ("far0", "far1"))
    return tuple(n for n in names if n not in ("a1", "a2", "short0", "short1", "far0", "far1") and not n.startswith("c") or n == "contact")


def _vector_source(plan):
    names, used, lanes = parameter_names(plan), _used(plan), 4 * plan.rows
    stride = 4 * len(names)
    place = [f"d{a}@ = to_float({a}i - {a}_of(v@)) * unit_{a}" if plan.mixed else f"d{a}@ = {a}i - {a}_of(v@)" for a in "xyz"]
    place += ["r2@ = fma(dx@, dx@, fma(dy@, dy@, dz@ * dz@))"]
    near = place + distance_lines(plan)
    push = ["ax = fma(s@, dx@, ax)", "ay = fma(s@, dy@, ay)", "az = fma(s@, dz@, az)"]
    inner = ["o%d = (c * kinds + species[b + m * %d + %d]) * %d" % (r, plan.rows, r, stride) for r in range(plan.rows)]
    for name in used:
        at = ", ".join(f"o{r} + {4 * names.index(name)}" for r in range(plan.rows))
        inner.append(f"{name} = load_quads(parameters, ({at},))")
    inner += [f"v@ = load_rows_at(rows, b + m * {plan.rows})"] + place + [f"r2@ = select(load(earlier, m * {lanes}) > 0.5, r2@, 1e30)"]
    inner += distance_lines(plan) + pair_lines(plan) + push
    inner += [f"subtract_rows_at(force, b + m * {plan.rows}, row_sums(s@ * dx@, s@ * dy@, s@ * dz@))"] + _accumulate(plan)
    # Three short loops over a block of the list instead of one long one: distances and roots, pair function, forces. As one chain they would be longer than
    # the processor can look ahead, and the constants of all three would not fit into its registers. Vectors without a pair inside the cutoff end with the first.
    size = lanes * len(KEPT)
    near = ["v@ = load_rows(rows, neighbour, k)"] + near + [f"store(work, q + {lanes * i}, {name}@)" for i, name in enumerate(KEPT)]
    near += ["place[m] = k", "inside = int64(bits(r2@ < cutoff2) != 0)", "m += inside", f"q += {size} * inside"]
    middle = [f"{name}@ = load(work, q + {lanes * KEPT.index(name)} + {size} * @)" for name in (KEPT if plan.observe else KEPT[3:])]
    middle = [line.replace("* @", f"* {u}").replace("@", f"_{u}") for line in middle for u in range(plan.unroll)]
    middle += _interleaved(pair_lines(plan), plan.unroll)
    middle += [f"store(work, q + {lanes * 3 + size * u}, s_{u})" for u in range(plan.unroll)] + _interleaved(_accumulate(plan), plan.unroll)
    last = [f"{name}@ = load(work, q + {lanes * i})" for i, name in enumerate(("dx", "dy", "dz", "s"))] + push
    last += ["subtract_rows(force, neighbour, place[n], row_sums(s@ * dx@, s@ * dy@, s@ * dz@))"]
    near, last = ([line.replace("@", "_0") for line in lines] for lines in (near, last))
    beyond = [f"store(work, q + {lanes * 3 + size * u}, splat(real(1e30)))" for u in range(plan.unroll - 1)]       # to fill the last turn of the second loop
    header = ["from numba import njit", "from hpcnemd.kernels.simd import fma, lanes, maximum, minimum, power_of_two, rsqrt14, select, sqrt, total, bits, to_float, widen",
              "from hpcnemd.kernels.simd_rows import rows as row_functions", "", f"_lanes, _rows = lanes({lanes}), row_functions({plan.rows})",
              "load, splat, store = _lanes.load, _lanes.splat, _lanes.store", "from numba import int64", "import numpy as np"] + [f"{f} = _rows.{f}" for f in ("load_rows", "load_rows_at", "load_quads", "load_i", "x_of", "y_of", "z_of",
              "row_sums", "subtract_rows", "subtract_rows_at", "store_i")] + [f"MAGIC, real = {MAGIC[plan.precision]!r}, np.{'float32' if plan.mixed else 'float64'}"]
    sums = [("ax", "force_x"), ("ay", "force_y"), ("az", "force_z")]
    watched = [(f"sum_{name}", f"whole_{name}") for name in OBSERVED] if plan.observe else []
    zero = [f"{part} = splat(real(0.0))" for part, _ in sums]
    # float32 sums end with each block of the list
    flush = [f"{whole} = {whole} + widen({part})" for part, whole in sums + watched] + [f"{part} = splat(real(0.0))" for part, _ in sums + watched] if plan.mixed else []
    last_of = {part: whole if plan.mixed else part for part, whole in sums + watched}
    return f'''# {plan}
{_indented(header, 0)}


{_definition(plan)}
{_indented([f"{part} = splat(real(0.0))" for part, _ in watched], 1)}
{_indented([f"{whole} = splat(0.0)" for _, whole in watched] if plan.mixed else [], 1)}
    # ones: what fills the last turn of the second loop is multiplied by zero, and must be finite for that
    work, place = np.ones({(BLOCK // plan.rows + plan.unroll) * size}, real), np.empty({BLOCK // plan.rows}, np.int64)
    for c in range(clusters):
        b = 4 * c
        xi, yi, zi = load_i(x, b), load_i(y, b), load_i(z, b)
{_indented(zero + [f"{whole} = splat(0.0)" for _, whole in sums] if plan.mixed else zero, 2)}
        for m in range({4 // plan.rows}):
{_indented([line.replace("@", "_0") for line in inner], 3)}
        for t in range(kinds):
            begin, end = pointer[c * kinds + t], pointer[c * kinds + t + 1]
            if begin == end:
                continue
            o = (c * kinds + t) * {stride}
{_indented([f"{name} = load_i(parameters, o + {4 * names.index(name)})" for name in used], 3)}
            for low in range(begin, end, {BLOCK}):
                m, q = 0, 0
                for k in range(low, min(low + {BLOCK}, end), {plan.rows}):
{_indented(near, 5)}
{_indented(beyond, 4)}
                for n in range(0, m, {plan.unroll}):
                    q = n * {size}
{_indented(middle, 5)}
                for n in range(m):
                    q = n * {size}
{_indented(last, 5)}
{_indented(flush, 4)}
{_indented(flush, 2)}
        store_i(fx, b, {last_of["ax"]})
        store_i(fy, b, {last_of["ay"]})
        store_i(fz, b, {last_of["az"]})
{_indented([f"observed[{k}] = total({last_of[part]})" for k, (part, _) in enumerate(watched)], 1)}
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
    names, used = parameter_names(plan), _used(plan)
    stride = 4 * len(names)
    place = [f"d{a}@ = real(int32({a}[i] - {a}j)) * unit_{a}" if plan.mixed else f"d{a}@ = {a}[i] - {a}j" for a in "xyz"]
    body = place + ["r2@ = fma(dx@, dx@, fma(dy@, dy@, dz@ * dz@))", "if r2@ < cutoff2:"]
    pair = [f"{name} = parameters[o + {4 * names.index(name)} + i - b]" for name in used] + pair_lines(plan)
    pair += ["fx[i] += s@ * dx@", "fy[i] += s@ * dy@", "fz[i] += s@ * dz@", "gx += s@ * dx@", "gy += s@ * dy@", "gz += s@ * dz@"] + _accumulate(plan)
    pair = pair[:len(used)] + distance_lines(plan) + pair[len(used):]
    loop = _indented([line.replace("@", "_0") for line in body], 0).split("\n") + _indented([line.replace("@", "_0") for line in pair], 1).split("\n")
    particle = ["xj, yj, zj = rows[4 * j], rows[4 * j + 1], rows[4 * j + 2]", "gx, gy, gz = 0.0, 0.0, 0.0"]
    back = ["force[4 * j] -= gx", "force[4 * j + 1] -= gy", "force[4 * j + 2] -= gz"]
    return f'''# {plan}
from numpy import {"float32" if plan.mixed else "float64"} as real, int32
{_of_precision(plan, PLAIN_FUNCTIONS)}

{_definition(plan)}
{_indented([f"sum_{name} = 0.0" for name in OBSERVED] if plan.observe else [], 1)}
    for i in range(4 * clusters):
        fx[i], fy[i], fz[i] = 0.0, 0.0, 0.0
    for c in range(clusters):
        b = 4 * c
        for j in range(b + 1, b + 4):
            o = (c * kinds + species[j]) * {stride}
{_indented(particle, 3)}
            for i in range(b, j):
{_of_precision(plan, _indented(loop, 4))}
{_indented(back, 3)}
        for t in range(kinds):
            o = (c * kinds + t) * {stride}
            for k in range(pointer[c * kinds + t], pointer[c * kinds + t + 1]):
                j = neighbour[k]
{_indented(particle, 4)}
                for i in range(b, b + 4):
{_of_precision(plan, _indented(loop, 5))}
{_indented(back, 4)}
{_indented([f"observed[{k}] = sum_{name}" for k, name in enumerate(OBSERVED)] if plan.observe else [], 1)}
'''
