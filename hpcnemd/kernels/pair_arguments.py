"""First and last lines of a generated pair kernel: what it takes, and the way from the rows of the state and back."""

SLOTS = {"slot_row": "i4[::1]", "route": "i4[::1]", "shift": "f8[:,::1]", "owned_slots": "i8", "slots": "i8", "receiving": "i8"}


def arguments(plan):
    """{name: numba's signature text} of a kernel's arguments. `fetch`: it first takes the positions from the rows; `deliver`: it brings what
    the slots have got as j back to them at the end (see pair_slots); `pointer`, `reach`: where each group of the list begins, and how far it is gone through;
    `unit_x` ...: length of one unit of the integer positions."""
    real, place = ("f4", "i4") if plan.mixed else ("f8", "f8")
    kinds = {"fetch": "b1", "deliver": "b1", "position": "f8[:,::1]", "force_rows": "f8[:,::1]", **SLOTS, **({"per_length": "f8[::1]", "middle": "f8[::1]"} if plan.mixed else {})}
    kinds |= {"observe": "b1", "rows": f"{place}[::1]", "species": "i4[::1]", "foremost": "i8", "clusters": "i8", "kinds": "i8",
             "pointer": "i8[::1]", "reach": "i8[::1]", "neighbour": "i4[::1]", "parameters": f"{real}[::1]", "partners": f"{real}[::1]"}
    kinds.update({f"unit_{axis}": real for axis in "xyz"} if plan.mixed else {})
    kinds.update(dict.fromkeys(("cutoff2", "scale", "beta", "switch_start", "switch_inverse"), real))
    kinds.update(dict.fromkeys(("P", "Q", "E", "pieces"), f"{real}[::1]"))
    kinds.update(dict.fromkeys(("force", "observed"), "f8[::1]"))
    return {**kinds, "work": f"{real}[::1]", "place": "i4[::1]", "sums": "f8[::1]"} if plan.vector else kinds


def definition(plan):
    """One signature per kernel, compiled when the kernel's file is imported."""
    takes = arguments(plan)
    return f'''from hpcnemd.kernels.pair_slots{"_simd" if plan.vector else ""} import bring_back, lay_out_{"fractions" if plan.mixed else "positions"}


@njit("void({", ".join(takes.values())})", cache=True, nogil=True, error_model="numpy")
def kernel({", ".join(takes)}):
    if fetch:
        lay_out_{"fractions(per_length, middle, " if plan.mixed else "positions("}position, slot_row, route, shift, owned_slots, slots, rows)'''


BRING_BACK = '''    if deliver:
        bring_back(force_rows, slot_row, slots, receiving, force)'''
