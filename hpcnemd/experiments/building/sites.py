"""Which species sits on which site: partly occupied sites filled at random, dopants, and the vacancies that keep the cell neutral.

The numbers are settled first, for the whole cell, and are exact; then the ions are placed. Everything is drawn from one seed on one rank."""
import itertools
from dataclasses import dataclass

import numpy as np

from ...core.errors import InputError

ROUNDING = 0.0006       # of the sites: occupancies are printed with three digits
MOVES = 60              # per site that is filled at random, before the search gives up
WANDER = 0.02           # share of the moves that go anywhere, so that the search leaves dead ends


@dataclass
class Sites:
    """`atoms`: ASE Atoms, one row for each site. `kind` (n,) row of the kinds; `labels` [str] of the kinds; `shares` [{species: occupancy}];
    `counts` [{species: ions}] of the whole cell."""
    atoms: object
    kind: np.ndarray
    labels: list
    shares: list
    counts: list

    @property
    def sizes(self):
        return np.bincount(self.kind, minlength=len(self.labels))

    def is_random(self, k):
        """Whether the ions of kind k are drawn: not every site has the same species."""
        return len([n for n in self.counts[k].values() if n]) != 1 or sum(self.counts[k].values()) != self.sizes[k]

    @property
    def drawn(self):
        return any(self.is_random(k) for k in range(len(self.labels)))

    def total(self, species):
        return sum(counts.get(species, 0) for counts in self.counts)

    def charge(self, charges):
        return sum(n * charges[name] for counts in self.counts for name, n in counts.items())


def partial_sites(atoms):
    """Number of the sites of ASE Atoms that are not filled by one whole ion."""
    shares = atoms.info.get("occupancy") or {}
    partial = [int(k) for k, share in shares.items() if len(share) > 1 or any(abs(float(x) - 1) > 1e-6 for x in share.values())]
    return int(np.isin(atoms.arrays.get("spacegroup_kinds", np.full(len(atoms), -1)), partial).sum())


def sites_of(atoms, cells=1, wanted=None, charges=None):
    """The Sites of ASE Atoms, which hold `cells` cells of the crystal. Raises InputError.

    `wanted`: {species: ions on partly occupied sites in one cell} instead of the occupancies. `charges`: {species: e}; where occupancies, printed with
    three digits, leave a choice, the numbers that make the cell neutral are taken."""
    shares = atoms.info.get("occupancy") or {}
    symbols = np.array(atoms.get_chemical_symbols())
    if shares:
        kind = atoms.arrays["spacegroup_kinds"].copy()
        present = np.unique(kind)
        kind = np.searchsorted(present, kind)
        shares = [{name: float(x) for name, x in shares[str(k)].items()} for k in present]
        names = atoms.info.get("site_labels")
        labels = [names[k] for k in present] if names is not None else [f"{'+'.join(share)}:{k + 1}" for k, share in enumerate(shares)]
    else:
        labels = list(dict.fromkeys(symbols))
        kind, shares = np.array([labels.index(name) for name in symbols]), [{name: 1.0} for name in labels]
    sites = Sites(atoms, kind, labels, shares, [{} for _ in labels])
    _check_shares(sites)
    _settle(sites, cells, dict(wanted or {}), charges)
    return sites


def _check_shares(sites):
    problems = [f"structure: the occupancies of site {label} add up to {sum(share.values()):.4g}; correct the file, at most 1 is possible"
                for label, share in zip(sites.labels, sites.shares) if sum(share.values()) > 1 + 1e-6]
    if problems:
        raise InputError(problems)


def _settle(sites, cells, wanted, charges):
    """Whole numbers of ions for every kind of site."""
    sizes, partial = sites.sizes, []
    for k, share in enumerate(sites.shares):
        whole = len(share) == 1 and abs(sum(share.values()) - 1) <= 1e-6
        if whole:
            sites.counts[k] = {next(iter(share)): int(sizes[k])}
        else:
            partial.append(k)
    names = list(dict.fromkeys(name for k in partial for name in sites.shares[k]))
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise InputError(f"structure.counts: {', '.join(unknown)} is on no partly occupied site; "
                         + (f"those hold {', '.join(names)}" if names else "the structure has none: remove structure.counts"))
    if not partial:
        return
    expected = {name: sum(sites.shares[k].get(name, 0.0) * sizes[k] for k in partial) for name in names}
    choices = []
    for name in names:
        if name in wanted:
            choices.append([wanted[name] * cells])
            continue
        near = round(expected[name])
        slack = max(0.5, ROUNDING * sum(sizes[k] for k in partial if name in sites.shares[k]))
        around = [n for n in range(int(np.ceil(expected[name] - slack)), int(np.floor(expected[name] + slack)) + 1) if n > 0]
        choices.append(sorted(around or [near], key=lambda n: abs(n - expected[name])))
    told = {}
    if charges is not None and all(name in charges for share in sites.shares for name in share):
        fixed = sites.charge(charges)
        neutral = [numbers for numbers in itertools.product(*choices) if abs(fixed + sum(n * charges[name] for n, name in zip(numbers, names))) < 1e-6]
        if neutral:
            best = min(neutral, key=lambda numbers: sum(abs(n - expected[name]) for n, name in zip(numbers, names)))
            told = dict(zip(names, best))
    told = told or {name: choice[0] for name, choice in zip(names, choices)}
    for name in names:
        where = [k for k in partial if name in sites.shares[k]]
        weights = np.array([sites.shares[k][name] * sizes[k] for k in where])
        for k, n in zip(where, _apportion(told[name], weights)):
            sites.counts[k][name] = int(n)
    for k in partial:
        if sum(sites.counts[k].values()) > sizes[k]:
            raise InputError(f"structure: site {sites.labels[k]} is to hold {sum(sites.counts[k].values())} ions and has {sizes[k]} places in the cell; "
                             "write smaller structure.counts, or smaller occupancies")


def _apportion(total, weights):
    """(k,) whole numbers with the given sum, in proportion to `weights`: largest remainders."""
    exact = total * np.asarray(weights, dtype=np.float64) / np.sum(weights)
    whole = np.floor(exact + 1e-9).astype(int)
    for k in np.argsort(whole - exact, kind="stable")[:total - whole.sum()]:
        whole[k] += 1
    return whole


def formula_unit(names):
    """({species: ions}, text) of the smallest whole formula of a list of species, in order of appearance."""
    from math import gcd
    counts = {name: list(names).count(name) for name in dict.fromkeys(names)}
    divisor = gcd(*counts.values())
    unit = {name: n // divisor for name, n in counts.items()}
    return unit, "".join(name + (str(n) if n > 1 else "") for name, n in unit.items())


# ---- doping ------------------------------------------------------------------------------------------------------------

def dope(sites, doping, charges):
    """Puts dopants on their sites and takes away, or adds, the ions that keep the cell neutral: changes `sites.counts`. Returns lines on what was done.
    `doping`: objects with element, site, fraction or count, compensate. `charges`: {species: e} of the force field. Raises InputError."""
    lines, excess = [], {}
    for row in doping:
        where = [k for k, label in enumerate(sites.labels) if label == row.site] or [k for k in range(len(sites.labels)) if sites.counts[k].get(row.site)]
        if not where:
            known = sorted(set(sites.labels) | {name for counts in sites.counts for name in counts})
            raise InputError(f"structure.doping.site = {row.site!r}: no such species or site; write one of {', '.join(known)}")
        hosts = sorted({name for k in where for name, n in sites.counts[k].items() if n and name != row.element})
        host = row.site if row.site in hosts else hosts[0] if len(hosts) == 1 else None
        if host is None:
            raise InputError(f"structure.doping.site = {row.site!r}: it holds {' and '.join(hosts) or 'nothing else'}; write the species that is replaced")
        lacking = sorted({row.element, host} - set(charges))
        if lacking:
            raise InputError(f"structure.doping.element = {row.element!r}: the force field has no parameters for {', '.join(lacking)}, it knows {', '.join(sorted(charges))}: "
                             "copy the table, add a [species] entry and the [[pair]] rows with their source, and name it as forcefield.table")
        capacity = np.array([sites.counts[k].get(host, 0) for k in where])
        number = _dopants(row, host, int(capacity.sum()))
        for k, n in zip(where, _apportion(number, capacity)):
            sites.counts[k][host] -= int(n)
            sites.counts[k][row.element] = sites.counts[k].get(row.element, 0) + int(n)
        lines.append(f"{number} {row.element} on {row.site} sites ({number / capacity.sum():.4g} of the {host})")
        excess.setdefault(row.compensate, []).append((row, host, number))
    for compensate, rows in excess.items():
        lines += _compensate(sites, compensate, rows, charges)
    return lines


def _dopants(row, host, hosts):
    """Whole number of dopants. Raises InputError with the nearest possible ones."""
    if row.count is not None:
        if row.count > hosts:
            raise InputError(f"structure.doping.count = {row.count}: the cell has {hosts} {host} on those sites; write at most that many, or a larger supercell")
        return row.count
    exact = row.fraction * hosts
    number = round(exact)
    if abs(exact - number) > 1e-6 * max(1, hosts) or number == 0:
        near = sorted({max(1, int(np.floor(exact))), min(hosts, int(np.ceil(exact)) or 1)})
        told = " or ".join(f"{n / hosts:.6g} ({n} ions)" for n in near)
        raise InputError(f"structure.doping.fraction = {row.fraction:g}: of {hosts} {host} these are {exact:.4g} ions of {row.element}, not a whole number; "
                         f"write {told}, or a larger structure.supercell")
    return number


def _compensate(sites, compensate, rows, charges):
    """Takes away or adds ions of one species until the rows' dopants leave the charge as it was."""
    change = sum(n * (charges[row.element] - charges[host]) for row, host, n in rows)
    told = ", ".join(f"{n} {row.element} on {host}" for row, host, n in rows)
    if abs(change) < 1e-6:
        return []
    if compensate is None:
        mobile = [name for name in charges if sites.total(name) and name not in {row.element for row, _, _ in rows} and charges[name] > 0]
        compensate = min(mobile, key=lambda name: charges[name], default=None)
    if compensate not in charges or not charges[compensate] or not sites.total(compensate):
        raise InputError(f"structure.doping.compensate = {compensate!r}: not a charged species of the structure and of the force field; write one of "
                         + ", ".join(name for name in charges if sites.total(name) and charges[name]))
    exact = change / charges[compensate]
    number = round(exact)
    if abs(exact - number) > 1e-6:
        raise InputError(f"structure.doping: {told} change the charge by {change:+g} e, which {exact:g} {compensate} of {charges[compensate]:+g} e cannot balance; "
                         f"{_nearest(rows, charges, compensate)}, or name another structure.doping.compensate")
    where = [k for k in range(len(sites.labels)) if sites.counts[k].get(compensate)]
    now = np.array([sites.counts[k][compensate] for k in where])
    room = np.array([sites.sizes[k] - sum(sites.counts[k].values()) for k in where])
    if number > now.sum():
        raise InputError(f"structure.doping: {told} need {number} {compensate} vacancies, and there are {now.sum()} {compensate} only; write a smaller fraction")
    if -number > room.sum():
        raise InputError(f"structure.doping: {told} need {-number} more {compensate}, and its sites have {room.sum()} free places; start from a structure with "
                         f"partly occupied {compensate} sites, or write a smaller fraction")
    for k, n in zip(where, _apportion(abs(number), now if number > 0 else room)):
        sites.counts[k][compensate] -= int(np.sign(number)) * int(n)
    return [f"{abs(number)} {compensate} {'taken away' if number > 0 else 'added'} to keep the charge"]


def _nearest(rows, charges, compensate):
    """The nearest numbers of the last dopant that can be balanced."""
    row, host, n = rows[-1]
    rest = sum(m * (charges[other.element] - charges[at]) for other, at, m in rows[:-1])
    fits = [m for m in range(max(0, n - 24), n + 25)
            if abs((rest + m * (charges[row.element] - charges[host])) / charges[compensate] % 1.0 - 0.5) > 0.5 - 1e-6]
    near = sorted(sorted(fits, key=lambda m: abs(m - n))[:2])
    return f"write count = {' or '.join(map(str, near))} for {row.element}" if near else f"no number of {row.element} ions can be balanced"


# ---- filling -----------------------------------------------------------------------------------------------------------

def fill(sites, exclusion, random):
    """ASE Atoms with whole ions on whole sites (array "site": row of the kind), none of those on randomly filled sites nearer than `exclusion` angstrom to
    another of them. Raises InputError where the numbers do not fit."""
    rows = np.flatnonzero([sites.is_random(k) for k in range(len(sites.labels))])
    names = list(dict.fromkeys(name for counts in sites.counts for name in counts))
    chosen = np.full(len(sites.kind), -1)
    for k in range(len(sites.labels)):
        mine = np.flatnonzero(sites.kind == k)
        order = random.permutation(mine) if k in rows and len(mine) else mine
        start = 0
        for name, n in sites.counts[k].items():
            chosen[order[start:start + n]] = names.index(name)
            start += n
    drawn = np.flatnonzero(np.isin(sites.kind, rows))
    if len(drawn):
        _spread(sites, chosen, drawn, exclusion, random)
    keep = np.flatnonzero(chosen >= 0)
    atoms = sites.atoms[keep]
    atoms.info = {}
    atoms.set_chemical_symbols([names[c] for c in chosen[keep]])
    atoms.set_array("site", sites.kind[keep])
    return atoms


def _spread(sites, chosen, drawn, exclusion, random):
    """Moves ions to empty places of their own kind, in place, until no two on `drawn` sites are nearer than `exclusion`: a min-conflicts search."""
    first, second, distance = _close_sites(sites.atoms[drawn], exclusion)
    order = np.argsort(first, kind="stable")
    near, start = second[order], np.searchsorted(first[order], np.arange(len(drawn) + 1))
    species, kind = chosen[drawn], sites.kind[drawn]
    full = species >= 0
    crowd = np.array([full[near[start[i]:start[i + 1]]].sum() for i in range(len(drawn))])
    places = {k: np.flatnonzero(kind == k) for k in np.unique(kind)}
    left = 0
    for _ in range(MOVES * len(drawn)):
        bad = np.flatnonzero(full & (crowd > 0))
        left = len(bad)
        if not left:
            chosen[drawn] = species
            return
        i = bad[random.integers(left)]
        empty = places[kind[i]][~full[places[kind[i]]]]
        if not len(empty):
            continue
        mine = near[start[i]:start[i + 1]]
        cost = crowd[empty] - np.isin(empty, mine)
        best = empty if random.random() < WANDER else empty[cost == cost.min()]
        j = best[random.integers(len(best))]
        full[i], full[j] = False, True
        species[i], species[j] = -1, species[i]
        crowd[mine] -= 1
        crowd[near[start[j]:start[j + 1]]] += 1
    _refuse(sites, drawn, full, first, second, distance, exclusion)


def _close_sites(atoms, reach):
    """(i, j, distance) of all pairs of sites nearer than `reach`, both ways round, images included where the Atoms are periodic."""
    if not atoms.pbc.any():
        from scipy.spatial import cKDTree
        pairs = cKDTree(atoms.positions).query_pairs(reach, output_type="ndarray")
        first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
        return first, second, np.linalg.norm(atoms.positions[first] - atoms.positions[second], axis=1)
    from ase.neighborlist import neighbor_list
    first, second, distance = neighbor_list("ijd", atoms, reach)
    other = first != second                                 # a site and its own image are one ion
    return first[other], second[other], distance[other]


def _refuse(sites, drawn, full, first, second, distance, exclusion):
    clash = full[first] & full[second]
    label = [sites.labels[k] for k in sites.kind[drawn]]
    between = sorted({(round(float(r), 3), *sorted((label[i], label[j]))) for r, i, j in zip(distance[clash], first[clash], second[clash])})
    told = ", ".join(f"{a}-{b} {r:.3f} angstrom" for r, a, b in between[:4])
    wanted = "; ".join(f"{sum(sites.counts[k].values())} ions on {sites.sizes[k]} sites {sites.labels[k]}" for k in np.unique(sites.kind[drawn]))
    raise InputError(f"structure: the partly occupied sites cannot be filled ({wanted}) with all ions at least {exclusion:g} angstrom apart: "
                     f"{int(clash.sum()) // 2} pairs of neighbours stay both occupied ({told}). Write other occupancies in the file, smaller structure.counts, "
                     f"or structure.exclusion = \"{between[0][0] - 0.001:.3f} angstrom\", which lets these neighbours stand")
