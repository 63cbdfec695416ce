"""The named refusals of the thermodynamic library. Each message holds the key, the value, what is allowed and what to type next."""
from hpcnemd.core.errors import InputError, PhysicsError


class ThermoInputError(InputError):
    """A premise of a thermodynamic calculation that cannot be met; found before any engine runs. `line`: of the data file, where there is one."""

    def __init__(self, problems, line=None):
        self.line = line
        super().__init__(problems)


class UnitMissing(ThermoInputError):
    """A number whose unit has to be guessed."""


class UnitMismatch(ThermoInputError):
    """A unit of another dimension: J/kg where J/mol is needed, a temperature for a pressure."""


class UnknownPhase(ThermoInputError):
    """A phase that the data does not have."""


class UnknownComponent(ThermoInputError):
    """A component or element that the data does not have."""


class MissingVacancy(ThermoInputError):
    """VA is left out although phases need it."""


class MissingCondition(ThermoInputError):
    """The conditions leave degrees of freedom open, or fix too many."""


class TemperatureOutOfRange(ThermoInputError):
    """Outside the range in which the data was assessed."""


class TemperatureGap(ThermoInputError):
    """Two ranges of one function do not meet."""


class ImpossibleComposition(ThermoInputError):
    """A mole fraction outside [0, 1], or a sum above 1."""


class PressureSuspicious(ThermoInputError):
    """A pressure that is more likely a number of bar than of Pa."""


class UndefinedFunction(ThermoInputError):
    """A parameter uses a function that the file does not define."""


class UnknownConstituent(ThermoInputError):
    """A PARAMETER names a constituent that its sublattice does not have, or a phase that does not exist: it would be dropped."""


class DatabaseSyntax(ThermoInputError):
    """A line of a data file that cannot be read."""


class CandidateExcluded(ThermoInputError):
    """A substance or phase that was left out would form (strict mode)."""


class CoefficientScale(ThermoInputError):
    """Coefficients in another scaling than the one that was declared."""


class ReferenceMismatch(ThermoInputError):
    """Data with different reference pressures, reference states or gas constants in one sum."""


class UnbalancedReaction(ThermoInputError):
    """A reaction that makes or destroys an element."""


class WrongPotential(ThermoInputError):
    """The potential that was asked for is not minimal under the conditions that are fixed."""


class DataChanged(ThermoInputError):
    """The data file is not the one that the earlier result was made with."""


class ExtraMissing(ThermoInputError):
    """A part of the program that needs an optional library."""


class BeyondBinary(ThermoInputError):
    """Own code covers unary and binary systems; more needs the calphad extra."""


class NegativeFraction(ThermoInputError):
    """A lever rule whose overall composition lies outside the tie line."""


class NoEquilibrium(PhysicsError):
    """The minimiser did not converge, or an engine gave NaN."""
