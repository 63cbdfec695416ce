"""One benchmark process of the single-rank prototypes: PATH CASE STEPS BLOCKS FOLDER float64|float32 (see peers.run_prototype).

They were written for AVX-512; elsewhere their reciprocal roots become sqrt and division and their compress-store a loop over bits.
They make their lists anew after a fixed number of steps and do not look whether a particle has moved too far in between. Here this number is the mean of how long the lists are safe,
by the rule of our loop, so that both codes miss no pair; blocks at the number that they were written with are timed beside them, with the force error that it causes."""
import json
import sys
import time
from pathlib import Path

import numpy as np
from cases import case_of, system_of
from peers import PROTOTYPE_SPLITTING

from hpcnemd.kernels.simd import choose_path, trailing_zeros


def make_portable():
    """Replaces what only AVX-512 has, before the prototypes' modules use it."""
    import perf_simd
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic

    @intrinsic
    def mask_bits(context, mask):
        def code(context, builder, signature, arguments):
            return builder.zext(builder.bitcast(arguments[0], ir.IntType(16)), ir.IntType(64))
        return types.int64(mask), code

    @njit(error_model="numpy")
    def compress_store(array, place, base, mask):
        bits = mask_bits(mask)
        at = place
        while bits:
            array[at] = base + trailing_zeros(bits)
            at += 1
            bits &= bits - 1
        return at - place
    perf_simd.compress_store16 = compress_store
    import perf_ionic
    kernel, lines = perf_ionic.mk_i4jk, perf_ionic.pair_src
    perf_ionic.mk_i4jk = lambda element, k, dp, de, roots, full, *more, **named: kernel(element, k, dp, de, 0, full, *more, **named)
    perf_ionic.pair_src = lambda dp, de, kind, roots, *more, **named: lines(dp, de, kind, 0, *more, **named)
    import perf_md_lj
    lennard_jones = perf_md_lj.ljp
    perf_md_lj.ljp = lambda kind, roots: lennard_jones(kind, 0)


def field_of(system):
    """The table in the form that MDI takes."""
    names, field = system.kinds.names, system.forcefield
    terms = {(a, b): field.terms(p, q) for a, p in enumerate(names) for b, q in enumerate(names)}
    matrix = lambda value: np.array([[value(terms[a, b]) for b in range(len(names))] for a in range(len(names))])       # noqa: E731
    born = field.name == "nacl_tosi_fumi"
    return {"kind": "born" if born else "buck", "q": list(system.kinds.charge), "m": [float(field.masses[field.species.index(n)]) for n in names],
            "A": matrix(lambda t: t.a1 * t.decay), "C": matrix(lambda t: 6 * t.powers.get(6, 0.0)),
            "D": matrix(lambda t: 8 * t.powers.get(8, 0.0)) if born else matrix(lambda t: -1.4426950408889634 * (t.decay or 1.0))}


def engine_of(case, system, single):
    """(object with run(steps), a function that gives its forces by id)."""
    element = np.float32 if single else np.float64
    rng = np.random.default_rng(3)
    position = system.position - np.floor(system.position / system.box.lengths) * system.box.lengths
    lengths, n = np.array(system.box.lengths), len(position)
    if not case.charged:
        import perf_md_lj
        velocity = rng.normal(size=position.shape) * np.sqrt(case.temperature)
        md = perf_md_lj.MD(position, velocity - velocity.mean(0), lengths, case.cutoff, case.skin, case.timestep, element)
        return md, None
    import perf_md_ion
    field, (beta, spacing, skin) = field_of(system), PROTOTYPE_SPLITTING[case.forcefield]
    if field["kind"] == "born":
        perf_md_ion.RHO = 1 / system.forcefield.terms("Na", "Cl").decay
    mass = np.array(field["m"])[system.species] * 103.6427
    velocity = rng.normal(size=position.shape) * np.sqrt(8.617e-5 * case.temperature / mass)[:, None]
    beta = case.damping or beta
    mesh = tuple(2 * int(np.ceil(length / spacing / 2)) for length in lengths)
    md = perf_md_ion.MDI(position, velocity, system.species.astype(np.int32), lengths, case.cutoff, skin, case.timestep, beta, 8, mesh, element, ff=field, kspace=case.mesh)

    def forces():
        out = np.zeros((n, 3))
        out[md.id] = md.F[:, md.slots].T
        return out
    return md, forces


def by_place(md, force):
    """(n, 3) forces in the order of md.pos, for `force` (3, slots) of the slots as they stand."""
    order = np.asarray(md.order[:md.ns])
    slots = np.flatnonzero(order >= 0)
    out = np.empty((md.n, 3))
    out[order[slots]] = np.asarray(force)[:, slots].T
    return out


def lists_last(md, skin, trials=5):
    """Mean number of steps after which a particle has moved half a skin."""
    counts = []
    for _ in range(trials):
        md.run(1, 1)
        start, steps = md.X[:, :md.ns].copy(), 0
        while steps == 0 or 2 * np.sqrt((np.square(md.X[:, :md.ns] - start).sum(axis=0)).max()) < skin:
            md.run(1, 10**9)
            steps += 1
        counts.append(steps)
    return float(np.mean(counts))


def missed(md, every, pack):
    """Rms difference of the force components on lists `every` steps old to those on new lists, over their rms."""
    md.run(1, 1)
    md.run(every - 1, 10**9)
    slots = np.flatnonzero(np.asarray(md.order[:md.ns]) >= 0)
    old = np.asarray(md.F)[:, slots].T.copy()           # in the order that pack gives to md.pos
    pack(md.X, md.V, md.order, md.ns, md.L, md.pos, md.vel, None)
    md.rebuild()
    md.force()
    new = by_place(md, md.F)
    return float(np.sqrt(np.square(old - new).mean() / np.square(new).mean()))


def main(path, name, steps, blocks, folder, kind):
    sys.path.insert(0, path)
    if choose_path("auto") != "avx512":
        make_portable()
    case, steps = case_of(name), int(steps)
    system = system_of(case)
    md, forces = engine_of(case, system, kind == "float32")
    if forces is not None and case.mesh:
        np.save(Path(folder, "prototype.npy"), forces())
    rounding = None
    if not case.charged and kind == "float32":          # beside the same code in float64: a force on each particle for the same positions
        exact, found = (by_place(one, one.F) for one in (engine_of(case, system, False)[0], md))
        rounding = float(np.sqrt(np.square(found - exact).mean() / np.square(exact).mean()))
    md.run(steps)
    own, skin = (10, PROTOTYPE_SPLITTING[case.forcefield][2]) if case.charged else (20, case.skin)
    safe = lists_last(md, skin)
    every, blocks_of = {"blocks": max(1, round(safe)), "blocks_unchecked": own}, {"blocks": [], "blocks_unchecked": []}
    for _ in range(int(blocks)):
        for kind, found in blocks_of.items():
            wall, cpu = time.perf_counter(), time.process_time()
            md.run(steps, every[kind])
            found.append([time.perf_counter() - wall, time.process_time() - cpu])
    module = sys.modules[type(md).__module__]
    said = {"particles": len(system.species), "steps": steps, **blocks_of, "phases": {}, "version": "prototype", "lists_every": every["blocks"],
            "unchecked_every": own, "unchecked_force_error": missed(md, own, module.pack), "rounding_force_error": rounding}
    Path(folder, "prototype.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:7])
