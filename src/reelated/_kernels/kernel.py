"""Kernels: functions that numba compiles at the first call, and whose machine code later processes load without numba.

Importing numba and filling its tables of types takes longer than computing a list of recommendations. LLVM alone
therefore loads object code from the disk or from a wheel; the code calls neither Python nor numba. `compiling`
describes its only entry.
"""

import ctypes
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import import_module
from threading import RLock
from typing import Any, NamedTuple, TypeVar

import numpy as np
from llvmlite import binding

from reelated._kernels import code_cache

Tuple = TypeVar("Tuple", bound=tuple[Any, ...])
RESULTS = {"none": None, "int64": ctypes.c_int64, "uint64": ctypes.c_uint64, "float64": ctypes.c_double}
"""What the entry of a kernel returns."""
SCALARS = {int, float, bool, type(None)}
LAYOUTS = {
    contiguous | aligned | writeable: layout + ("" if aligned else "u") + ("" if writeable else "r")
    for contiguous, layout in ((0, "A"), (1, "C"), (2, "F"), (3, "C"))
    for aligned in (0, 0x100)
    for writeable in (0, 0x400)
}
"""The flags of an array (`ndarray.flags.num`) → its layout for numba: C, F or any; unaligned; read-only."""
WRITABLE, LAYOUT = 0x400, 0x503
"""The flag of an array that may be written to, and the mask of all flags that the machine code depends on."""
_lock = RLock()
_compile_listeners: list[Callable[[], None]] = []


class Deferred:
    """A part of a kernel that is created when the kernel is compiled, because importing numba takes a long time."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.made = cache(make)


class Entry(NamedTuple):
    """Machine code for arguments of some kinds: it takes their numbers in one block of bytes."""

    pack: Callable[..., bytes]
    nogil: Callable[[bytes], Any]
    brief: Callable[[bytes], Any]


class Kernel(Deferred):
    """A function of arrays, NumPy scalars, numbers, None and tuples of these; it returns a number or None.

    It allocates no arrays: its caller passes those that it writes to. No index is negative.
    """

    def __init__(self, function: Callable[..., Any], flags: int = LAYOUT) -> None:
        super().__init__(lambda: _compiling().function_type(function))
        self.flags = flags
        self.py_func, self.name = function, f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.entries: dict[tuple[Any, ...], Entry] = {}

    def __call__(self, *args: Any) -> Any:
        """Call the machine code for arguments of these kinds without the GIL; the first call loads or compiles it."""
        entry, block = self._packed(args)
        return entry.nogil(block)

    def brief(self, *args: Any) -> Any:
        """Call it with the GIL, for some microseconds: a thread that releases the GIL may wait for it longer."""
        entry, block = self._packed(args)
        return entry.brief(block)

    def _packed(self, args: tuple[Any, ...]) -> tuple[Entry, bytes]:
        """Return the machine code for arguments of these kinds, and their numbers in one block."""
        values: list[float] = []
        kinds = kinds_of(args, values, self.flags)
        entry = self.entries.get(kinds) or self._prepare(kinds, values)
        return entry, entry.pack(*values)

    def _prepare(self, kinds: tuple[Any, ...], values: list[float]) -> Entry:
        """Load or compile the machine code for the given kinds of arguments."""
        with _lock:
            if kinds not in self.entries:
                result, address = code_cache.load(self.name, kinds, load_code) or self._compile(kinds)
                form = struct.Struct("".join("d" if isinstance(value, float) else "q" for value in values))
                types = RESULTS[result], ctypes.c_char_p
                nogil, brief = ctypes.CFUNCTYPE(*types)(address), ctypes.PYFUNCTYPE(*types)(address)
                self.entries[kinds] = Entry(form.pack, nogil, brief)
        return self.entries[kinds]

    def _compile(self, kinds: tuple[Any, ...]) -> tuple[str, int]:
        for listener in _compile_listeners:
            listener()
        code = _compiling().object_code(self, kinds)
        if not _compiling().SVML:
            code_cache.save(self.name, kinds, code)
        return load_code(code)


def njit_nogil(function: Callable[..., Any]) -> Kernel:
    """Turn a function into a kernel."""
    return Kernel(function)


def njit_reading(function: Callable[..., Any]) -> Kernel:
    """Turn a function that writes to no array into a kernel: the same machine code takes memory-mapped arrays."""
    return Kernel(function, LAYOUT & ~WRITABLE)


def operation(define: Callable[..., Any]) -> Deferred:
    """Turn a function that generates LLVM code into an operation for kernels (numba's `intrinsic`)."""
    return Deferred(lambda: _compiling().function_type(define, True))


class Shared(tuple[Any, ...]):
    """A named tuple of arrays that many calls pass: its kinds and numbers are collected once."""

    @cached_property
    def collected(self) -> tuple[Any, list[float]]:
        values: list[float] = []
        return (type(self), kinds_of(tuple(self), values)), values


def shared(cls: type[Tuple]) -> type[Tuple]:
    """Make a class of named tuples `Shared`."""
    return type(cls.__name__, (cls, Shared), {"__module__": cls.__module__, "__doc__": cls.__doc__})


class Lazy:
    """A module that is imported at the first use of one of its names."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


def kinds_of(args: tuple[Any, ...], values: list[float], flags: int = LAYOUT) -> tuple[Any, ...]:
    """Return the types that the machine code depends on, and append its arguments as numbers (arrays by address)."""
    kinds: list[Any] = []
    for arg in args:
        cls = type(arg)
        if isinstance(arg, np.ndarray):
            kinds.append((arg.dtype, arg.ndim, LAYOUTS[arg.flags.num & flags]))
            values.append(id(arg))
        elif cls in SCALARS:
            kinds.append(cls)
            if arg is not None:
                values.append(arg)
        elif isinstance(arg, Shared):
            kind, numbers = arg.collected
            kinds.append(kind)
            values.extend(numbers)
        elif isinstance(arg, tuple):
            kinds.append((cls, kinds_of(arg, values, flags)))
        else:
            kinds.append(arg.dtype)
            values.append(arg.item())
    return tuple(kinds)


def load_code(code: bytes) -> tuple[str, int]:
    """Load machine code; return its result type and the address of its entry."""
    result, symbol, content = code.split(b"\n", 2)
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(content))
    engine.finalize_object()
    return result.decode(), engine.get_function_address(symbol.decode())


@cache
def _engine() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_triple(binding.get_process_triple()).create_target_machine(codemodel="jitdefault")
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


@cache
def _compiling() -> Any:
    return import_module("reelated._kernels.compiling")


@contextmanager
def on_compile(listener: Callable[[], None]) -> Iterator[None]:
    """Inside the `with` block, call a function before each compilation of a kernel."""
    _compile_listeners.append(listener)
    try:
        yield
    finally:
        _compile_listeners.remove(listener)
