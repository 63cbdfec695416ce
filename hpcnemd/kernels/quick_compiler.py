"""A faster numba: some of its own functions, on which much of a cold start goes, written so that they find the same in less time.

They follow numba's own text, so they are for the versions named here only; any other compiles as it does by itself. Machine code is the same."""
import functools

import numba
from numba.core import codegen, cpu, targetconfig
from numba.core.types import functions

KNOWN = numba.__version__.startswith(("0.68.",))


@functools.cache
def _defaults(kind):
    return {name: option.default for name, option in kind.options.items()}


def _values(flags):
    """`TargetConfig.values` without a property for each option: compared a hundred thousand times when the kernels of a run compile."""
    return {**_defaults(type(flags)), **flags._values}


def _remembering(resolve, known):
    """`BaseFunction.get_call_type`, which tries every overload of, say, an addition for each one in a source, with what it found for the same types before."""
    @functools.wraps(resolve)
    def get_call_type(function, context, args, kws):
        flags = targetconfig.ConfigStack.top_or_none()
        key = function, context, args, tuple(kws.items()), flags and repr(flags._values)
        if key not in known:
            signature = resolve(function, context, args, kws)
            known[key] = signature, function._impl_keys[signature.args]
        signature, function._impl_keys[signature.args] = known[key]
        return signature
    return get_call_type


def _optimize_functions(library, module):
    """`CPUCodeLibrary._optimize_functions` without making passes for functions that are only declared."""
    module.data_layout = library._codegen._data_layout
    for function in module.functions:
        if not function.is_declaration:
            passes, builder = library._codegen._function_pass_manager()
            with library._recorded_timings.record(f"Function passes on {function.name!r}", builder):
                passes.run(function, builder)


def _sparing(get_executable):
    """`CPUContext.get_executable`, which asks for machine code, for functions with an entry from Python only. One that comes from the cache has its own,
    whatever the flags of the function for which it is looked up."""
    @functools.wraps(get_executable)
    def executable(context, library, fndesc, env):
        flags = targetconfig.ConfigStack.top_or_none()
        if flags is None or not flags.no_cpython_wrapper or library._finalized:
            return get_executable(context, library, fndesc, env)
        library.only_linked = True
        # numba wants a builtin function, by which it knows this one from others of its name; numbers and arrays are a TypeError for it
        return f"{fndesc.qualname} in {id(library)}".join
    return executable


def _machine_code(finalize):
    """`CPUCodeLibrary._finalize_final_module`, which turns a module into machine code; one that is only linked into others is spared that."""
    @functools.wraps(finalize)
    def finalize_final_module(library):
        if not getattr(library, "only_linked", False):
            return finalize(library)
        library._finalize_dynamic_globals()
        library._finalized = True
    return finalize_final_module


def install():
    """Into numba, once a process."""
    if KNOWN:
        targetconfig.TargetConfig.values = _values
        functions.BaseFunction.get_call_type = _remembering(functions.BaseFunction.get_call_type, {})
        codegen.CPUCodeLibrary._optimize_functions = _optimize_functions
        codegen.CPUCodeLibrary._finalize_final_module = _machine_code(codegen.CPUCodeLibrary._finalize_final_module)
        cpu.CPUContext.get_executable = _sparing(cpu.CPUContext.get_executable)
