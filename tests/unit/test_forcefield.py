"""Force fields: the shipped tables, the numbers behind them, and what the loader says about wrong ones."""
import numpy as np
import pytest
from pair_oracle import derivative, make_forcefield, short_energy

from hpcnemd.core.errors import InputError
from hpcnemd.core.units import MASS
from hpcnemd.forces.forcefield import available, describe, load_forcefield
from hpcnemd.forces.pair import RealSpace
from hpcnemd.forces.pair_table import PairTable
from hpcnemd.forces.potentials import FORMS, terms_of

EXAMPLES = {"buckingham": dict(A=900.0, rho=0.3, C=5.0), "born_mayer_huggins": dict(A=0.2, sigma=2.3, rho=0.32, C=6.0, D=8.0), "lennard_jones": dict(epsilon=0.02, sigma=1.8),
            "morse": dict(D0=0.4, alpha=1.7, r0=2.0), "nm46": dict(n=9, H=60.0, P=1.4, W=3.0), "hertz": dict(stiffness=0.7, contact=2.9)}


@pytest.mark.parametrize("form", EXAMPLES)
def test_forms_and_their_forces(form):
    r = np.linspace(1.0, 6.0, 101)
    terms = terms_of(form, EXAMPLES[form])
    assert set(FORMS[form][0]) == set(EXAMPLES[form])
    scale = np.abs(short_energy(form, EXAMPLES[form], r)).max()
    assert np.abs(terms.energy(r) - short_energy(form, EXAMPLES[form], r)).max() < 1e-13 * scale
    assert np.abs(terms.force(r) + derivative(lambda s: short_energy(form, EXAMPLES[form], s), r)).max() < 1e-12 * max(scale, np.abs(terms.force(r)).max())


@pytest.mark.parametrize("name", available())
def test_shipped_tables_load_and_tell_where_they_come_from(name):
    field = load_forcefield(name)
    rows = describe(field)
    assert field.name == name and len(rows) >= len(field.species) + len(field.pairs)
    assert all(len(row) == 4 and row[2] in ("source", "measured", "derived", "unverified") for row in rows)
    assert all(row[3] for row in rows)
    assert np.all(field.formal_charges == np.round(field.formal_charges))


def test_numbers_of_the_llzo_table():
    field = load_forcefield("llzo_buckingham")
    r = 2.0
    assert field.terms("O", "Li").energy(r) == pytest.approx(632.1018 * np.exp(-r / 0.2906), rel=1e-14)
    assert field.terms("O", "O").energy(r) == pytest.approx(22764.30 * np.exp(-r / 0.149) - 27.89 / 64, rel=1e-14)
    assert field.terms("Li", "La").energy(r) == 0
    kinds = field.kinds(("O", "Li"))
    assert kinds.names == ("O", "Li") and list(kinds.charge) == [-2, 1]
    assert kinds.mass[1] == pytest.approx(6.94 * MASS)
    assert next(p for p in field.pairs if p.a == "La").provenance == "unverified"


def test_partial_charges_keep_formal_ones():
    for name, species in (("agi_reprv", "Ag"), ("oxides_du_teter", "Li")):
        field = load_forcefield(name)
        k = field.species.index(species)
        assert field.formal_charges[k] == 1 and 0 < field.charges[k] < 1


def test_tosi_fumi_from_its_constants():
    """b = 0.338e-19 J, Pauling factors, 1e-79 J m^6 and 1e-99 J m^8 in the units of the table."""
    field = load_forcefield("nacl_tosi_fumi")
    joule = 1 / 1.602176634e-19
    for a, b, pauling, c, d in (("Na", "Na", 1.25, 1.68, 0.8), ("Na", "Cl", 1.0, 11.2, 13.9), ("Cl", "Cl", 0.75, 116.0, 233.0)):
        p = next(row.parameters for row in field.pairs if {row.a, row.b} == {a, b})
        assert p["A"] == pytest.approx(pauling * 0.338e-19 * joule, rel=1e-6)
        assert p["C"] == pytest.approx(c * 1e-79 * joule * 1e60, rel=1e-6)
        assert p["D"] == pytest.approx(d * 1e-99 * joule * 1e80, rel=1e-6)
        assert p["rho"] == pytest.approx(1 / 3.15, rel=1e-10)


def test_minimum_distances():
    """The inner maximum of a Buckingham pair with its charges; 0.1 where a pair only repels or only attracts; 0 for soft contacts."""
    field = load_forcefield("llzo_buckingham")
    kinds = field.kinds()
    table = PairTable(field, kinds, 10.0, "plain", RealSpace("ewald", 0.35, 10.0))
    li, o = kinds.names.index("Li"), kinds.names.index("O")
    r = np.linspace(0.05, 1.9, 40000)
    for a, b in ((li, o), (o, o)):
        u = field.terms(kinds.names[a], kinds.names[b]).energy(r) + 14.399645 * kinds.charge[a] * kinds.charge[b] / r
        inner = r[np.argmax(u)]
        assert table.minimum_distance[a, b] == pytest.approx(inner, abs=0.005) and inner > 0.1
    assert table.minimum_distance[li, li] == 0.1
    soft = make_forcefield(("A",), [("A", "A", "hertz", dict(stiffness=1.0, contact=1.0))])
    assert PairTable(soft, soft.kinds(), 2.0, "plain", None).minimum_distance[0, 0] == 0.0


GOOD = """cutoff = 8.0
[species.Na]
mass = 22.99
charge = 1.0
formal_charge = 1
provenance = "source"
[species.Cl]
mass = 35.45
charge = -1.0
formal_charge = -1
provenance = "source"
[[pair]]
between = ["Na", "Na"]
form = "born_mayer_huggins"
A = 0.26370376
sigma = 2.34
rho = 0.31746031746
C = 1.04857352
D = 0.49932073
provenance = "source"
[[pair]]
between = ["Na", "Cl"]
form = "buckingham"
A = 1000.0
rho = 0.3
C = 0.0
provenance = "source"
[[pair]]
between = ["Cl", "Cl"]
form = "born_mayer_huggins"
A = 0.15822226
sigma = 3.17
rho = 0.327
C = 75.0544
D = 150.7325
provenance = "source"
"""


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_own_table_and_near_misses(tmp_path):
    field = load_forcefield(write(tmp_path, GOOD))
    assert field.cutoff_default == 8.0 and field.coulomb and len(field.pairs) == 3
    remarks = [note for note in field.notes if "shipped table" in note]
    assert len(remarks) == 1 and remarks[0].startswith("Cl-Cl") and "nacl_tosi_fumi" in remarks[0] and "C = 75.0544 (+3.7%" in remarks[0]


@pytest.mark.parametrize("change, words", [
    (("rho = 0.3\n", "rhoo = 0.3\n"), ["rhoo", "did you mean", "missing: rho"]),
    (("A = 1000.0", 'A = "much"'), ["A = 'much'", "finite number"]),
    (("A = 1000.0", "A = nan"), ["finite number"]),
    (("rho = 0.3\n", "rho = -0.3\n"), ["positive"]),
    (('form = "buckingham"', 'form = "buckinham"'), ["buckinham", "buckingham", "allowed"]),
    (('between = ["Na", "Cl"]', 'between = ["Na", "K"]'), ["['Na', 'K']", "two of the species Na, Cl", "no row for Na-Cl"]),
    (('between = ["Na", "Cl"]', 'between = ["Na", "Na"]'), ["stands twice"]),
    (("mass = 22.99", "mass = 0.0"), ["species.Na.mass", "positive"]),
    (("formal_charge = 1\n", "formal_charge = 0.6\n"), ["formal_charge = 0.6", "integer"]),
    (('provenance = "source"\n[species.Cl]', 'provenance = "guess"\n[species.Cl]'), ["guess", "unverified"]),
    (("cutoff = 8.0", "cutof = 8.0"), ["cutof", 'did you mean "cutoff"']),
    (("cutoff = 8.0", "cutoff = 8.0 angstrom"), ["not a TOML file"]),
])
def test_bad_tables(tmp_path, change, words):
    assert change[0] in GOOD
    with pytest.raises(InputError) as caught:
        load_forcefield(write(tmp_path, GOOD.replace(*change, 1)))
    text = "\n".join(caught.value.problems)
    assert all(word in text for word in words), text


def test_all_problems_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        load_forcefield(write(tmp_path, GOOD.replace("mass = 22.99", "mass = -1.0").replace("rho = 0.3\n", "")))
    assert len(caught.value.problems) == 2


def test_unknown_names():
    with pytest.raises(InputError, match='did you mean "llzo_buckingham"'):
        load_forcefield("llzo_buckinham")
    with pytest.raises(InputError, match="species K"):
        load_forcefield("nacl_tosi_fumi").kinds(("Na", "K"))
