"""Tails and quantiles of the distributions that tests and intervals need, from scipy.special: scipy.stats takes a second to import."""


def chi2_sf(x, dof):
    """Chance of more than `x` under chi-square with `dof` degrees of freedom."""
    from scipy.special import chdtrc
    return chdtrc(dof, x)


def chi2_ppf(p, dof):
    """The value below which chi-square with `dof` degrees of freedom lies with chance `p`."""
    from scipy.special import gammaincinv
    return 2 * gammaincinv(dof / 2, p)


def t_sf(x, dof):
    """Chance of more than `x` under Student's t."""
    from scipy.special import stdtr
    return stdtr(dof, -x)


def t_ppf(p, dof):
    """The value below which Student's t lies with chance `p`."""
    from scipy.special import stdtrit
    return stdtrit(dof, p)


def f_sf(x, above, below):
    """Chance of more than `x` under F with `above` and `below` degrees of freedom."""
    from scipy.special import fdtrc
    return fdtrc(above, below, x)


def f_ppf(p, above, below):
    """The value below which F lies with chance `p`."""
    from scipy.special import fdtri
    return fdtri(above, below, p)
