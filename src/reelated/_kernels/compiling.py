"""Compile kernels with numba into object code that LLVM alone can load.

The code has one entry, a C function of a block of eight-byte words: the numbers that `kinds_of` collects. An array is
the address of its Python object, behind whose header NumPy keeps the pointers to the data, the shape and the strides.
"""

import struct
from itertools import count

import numpy as np
from llvmlite import ir
from numba import config, from_dtype, njit, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import typeof_impl
from numba.np.arrayobj import populate_array

from reelated._kernels import packaged_code
from reelated._kernels.kernel import Deferred

HEADER = object.__basicsize__
POINTER = struct.calcsize("P")
DATA, SHAPE, STRIDES = HEADER, HEADER + 2 * POINTER, HEADER + 3 * POINTER
"""Offsets of the fields of a NumPy array (`PyArrayObject_fields`)."""
WORD = ir.IntType(64)
SCALARS = {int: types.int64, float: types.float64, bool: types.boolean, type(None): types.none}


@typeof_impl.register(Deferred)
def _typeof(deferred, _):
    """Let kernels name other kernels, and operations."""
    made = deferred.made()
    cpu_target.typing_context.refresh()
    return cpu_target.typing_context.resolve_value_type(made)


def dispatcher(function):
    """Return numba's form of a kernel; a division has no exception (by 0: infinite or NaN)."""
    # the kernels have no interpreted form: NUMBA_DISABLE_JIT, for debugging other code, does not apply to them
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        return njit(error_model="numpy", _nrt=False, no_cfunc_wrapper=True, no_cpython_wrapper=True)(function)
    finally:
        config.DISABLE_JIT = disabled


def numba_type(kind):
    """Return numba's type of a kind of argument."""
    match kind:
        case (np.dtype() as dtype, int(ndim), str(layout)):
            return types.Array(from_dtype(dtype), ndim, layout[0], readonly="r" in layout, aligned="u" not in layout)
        case (type() as cls, tuple(parts)):
            return types.BaseTuple.from_types([*map(numba_type, parts)], None if cls is tuple else cls)
        case np.dtype():
            return from_dtype(kind)
    return SCALARS[kind]


@global_compiler_lock
def object_code(kernel, kinds):
    """Compile a kernel for some kinds of arguments; return what it returns, the symbol of its entry and the code."""
    compiled, arguments = kernel.made(), tuple(map(numba_type, kinds))
    compiled.compile(arguments)
    overload, symbol = compiled.overloads[arguments], f"reelated.{packaged_code.member(kernel.name, kinds)}"
    context = overload.target_context
    library = context.codegen().create_library(symbol)
    library.enable_object_caching()
    module = library.create_ir_module(symbol)
    with context.push_code_library(library):
        result = _write_entry(context, module, symbol, overload)
    library.add_ir_module(module)
    library.add_linking_library(overload.library)
    library.finalize()
    _, _, (code, _) = library.serialize_using_object_code()
    return b"\n".join((result.encode(), symbol.encode(), code))


def _write_entry(context, module, symbol, overload):
    """Write the entry, which loads the arguments and calls the kernel; return the name of the type that it returns."""
    returned, arguments = overload.signature.return_type, overload.signature.args
    wide = returned if returned in (types.none, types.float64, types.uint64) else types.int64
    kind = ir.VoidType() if wide == types.none else context.get_value_type(wide)
    entry = ir.Function(module, ir.FunctionType(kind, [WORD.as_pointer()]), symbol)
    builder, words, native = (
        ir.IRBuilder(entry.append_basic_block()),
        count(),
        context.declare_function(module, overload.fndesc),
    )
    values = [_load(context, builder, entry.args[0], words, each) for each in arguments]
    _, value = context.call_conv.call_function(builder, native, returned, arguments, values)
    if wide == types.none:
        builder.ret_void()
    else:
        builder.ret(context.cast(builder, value, returned, wide))
    return str(wide)


def _load(context, builder, block, words, kind):
    """Load an argument from the block, at the next of its words."""
    if isinstance(kind, types.BaseTuple):
        return context.make_tuple(builder, kind, [_load(context, builder, block, words, part) for part in kind.types])
    if kind == types.none:
        return context.get_dummy_value()
    word = builder.load(builder.gep(block, [WORD(next(words))]))
    if isinstance(kind, types.Array):
        return _load_array(context, builder, word, kind)
    if isinstance(kind, types.Float):
        return context.cast(builder, builder.bitcast(word, ir.DoubleType()), types.float64, kind)
    return context.cast(builder, word, types.int64, kind)


def _load_array(context, builder, address, kind):
    """Load an array from the address of its Python object."""

    def pointer(offset, target):
        place = builder.inttoptr(builder.add(address, WORD(offset)), target.as_pointer().as_pointer())
        return builder.load(place)

    def numbers(offset):
        first = pointer(offset, WORD)
        return [builder.load(builder.gep(first, [WORD(axis)])) for axis in range(kind.ndim)]

    array, dtype = context.make_array(kind)(context, builder), context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(dtype))
    populate_array(array, pointer(DATA, dtype), numbers(SHAPE), numbers(STRIDES), size, None)
    return array._getvalue()
