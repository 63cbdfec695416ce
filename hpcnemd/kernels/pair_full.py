"""Source text of the vector kernels of cheap pair functions (`KernelPlan.full`): powers of the distance, for which writing to the particles j would take longer than
working out a pair once more.

The list of a cluster holds every owned particle near it, those before it too, and gives force to its own four alone; the ghosts, which come as a half shell, stand
behind in groups of their own and get their forces. No vector is left out: to look for those without a pair would take longer. Signature, units and sums are those of
`pair_source`; a pair of owned particles is met twice and observed with half its weight."""
from .pair_arguments import BRING_BACK, definition
from .pair_source import BLOCK, PLACES, VIRIAL, distance_lines, energy_lines, flushed, header, indented, interleaved, own_force, pair_lines, parameter_names, place_lines, used_parameters


def full_source(plan):
    """The text of a Python file that defines `kernel`."""
    names, (used, observed), lanes = parameter_names(plan), used_parameters(plan), 4 * plan.rows
    stride, step = 4 * len(names), plan.rows * plan.unroll
    place, pair = place_lines(plan), distance_lines(plan) + pair_lines(plan)
    gain = [f"a{a} = fma(s@, d{a}@, a{a})" for a in "xyz"]
    kept = ("dx", "dy", "dz", "r2")
    own = ", ".join(f"4 * (k + {r} + 1) * (species[b + k + {r}] == t)" for r in range(plan.rows))
    inside = ["v@ = load_rows_at(rows, b + k)"] + place + [f"r2@ = select(load_quads(partners, ({own},)) > 0.5, r2@, 1e30)"]

    def entries(lines):
        """The lines, each for all vectors of a turn; {row} is the first entry of a vector, {at} its place in the work space, 16 numbers an entry."""
        return [line.replace("@", f"_{u}").format(row=plan.rows * u, at=16 * plan.rows * u) for line in lines for u in range(plan.unroll)]
    # Two short loops over a block of the list: as one chain, a pair would be longer than the processor can look ahead. With AVX-512 and without a division it is not.
    chained = plan.path == "avx512" and plan.even
    block = 4 * BLOCK if chained else BLOCK
    near = ["q = 16 * (k - low)"] + entries(["v@ = load_rows(rows, neighbour, k + {row})"] + place + [f"store(work, q + {{at}} + {lanes * i}, {name}@)" for i, name in enumerate(kept)])
    far = ["q = 16 * (k - low)"] + entries([f"r2@ = load(work, q + {{at}} + {3 * lanes})"] + pair + [f"d{a}@ = load(work, q + {{at}} + {lanes * i})" for i, a in enumerate("xyz")] + gain)
    one = entries(["v@ = load_rows(rows, neighbour, k + {row})"] + place + pair + gain)
    back = entries(["subtract_rows(force, neighbour, k + {row}, row_sums(s@ * dx@, s@ * dy@, s@ * dz@))"])
    wide = "widen({})" if plan.mixed else "{}"
    sums = ("us@", "uc@") + tuple(f"s@ * d{a}@ * d{b}@" for a, b in VIRIAL)
    watch = pair + energy_lines(plan) + [f"store(sums, {lanes * i}, fma(weight, {wide.format(value)}, load(sums, {lanes * i})))" for i, value in enumerate(sums)]
    load = [f"{name} = load_i(parameters, o + {4 * names.index(name)})" for name in used]
    zero = [f"a{a} = splat(real(0.0))" for a in "xyz"]
    flush = flushed(plan)

    def run(more):
        """The block [low, top)."""
        return "\n".join(f"                for k in range(low, top, {step}):\n{indented(lines, 5)}" for lines in ([one + more] if chained else [near, far + more]))

    def loop(group, more):
        return f'''            low, end = pointer[g + {group}], reach[g + {group}]
            while low < end:
                top = min(low + {block}, end)
{run(more)}
{indented(flush, 4)}
                low = top'''
    return f'''# {plan}
{indented(header(plan), 0)}


{definition(plan)}
    if observe:
        for k in range({8 * lanes}):
            sums[k] = 0.0
    for c in range(foremost, clusters):
        b = 4 * c
        for lane in range(4):           # where the cluster's forces go in the end: rows of a large system have left the near caches
            prefetch_three(force_rows, slot_row[b + lane])
{indented(PLACES + zero + ([f"force_{a} = splat(0.0)" for a in "xyz"] if plan.mixed else []), 2)}
        for t in range(kinds):
            g, o = 2 * c * kinds + t, (c * kinds + t) * {stride}
{indented(load, 3)}
            for k in range(0, 4, {plan.rows}):
{indented(interleaved(inside + pair + gain, 1), 4)}
{loop("0", [])}
{loop("kinds", back)}
            if observe:
{indented([f"{name} = load_i(parameters, o + {4 * names.index(name)})" for name in observed], 4)}
                for k in range(0, 4, {plan.rows}):
                    weight = 0.5
{indented(interleaved(inside + watch, 1), 5)}
                for group in range(2):
                    weight = 0.5 * (group + 1)
                    for k in range(pointer[g + group * kinds], reach[g + group * kinds], {plan.rows}):
{indented(interleaved(["v@ = load_rows(rows, neighbour, k)"] + place + watch, 1), 6)}
{indented(flush, 2)}
        add_four_at(force_rows, slot_row, b, {own_force(plan)})
    if observe:
        for k in range(8):
            observed[k] = total(load(sums, {lanes} * k))
{BRING_BACK}
'''
