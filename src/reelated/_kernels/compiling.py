"""Compile kernels into object code that LLVM alone can load: numba infers types and lowers, LLVM runs once for each.

The code has one entry point: a C function that takes a block of eight-byte words, the numbers that `kinds_of` collects.
An array is passed as the address of its Python object; after the object's header, NumPy keeps pointers to the data, the
shape and the strides.
"""

import struct
from functools import cache
from itertools import count

import numpy as np
from llvmlite import binding, ir
from numba import config, from_dtype, types
from numba.core import typed_passes, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.cpu import CPUContext
from numba.core.typing import Context
from numba.core.typing.templates import AbstractTemplate
from numba.extending import typeof_impl
from numba.np.arrayobj import populate_array

from reelated._kernels import elements, packaged_code
from reelated._kernels.kernel import Deferred

HEADER = object.__basicsize__
POINTER = struct.calcsize("P")
DATA, SHAPE, STRIDES = HEADER, HEADER + 2 * POINTER, HEADER + 3 * POINTER
"""Offsets of the fields of a NumPy array (`PyArrayObject_fields`)."""
SVML = config.USING_SVML
"""Whether LLVM calls Intel's library, which a process without numba has not loaded."""
WORD = ir.IntType(64)
SCALARS = {int: types.int64, float: types.float64, bool: types.boolean, type(None): types.none}
PASSES = (
    untyped_passes.TranslateByteCode, untyped_passes.FixupArgs, untyped_passes.IRProcessing,
    untyped_passes.DeadBranchPrune, untyped_passes.GenericRewrites, untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference, typed_passes.PreLowerStripPhis, typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)  # fmt: skip
"""The numba passes that kernels need, a third of all: kernels have no closures, array expressions or references."""


class Library(JITCodeLibrary):
    """The code of a kernel and of all kernels that it calls; it is optimised once, as a whole."""

    def add_llvm_module(self, ll_module):
        """Add code without optimising it."""
        self._final_module.link_in(ll_module)

    def finalize(self):
        """Add the code of the kernels that this one calls."""
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def object_code(self):
        """Optimise and return machine code."""
        self.finalize()
        tuning = binding.create_pipeline_tuning_options(speed_level=3)
        tuning.loop_vectorization = True
        machine = self.codegen._tm
        builder = binding.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(self._final_module, builder)
        return machine.emit_object(self._final_module)


class Pipeline(CompilerBase):
    """The passes that compile a Python function to a library."""

    def define_pipelines(self):
        """Return the passes."""
        self.state.library = Library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        passes = PassManager("kernel")
        for each in PASSES:
            passes.add_pass(each)
        passes.finalize()
        return [passes]


class Typing(Context):
    """numba's typing rules, applied once for each function and combination of argument types."""

    def __init__(self):
        super().__init__()
        self._resolved = {}

    def resolve_function_type(self, func, args, kws):
        """Return the signature of a call; all arguments are positional."""
        if isinstance(func, str):  # a constant index may be a slice, which is not hashable
            return super().resolve_function_type(func, args, kws)
        if (signature := self._resolved.get((func, args))) is None:
            signature = self._resolved[func, args] = super().resolve_function_type(func, args, kws)
        return signature


class Target(CPUContext):
    """numba's code for the operations of kernels, without its slowest look-ups."""

    def init(self):
        """Cache the sizes of types, because LLVM parses a module to compute each of them."""
        super().init()
        self.get_abi_sizeof = cache(self.get_abi_sizeof)

    def load_additional_registries(self):
        """Prefer the kernels' own code for the elements of arrays."""
        super().load_additional_registries()
        self.install_registry(elements.registry)

    def get_function(self, fn, sig, _firstcall=True):
        """Return the code of a function; there is none for `__array__`, so it is not searched for a second time."""
        return super().get_function(fn, sig, _firstcall and fn != "__array__")


class Call(AbstractTemplate):
    """The type of a kernel; numba infers its result type by compiling it."""

    def generic(self, args, _):
        """Return the types of arguments and result."""
        return compiled(self.key, args).signature


class Operate(AbstractTemplate):
    """The type of an operation."""

    def generic(self, args, _):
        """Return the types of arguments and result."""
        signature, generate = self.key(self.context, *args)
        target().insert_func_defn([(generate, self.key, signature.args)])
        return signature


@typeof_impl.register(Deferred)
def _typeof(deferred, _):
    """Give numba the types of kernels and operations, so that kernels can call them."""
    return deferred.made()


@cache
def target():
    """Return numba's context for kernels."""
    return Target(Typing())


def function_type(function, is_operation=False):
    """Return numba's type of a kernel or an operation."""
    template = Operate if is_operation else Call
    return types.Function(type(function.__name__, (template,), {"key": staticmethod(function)}))


@cache
def compiled(function, arguments):
    """Return numba's compilation result of a kernel for some argument types."""
    flags = Flags()
    flags.error_model = "numpy"  # division by 0 gives infinity or NaN and raises nothing
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    context = target()
    result = compile_extra(
        context.typing_context, context, function, arguments, None, flags, {}, pipeline_class=Pipeline
    )
    context.insert_user_function(function, result.fndesc, [result.library])
    return result


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
    """Compile a kernel for some kinds of arguments; return its result type, the symbol of its entry and the code."""
    inner, symbol = compiled(kernel.py_func, tuple(map(numba_type, kinds))), packaged_code.member(kernel.name, kinds)
    context, symbol = inner.target_context, f"reelated.{symbol}"
    library = Library(context.codegen(), symbol)
    module = library.create_ir_module(symbol)
    with context.push_code_library(library):
        result = _write_entry(context, module, symbol, inner)
    library.add_ir_module(module)
    library.add_linking_library(inner.library)
    return b"\n".join((result.encode(), symbol.encode(), library.object_code()))


def _write_entry(context, module, symbol, inner):
    """Write the entry, which loads the arguments and calls the kernel; return the name of the type that it returns."""
    returned, arguments = inner.signature.return_type, inner.signature.args
    wide = returned if returned in (types.none, types.float64, types.uint64) else types.int64
    kind = ir.VoidType() if wide == types.none else context.get_value_type(wide)
    entry = ir.Function(module, ir.FunctionType(kind, [WORD.as_pointer()]), symbol)
    builder, words, native = (
        ir.IRBuilder(entry.append_basic_block()),
        count(),
        context.declare_function(module, inner.fndesc),
    )
    values = [_load(context, builder, entry.args[0], words, each) for each in arguments]
    _, value = context.call_conv.call_function(builder, native, returned, arguments, values)
    if wide == types.none:
        builder.ret_void()
    else:
        builder.ret(context.cast(builder, value, returned, wide))
    return str(wide)


def _load(context, builder, block, words, kind):
    """Load an argument from the next word of the block."""
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
