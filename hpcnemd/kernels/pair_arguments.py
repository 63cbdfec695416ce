"""First and last lines of a generated pair kernel: what it takes, and the way from the rows of the state and back."""

SLOTS = {"slot_row": "i4[::1]", "route": "i4[::1]", "shift": "f8[:,::1]", "owned_slots": "i8", "slots": "i8", "receiving": "i8"}


def arguments(plan):
    """{name: numba's signature text} of a kernel's arguments. `whole`: it takes the positions from the rows and brings the forces back to them itself (see pair_slots);
    `pointer`, `reach`: where each group of the list begins, and how far it is gone through; `unit_x` ...: length of one unit of the integer positions."""
    real, place = ("f4", "i4") if plan.mixed else ("f8", "f8")
    kinds = {"whole": "b1", "position": "f8[:,::1]", "force_rows": "f8[:,::1]", **SLOTS, **({"per_length": "f8[::1]", "middle": "f8[::1]"} if plan.mixed else {})}
    kinds |= {"observe": "b1", "x": f"{place}[::1]", "y": f"{place}[::1]", "z": f"{place}[::1]", "rows": f"{place}[::1]", "species": "i4[::1]", "foremost": "i8", "clusters": "i8", "kinds": "i8",
             "pointer": "i8[::1]", "reach": "i8[::1]", "neighbour": "i4[::1]", "parameters": f"{real}[::1]", "partners": f"{real}[::1]"}
    kinds.update({f"unit_{axis}": real for axis in "xyz"} if plan.mixed else {})
    kinds.update(dict.fromkeys(("cutoff2", "scale", "beta", "switch_start", "switch_inverse"), real))
    kinds.update(dict.fromkeys(("P", "Q", "E", "pieces"), f"{real}[::1]"))
    kinds.update(dict.fromkeys(("force", "fx", "fy", "fz", "observed"), "f8[::1]"))
    return {**kinds, "work": f"{real}[::1]", "place": "i4[::1]", "sums": "f8[::1]"} if plan.vector else kinds


def definition(plan):
    """One signature per kernel, compiled when the kernel's file is imported."""
    takes = arguments(plan)
    return f'''from hpcnemd.kernels.pair_slots import bring_back, lay_out_{"fractions" if plan.mixed else "positions"}


@njit("void({", ".join(takes.values())})", cache=True, nogil=True, error_model="numpy")
def kernel({", ".join(takes)}):
    if whole:
        lay_out_{"fractions(per_length, middle, " if plan.mixed else "positions("}position, {", ".join(SLOTS)}, x, y, z, rows, force)'''


BRING_BACK = '''    if whole:
        bring_back(force_rows, slot_row, owned_slots, slots, receiving, force, fx, fy, fz)'''
