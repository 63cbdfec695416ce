"""Second-order automatic differentiation in two variables: an equation of state or a Gibbs energy is written once, and all its first and
second derivatives come out to rounding error. Values may be numpy arrays. (Forward-mode Taylor arithmetic, e.g. Griewank and Walther 2008, ch. 13.)"""
import numpy as np


class Jet:
    """A function value with its derivatives: `v`, `x`, `y`, `xx`, `xy`, `yy`."""
    __slots__ = ("v", "x", "y", "xx", "xy", "yy")
    __array_ufunc__ = None              # numpy arrays leave the operation to us

    def __init__(self, v, x=0.0, y=0.0, xx=0.0, xy=0.0, yy=0.0):
        self.v, self.x, self.y, self.xx, self.xy, self.yy = v, x, y, xx, xy, yy

    def chain(self, f, df, d2f):
        """f(self), given f and its two derivatives at self.v."""
        return Jet(f, df * self.x, df * self.y, df * self.xx + d2f * self.x * self.x,
                   df * self.xy + d2f * self.x * self.y, df * self.yy + d2f * self.y * self.y)

    def __add__(self, o):
        if not isinstance(o, Jet):
            return Jet(self.v + o, self.x, self.y, self.xx, self.xy, self.yy)
        return Jet(self.v + o.v, self.x + o.x, self.y + o.y, self.xx + o.xx, self.xy + o.xy, self.yy + o.yy)

    def __mul__(self, o):
        if not isinstance(o, Jet):
            return Jet(self.v * o, self.x * o, self.y * o, self.xx * o, self.xy * o, self.yy * o)
        return Jet(self.v * o.v, self.x * o.v + self.v * o.x, self.y * o.v + self.v * o.y,
                   self.xx * o.v + 2 * self.x * o.x + self.v * o.xx,
                   self.xy * o.v + self.x * o.y + self.y * o.x + self.v * o.xy,
                   self.yy * o.v + 2 * self.y * o.y + self.v * o.yy)

    def __pow__(self, n):
        if isinstance(n, Jet):
            return exp(n * log(self))
        if n == 0:
            return Jet(self.v * 0.0 + 1.0)
        if n == 1:
            return self
        if n == 2:
            return self * self
        return self.chain(self.v ** n, n * self.v ** (n - 1), n * (n - 1) * self.v ** (n - 2))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self * -1.0

    def __sub__(self, o):
        return self + (-o)

    def __rsub__(self, o):
        return (-self) + o

    def __truediv__(self, o):
        return self * (o ** -1 if isinstance(o, Jet) else 1.0 / o)

    def __rtruediv__(self, o):
        return (self ** -1) * o


def variables(x, y):
    """The two independent variables as jets."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    return Jet(x[()], x=1.0), Jet(y[()], y=1.0)


def log(a):
    return a.chain(np.log(a.v), 1 / a.v, -1 / a.v ** 2) if isinstance(a, Jet) else np.log(a)


def exp(a):
    if not isinstance(a, Jet):
        return np.exp(a)
    e = np.exp(a.v)
    return a.chain(e, e, e)
