"""Topic 24: from thermodynamics to transport, free energies from simulation, and the worked examples of driving forces."""
import numpy as np
import pytest
from invented_systems import BINARY, gap

from hpcnemd.thermo import binary, eos, free_energy, from_tdb, global_thermo, kinetics, tdb, transport_link
from hpcnemd.thermo.errors import ThermoInputError
from hpcnemd.thermo.units import GAS_CONSTANT


def exclusion_process(occupation, sites, replicas, sweeps, seed):
    """(D_sigma/D_0, its standard error, tracer D*/D_0): particles hop to empty neighbours on a ring, one random bond of each replica at a time.

    D_0 = 1 site^2 per sweep: a sweep tries each bond once on average, and a lone particle moves over both of its bonds.
    """
    rng = np.random.default_rng(seed)
    count = int(round(occupation * sites))
    label = np.full((replicas, sites), -1)
    for r in range(replicas):
        label[r, rng.permutation(sites)[:count]] = np.arange(count)
    moved, row = np.zeros((replicas, count)), np.arange(replicas)
    for _ in range(sweeps * sites):
        left = rng.integers(sites, size=replicas)
        right = (left + 1) % sites
        a, b = label[row, left], label[row, right]
        go, back = (a >= 0) & (b < 0), (a < 0) & (b >= 0)
        moved[row[go], a[go]] += 1
        moved[row[back], b[back]] -= 1
        hop = go | back
        label[row[hop], left[hop]], label[row[hop], right[hop]] = b[hop], a[hop]
    current = moved.sum(axis=1)
    collective = current ** 2 / count / (2 * sweeps)
    return collective.mean(), collective.std(ddof=1) / np.sqrt(replicas), float(np.mean(moved ** 2) / (2 * sweeps))


def test_topic_24_exclusion_process():
    """D_sigma = (1-x) D_0 (x L/(L-1) on a ring), Gamma = 1/(1-x): D_chem = D_0. The tracer's diffusion, and so Nernst and Einstein, would be wrong by far.

    Chance that correct code fails: each of the two checks at 4 standard errors of 600 replicas, below 2e-4 together; the seed is fixed.
    """
    for occupation, seed in ((0.25, 1), (0.75, 2)):
        sites = 40
        collective, error, tracer = exclusion_process(occupation, sites, 600, 40, seed)
        exact = (1 - occupation) * sites / (sites - 1)
        assert abs(collective - exact) < 4 * error
        factor = float(transport_link.lattice_gas_factor(occupation))
        assert abs(transport_link.chemical_diffusion(factor, collective, "lattice model") - sites / (sites - 1)) < 4 * error * factor
        haven, _ = transport_link.haven_ratio(tracer, collective)
        assert haven < 0.5                                      # single file: the tracer is held back by its neighbours


def test_topic_24_conductivity_to_diffusion_and_back():
    d = transport_link.conductivity_diffusion(12.0, 2.4e28, 1, 700.0)
    assert transport_link.conductivity_from_diffusion(d, 2.4e28, 1, 700.0) == pytest.approx(12.0, rel=1e-14)
    assert d == pytest.approx(12.0 * 8.617333262e-5 * 700 / (2.4e28 * 1.602176634e-19), rel=1e-9)         # k_B/q in V/K
    assert transport_link.haven_ratio(1.0, 2.0, 0.1, 0.2) == (0.5, pytest.approx(0.5 * np.hypot(0.1, 0.1)))
    record = transport_link.record(700.0, 12.0, 0.6, 2.4e28, 1, tracer=1e-10)
    assert "D_chem" not in record.values and any("fixed stoichiometry" in n for n in record.notes)
    with pytest.raises(ThermoInputError, match="fixed stoichiometry"):
        transport_link.chemical_diffusion(2.0, d, "fixed stoichiometry")


def test_topic_24_from_the_report_of_a_conductivity_run(tmp_path):
    """numbers.json as the ionic_conductivity experiment writes it; D* and D_sigma give its own Haven ratio back."""
    import json

    from hpcnemd.analysis.blocks import student
    from hpcnemd.thermo import deck_jobs
    n, volume, t, d_star, d_sigma = 448, 8 * 13.17 ** 3, 700.0, 3.1e-10, 2.2e-10
    sigma = transport_link.conductivity_from_diffusion(d_sigma, n / (volume * 1e-30), 1, t)
    tracer = student(d_star * 1e5, d_star * 1e4, 20, "angstrom^2/fs").as_dict() | {"cm2_per_s": d_star * 1e4, "error_cm2_per_s": d_star * 1e3}
    numbers = {"settings": {"species": ["Li", "O"], "counts": [n, 768], "formal_charges_e": [1.0, -2.0], "mobile": ["Li"], "temperature_K": t, "volume_angstrom3": volume},
               "conductivity": student(sigma, 0.05 * sigma, 20, "S/m").as_dict(), "diffusion": {"Li": tracer}}
    (tmp_path / "report").mkdir()
    file = tmp_path / "report" / "numbers.json"
    file.write_text(json.dumps(numbers))
    record = deck_jobs.transport(tmp_path).records[0]
    assert record.values["D_sigma"][0] == pytest.approx([d_sigma, 0.05 * d_sigma], rel=1e-12)
    assert record.values["Haven ratio"][0] == pytest.approx([d_star / d_sigma, d_star / d_sigma * np.hypot(0.1, 0.05)], rel=1e-12)
    deck = tmp_path / "link.toml"
    deck.write_text(f'run = "{tmp_path}"\nthermodynamic_factor = 1.5\nhost = "lattice model"\n')
    assert deck_jobs.transport(deck).records[0].values["D_chem"][0][0] == pytest.approx(1.5 * d_sigma, rel=1e-12)
    deck.write_text(f'run = "{tmp_path}"\nthermodynamic_factor = 1.5\n')
    with pytest.raises(ThermoInputError, match="fixed stoichiometry"):
        deck_jobs.transport(deck)
    for change, words in (({"conductivity": None, "refusals": ["too short"]}, "too short"), ({"settings": numbers["settings"] | {"mobile": ["Li", "O"]}}, "2 mobile species"),
                          ({"settings": {}}, "not the report")):
        file.write_text(json.dumps(numbers | change))
        with pytest.raises(ThermoInputError, match=words):
            deck_jobs.transport(tmp_path)


def test_topic_24_thermodynamic_factor():
    """Gamma = (x/RT) dmu_B/dx by differences of mu, 1 in an ideal solution, 0 at the spinodal."""
    phase = from_tdb.binary_phases(tdb.read(BINARY), ("AA", "BB"), ["FCC_A1"])[0]
    f, x = phase.at(700.0), 0.4
    slope = (f.mu(np.log(0.40001 / 0.59999))[1] - f.mu(np.log(0.39999 / 0.60001))[1]) / 2e-5
    assert float(transport_link.thermodynamic_factor(phase, 700.0, x)) == pytest.approx(x * slope / (GAS_CONSTANT * 700.0), rel=1e-7)
    assert float(transport_link.thermodynamic_factor(gap(), 700.0, 0.3)) == pytest.approx(1.0, rel=1e-14)
    edge = binary.spinodal(gap(20000.0), 700.0)[0]
    assert float(transport_link.thermodynamic_factor(gap(20000.0), 700.0, edge)) == pytest.approx(0, abs=1e-10)
    grid = np.linspace(0.05, 0.9, 60)
    curve = GAS_CONSTANT * 300 * np.log(grid / (1 - grid)) + 2 * 3000.0 * grid
    assert np.allclose(transport_link.factor_from_curve(grid, curve, 300.0)[5:-5], transport_link.lattice_gas_factor(grid, 3000.0, 300.0)[5:-5], rtol=1e-3)


def test_topic_24_free_energy_from_u_of_t():
    """A classical anharmonic well, U(T) and F(T) by quadrature: the integral of U/T^2 gives F (what the spline leaves falls more than 16-fold with twice the
    points), and errors of U go through it."""
    x = np.linspace(-12, 12, 40001)
    v = 0.5 * x ** 2 + 0.1 * x ** 4

    def well(points):
        t = np.linspace(0.5, 2.0, points)
        z = np.array([np.trapezoid(np.exp(-v / one), x) for one in t])
        return t, np.array([np.trapezoid(v * np.exp(-v / one), x) for one in t]) / z, -t * np.log(z)
    fine, u_fine, f_fine = well(49)
    t, u, f = well(25)
    got, error = free_energy.from_energy(t, u, t[0], f[0], np.full(25, 0.01))
    miss = np.abs(got - f).max()
    assert miss < 1e-5 and np.abs(free_energy.from_energy(fine, u_fine, fine[0], f_fine[0]) - f_fine).max() < miss / 16
    rng = np.random.default_rng(5)
    spread = np.std([free_energy.from_energy(t, u + 0.01 * rng.standard_normal(25), t[0], f[0]) for _ in range(400)], axis=0)
    assert np.allclose(error[1:], spread[1:], rtol=0.2)         # 400 draws: 3.5 % each; 24 correlated points at 5.6 sigma
    with pytest.raises(ThermoInputError, match="not among"):
        free_energy.from_energy(t, u, 1.2345, 0.0)


def test_topic_24_u_of_t_and_heat_capacity_are_one_integration():
    """The same substance through Cp segments (G) and through the table of its enthalpy (F/T integral)."""
    from hpcnemd.thermo import cp
    c = cp.from_heat_capacity("x", [(200.0, 1500.0, {0: 22.0, 1: 8e-3, -2: -9e4})], 298.15, 1000.0, 31.0)
    t = np.linspace(300.0, 1200.0, 60)
    assert np.allclose(free_energy.from_energy(t, c.h(t), t[0], c.g(t[0])), c.g(t), rtol=1e-6)


@pytest.mark.parametrize("masses, value", [(8, -1.098612), (64, -2.087194), (512, -3.120138)])
def test_topic_24_cutting_a_harmonic_chain(masses, value):
    stiffness = 2 * np.eye(masses) - np.eye(masses, k=1) - np.eye(masses, k=-1)
    cut = stiffness.copy()
    cut[0, 0] -= 1.0                                            # the bond to the left wall
    exact = 0.5 * (np.linalg.slogdet(cut)[1] - np.linalg.slogdet(stiffness)[1])
    assert exact == pytest.approx(value, abs=5e-7) and free_energy.chain_cut(masses) == pytest.approx(exact, abs=1e-11)
    strength, weights = free_energy.quadrature(64, 3)
    ti = free_energy.thermodynamic_integration(strength, weights, free_energy.chain_cut_mean(masses, strength))
    assert ti == pytest.approx(exact, abs=1e-11)
    # the mean itself: <x_1^2>/2 of the chain with a bond of that strength, from the inverse of its matrix
    weak = cut.copy()
    weak[0, 0] += 0.3
    assert free_energy.chain_cut_mean(masses, 0.3) == pytest.approx(-0.5 * np.linalg.inv(weak)[0, 0], rel=1e-9)
    plain, w = free_energy.quadrature(64, 1)
    loss = abs(free_energy.thermodynamic_integration(plain, w, free_energy.chain_cut_mean(masses, plain)) - exact)
    assert loss < 1e-4 and (masses < 512 or loss > 1e-5)        # what lambda = t^3 is for


def test_topic_24_work_theorems():
    """A spring k = 1 -> 3 switched at once: Delta F = ln(3)/2. Bennett, Jarzynski and the Crooks crossing from the same 20,000 + 15,000 works.

    Chance that correct code fails: 4 standard errors each, below 3e-4 together; the seed is fixed.
    """
    rng = np.random.default_rng(11)
    forward = 0.5 * (3 - 1) * rng.standard_normal(20000) ** 2
    reverse = 0.5 * (1 - 3) * rng.standard_normal(15000) ** 2 / 3
    exact = 0.5 * np.log(3)
    for value, error in (free_energy.bennett(forward, reverse), free_energy.jarzynski(forward)):
        assert abs(value - exact) < 4 * error and error < 0.02
    # Gaussian work: the densities cross at Delta F
    f, r = rng.normal(3.0 + 2.0, 2.0, 20000), rng.normal(-3.0 + 2.0, 2.0, 20000)
    assert free_energy.crooks_crossing(f, r) == pytest.approx(3.0, abs=0.1)


def test_topic_24_three_ways_to_one_free_energy():
    """A well stiffened from v0 = x^2/2 to v1 = x^2/2 + x^4/4 at T = 1, all from simulated samples (Metropolis, exact for the harmonic start): by F/T from U(T) of
    both wells down from a temperature at which quadrature anchors them, by the integral of Cp = (<U^2>-<U>^2)/T^2 in `cp`'s form, and by work (Bennett).

    Chance that correct code fails: three comparisons at 4.5 standard errors, below 1e-4; the seed is fixed.
    """
    from hpcnemd.thermo import cp
    rng = np.random.default_rng(24)

    def v1(x):
        return 0.5 * x ** 2 + 0.25 * x ** 4
    t = np.geomspace(0.5, 2.0, 9)
    grid = np.linspace(-10, 10, 20001)
    exact = -t * np.log(np.array([np.trapezoid(np.exp(-v1(grid) / one), grid) for one in t]))
    x, walkers, keep = np.zeros((9, 400)), 400, []
    for sweep in range(600):                                    # walkers of all temperatures at once
        trial = x + 1.6 * np.sqrt(t)[:, None] * rng.uniform(-1, 1, x.shape)
        go = rng.random(x.shape) < np.exp(np.minimum(0, (v1(x) - v1(trial)) / t[:, None]))
        x = np.where(go, trial, x)
        if sweep >= 60:
            keep.append(v1(x))
    u = np.array(keep)                                          # (sweeps, temperatures, walkers)
    means, per_walker, squares = u.mean(axis=(0, 2)), u.mean(axis=0), (u ** 2).mean(axis=0)
    errors = per_walker.std(axis=1, ddof=1) / np.sqrt(walkers)
    from_u, error_u = free_energy.from_energy(t, means, t[-1], exact[-1], errors)
    at = int(np.argmin(np.abs(t - 1.0)))
    assert abs(from_u[at] - exact[at]) < 4.5 * error_u[at] and error_u[at] < 0.005
    # Cp of the fluctuations, fitted by powers of T, integrated from the same anchor; the error by resampling whole walkers
    def by_cp(w):
        heat = (squares[:, w].mean(axis=1) - per_walker[:, w].mean(axis=1) ** 2) / t ** 2
        a = np.polyfit(t, heat, 3)[::-1]
        c = cp.from_heat_capacity("well", [(t[0], t[-1] * 1.001, {k: float(v) for k, v in enumerate(a)})], float(t[-1]), float(per_walker[-1, w].mean()),
                                  float((per_walker[-1, w].mean() - exact[-1]) / t[-1]))
        return c.g(float(t[at]))
    draws = [by_cp(rng.integers(walkers, size=walkers)) for _ in range(20)]
    assert abs(by_cp(np.arange(walkers)) - exact[at]) < 4.5 * np.std(draws) and np.std(draws) < 0.02
    # work of an instant switch at T = 1: v1 - v0 on samples of v0, and back on samples of v1
    final = x[at] / np.sqrt(t[at])                              # t[at] is 1
    value, error = free_energy.bennett(0.25 * rng.standard_normal(4000) ** 4, -0.25 * final ** 4)
    assert t[at] == pytest.approx(1.0) and abs(value - (exact[at] + 0.5 * np.log(2 * np.pi))) < 4.5 * error and error < 0.03


def test_topic_24_bennett_against_pymbar():
    bar = pytest.importorskip("pymbar").other_estimators.bar
    rng = np.random.default_rng(12)
    f, r = rng.normal(5.0, 2.0, 4000), rng.normal(-1.0, 2.0, 3000)
    other = bar(f, r)
    value, error = free_energy.bennett(f, r)
    assert value == pytest.approx(other["Delta_f"], abs=1e-9) and error == pytest.approx(other["dDelta_f"], rel=1e-3)


@pytest.mark.parametrize("cases", [((0.02, 0.004008, 0.133),), pytest.param(((0.002, None, 0.0133), (0.008, None, 0.0531)), marks=pytest.mark.slow)], ids=("one", "others"))
def test_topic_24_global_temperature(cases):
    """Own algebra, first order in Xi, against the numerical minimum with an equation of state; the stationary point is a minimum."""
    fluid = eos.lennard_jones("jzg")
    for xi, target, curvature in cases:
        t, second = global_thermo.global_temperature(fluid, 0.9, xi, 0.3)
        assert t - 0.9 == pytest.approx(global_thermo.first_order(xi, 0.3), rel=0.3 * xi) and second == pytest.approx(curvature, rel=5e-3)
        assert target is None or t - 0.9 == pytest.approx(target, abs=1e-6)
    tl, tg = global_thermo.layer_temperatures(0.9, 0.02, 0.3)
    assert 0.3 * tl + 0.7 * tg == pytest.approx(0.9, abs=1e-15) and tg - tl == pytest.approx(0.01)


def test_worked_kinetics_from_an_affinity():
    """Rate r+ (1 - exp(-A/RT)): 0 at equilibrium, linear near it, never against the affinity."""
    a = np.array([-2e4, -1.0, 0.0, 1.0, 2e4])
    rate = kinetics.affinity_rate(a, 2.0, 800.0)
    assert rate[2] == 0.0 and rate[3] == pytest.approx(2.0 / (GAS_CONSTANT * 800.0), rel=1e-3)
    assert np.all(kinetics.entropy_production(rate, a, 800.0) >= 0)


def test_worked_diffusion_with_the_thermodynamic_factor():
    """A constant D against the exact Gauss step (error function), mass conserved, and uphill diffusion inside the spinodal refused."""
    from scipy.special import erf
    z = (np.arange(200) - 99.5) * 0.02
    start = np.where(z < 0, 0.8, 0.2)
    got = kinetics.diffuse(start, 0.02, lambda x: np.full_like(x, 1.0), 0.1)
    assert np.allclose(got, 0.5 - 0.3 * erf(z / np.sqrt(0.4)), rtol=0, atol=2e-4) and got.sum() == pytest.approx(start.sum(), rel=1e-12)
    hot = gap(14000.0)
    spread = kinetics.diffuse(start, 0.02, lambda x: transport_link.thermodynamic_factor(hot, 1500.0, x), 0.1)
    assert spread.sum() == pytest.approx(start.sum(), rel=1e-12) and np.ptp(spread) < 0.6
    with pytest.raises(ThermoInputError, match="uphill"):
        kinetics.diffuse(start, 0.02, lambda x: transport_link.thermodynamic_factor(gap(20000.0), 700.0, x), 0.01)


def test_worked_precipitation_and_decomposition():
    """The driving force out of a supersaturated solution vanishes on its solvus and is the depth below the parallel tangent; the barrier is the maximum of
    the droplet's energy; the fastest wave is the maximum of Cahn's growth rate; all refuse the other side of the spinodal or of the solvus."""
    phase, t, kappa, d = gap(20000.0), 700.0, 4e-16, 1e-16
    line, = binary.tie_lines([phase], t)
    at_solvus = kinetics.precipitation(phase, [phase], t, line.x[0])["SOL"]
    assert at_solvus[0] == pytest.approx(0, abs=1e-8)
    x = 0.12                                                    # between the solvus 0.041 and the spinodal 0.177
    force, nucleus = kinetics.precipitation(phase, [phase], t, x)["SOL"]
    grid = np.linspace(0.5, 0.9999, 200001)
    f = phase.at(t)
    a, b = f.mu(np.log(x / (1 - x)))
    depth = (1 - grid) * a + grid * b - f.g(np.log(grid / (1 - grid)))
    assert force == pytest.approx(depth.max(), abs=1e-5) and nucleus == pytest.approx(grid[np.argmax(depth)], abs=1e-5)
    surface = kinetics.interface(phase, line, t, kappa)["energy"] / 1e-5
    radius, barrier = kinetics.nucleation_barrier(surface, force / 1e-5)
    r = np.linspace(0.5, 1.5, 2001) * radius
    droplet = 4 * np.pi * r ** 2 * surface - 4 / 3 * np.pi * r ** 3 * force / 1e-5
    assert r[np.argmax(droplet)] == pytest.approx(radius, rel=1e-3) and droplet.max() == pytest.approx(barrier, rel=1e-6)
    with pytest.raises(ThermoInputError, match="not inside the spinodal"):
        kinetics.fastest_wave(phase, t, x, kappa, d)
    with pytest.raises(ThermoInputError, match="nothing nucleates"):
        kinetics.nucleation_barrier(surface, kinetics.precipitation(phase, [phase], t, 0.02)["SOL"][0])
    wave, rate = kinetics.fastest_wave(phase, t, 0.4, kappa, d)
    curvature = GAS_CONSTANT * t / (0.4 * 0.6) - 40000.0
    k = np.linspace(0.2, 2.5, 4001) * 2 * np.pi / wave
    growth = -d * 0.4 * 0.6 / (GAS_CONSTANT * t) * k ** 2 * (curvature + kappa * k ** 2)       # mobility D_sigma x (1-x)/RT
    assert 2 * np.pi / k[np.argmax(growth)] == pytest.approx(wave, rel=1e-3) and growth.max() == pytest.approx(rate, rel=1e-6)


def test_worked_couple_releases_gibbs_energy():
    """The deck of the command: the couple loses Gibbs energy and keeps its amount; an ideal solution's couple is that of a constant D."""
    from hpcnemd.thermo import deck_jobs
    record = deck_jobs.rates(BINARY.with_name("thermo_kinetics.toml")).records[0]
    assert record.values["Gibbs energy released in the couple"][0] > 0 and max(record.residuals.values()) < 1e-14
    assert record.values["driving force to FCC_A1"][0][0] > 0 > record.values["driving force to HCP_A3"][0][0]
    (_, start, end, constant), released, _ = deck_jobs._couple(gap(), 600.0, GAS_CONSTANT, (0.1, 0.4), 1e-6, 300.0, 1e-16)
    assert np.allclose(end, constant, rtol=0, atol=1e-12) and np.ptp(end) < np.ptp(start) and released > 0


def test_worked_interface_of_a_miscibility_gap():
    """Near the critical point g is a quartic, a u^4 with a = (4/3) R T: energy and width have closed forms (leading order in 1 - T/Tc)."""
    off, kappa = 1e-3, 1e-15
    t = binary.critical_temperature(20000.0) * (1 - off)
    line, = binary.tie_lines([gap(20000.0)], t)
    wall = kinetics.interface(gap(20000.0), line, t, kappa)
    half = 0.5 * (line.x[1] - line.x[0])
    a = 4.0 / 3.0 * GAS_CONSTANT * t                            # Delta g = a (u^2 - half^2)^2
    assert wall["energy"] == pytest.approx(np.sqrt(2 * kappa * a) * 4 / 3 * half ** 3, rel=5e-3)
    # profile half tanh(z/l), l = sqrt(kappa/(2 a))/half: 80 % of the change between -atanh(0.8) l and +atanh(0.8) l
    assert wall["width"] == pytest.approx(2 * np.arctanh(0.8) * np.sqrt(kappa / (2 * a)) / half, rel=5e-3)
