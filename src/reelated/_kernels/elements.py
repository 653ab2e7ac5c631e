"""Access to array elements in kernels: an address and a load or store, a tenth of the code that numba generates.

Arrays are contiguous, indices are not negative, and only the end of a slice is checked. numba handles other cases.
"""

import functools
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import Registry
from numba.np import arrayobj

registry = Registry("elements of arrays")


class Place:
    """The part of an array that an index names: an element, a row or rows, or a slice."""

    def __init__(self, context, builder, signature, args):
        self.context, self.builder = context, builder
        (self.array, kind), (value, index) = signature.args[:2], args[:2]
        self.parts = {
            name: context.data_model_manager[self.array].get(builder, value, name)
            for name in ("data", "shape", "strides", "itemsize")
        }
        lengths = cgutils.unpack_tuple(builder, self.parts["shape"])
        if isinstance(kind, types.SliceType):
            start, stop = (builder.extract_value(index, position) for position in (0, 1))
            stop = builder.select(builder.icmp_unsigned("<", stop, lengths[0]), stop, lengths[0])
            length = builder.select(builder.icmp_unsigned("<", start, stop), builder.sub(stop, start), stop.type(0))
            indices, self.lengths = [start], [length]
        else:
            kinds = kind.types if isinstance(kind, types.BaseTuple) else [kind]
            values = cgutils.unpack_tuple(builder, index) if isinstance(kind, types.BaseTuple) else [index]
            indices = [context.cast(builder, *each, types.intp) for each in zip(values, kinds, strict=True)]
            self.lengths = lengths[len(indices) :]
        offset = indices[0]
        for axis, length in enumerate(lengths[1:], 1):
            offset = builder.mul(offset, length)
            if axis < len(indices):
                offset = builder.add(offset, indices[axis])
        self.address = builder.gep(self.parts["data"], [offset])

    @property
    def size(self):
        """The number of elements of the part."""
        return functools.reduce(self.builder.mul, self.lengths)

    @staticmethod
    def is_contiguous(array, kind):
        """Return whether an index of this kind names a contiguous part of an array."""
        if isinstance(kind, types.SliceType):
            return array.layout == "C" and array.ndim == 1 and not kind.has_step
        kinds = kind.types if isinstance(kind, types.BaseTuple) else (kind,)
        return array.layout == "C" and all(isinstance(each, types.Integer) for each in kinds)

    def view(self, kind):
        """Return the part as an array."""
        strides = cgutils.unpack_tuple(self.builder, self.parts["strides"])[-kind.ndim :]
        parts = self.parts | {
            "data": self.address,
            "nitems": self.size,
            "shape": cgutils.pack_array(self.builder, self.lengths),
            "strides": cgutils.pack_array(self.builder, strides),
        }
        fields = self.context.data_model_manager[kind]
        array = ir.Constant(fields.get_value_type(), None)
        for name, part in parts.items():
            array = fields.set(self.builder, array, part, name)
        return array


def _read(otherwise):
    """Return the code for an element or a view; a part that is not contiguous is left to numba."""

    def read(context, builder, signature, args):
        if not Place.is_contiguous(*signature.args):
            return otherwise(context, builder, signature, args)
        place = Place(context, builder, signature, args)
        if isinstance(signature.return_type, types.Array):
            return place.view(signature.return_type)
        return arrayobj.load_item(context, builder, place.array, place.address)

    return read


registry.lower(operator.getitem, types.Array, types.Integer)(_read(arrayobj.getitem_arraynd_intp))
registry.lower(operator.getitem, types.Array, types.SliceType)(_read(arrayobj.getitem_arraynd_intp))
registry.lower(operator.getitem, types.Array, types.BaseTuple)(_read(arrayobj.getitem_array_tuple))


@registry.lower(operator.setitem, types.Array, types.Any, types.Any)
def _write(context, builder, signature, args):
    """Write an element, or the same number into a view."""
    array, kind, number = signature.args
    if not Place.is_contiguous(array, kind) or isinstance(number, types.Array):
        return arrayobj.setitem_array(context, builder, signature, args)
    place, number = Place(context, builder, signature, args), context.cast(builder, args[2], number, array.dtype)
    if not place.lengths:
        return arrayobj.store_item(context, builder, array, number, place.address)
    with cgutils.for_range(builder, place.size) as loop:
        arrayobj.store_item(context, builder, array, number, builder.gep(place.address, [loop.index]))
    return None


@registry.lower(len, types.Array)
def _len(context, builder, signature, args):
    shape = context.data_model_manager[signature.args[0]].get(builder, args[0], "shape")
    return builder.extract_value(shape, 0)
