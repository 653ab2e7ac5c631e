"""How kernels read and write elements of arrays: an address and a load or store, a tenth of the code that numba writes.

No index is negative, and no bound is checked.
"""

import operator

from numba import types
from numba.core.imputils import Registry
from numba.np.arrayobj import getitem_array_tuple, getitem_arraynd_intp, load_item, setitem_array, store_item

registry = Registry("elements of arrays")


def _address(context, builder, signature, args):
    """Return the address of an element; None where numba has to make a view, or to look at strides."""
    (array, kind), index = signature.args[:2], args[1]
    kinds, indices = ((kind,), (index,)) if isinstance(kind, types.Integer) else (kind.types, _parts(builder, index))
    if array.layout != "C" or len(kinds) != array.ndim or not all(isinstance(each, types.Integer) for each in kinds):
        return None
    fields = context.data_model_manager[array]
    offset, *rest = (context.cast(builder, *each, types.intp) for each in zip(indices, kinds, strict=True))
    for axis, place in enumerate(rest, 1):
        length = builder.extract_value(fields.get(builder, args[0], "shape"), axis)
        offset = builder.add(builder.mul(offset, length), place)
    return builder.gep(fields.get(builder, args[0], "data"), [offset])


def _parts(builder, values):
    return [builder.extract_value(values, position) for position in range(len(values.type.elements))]


def _get(otherwise):
    """Return the code that reads an element, or does what numba does."""

    def read(context, builder, signature, args):
        if (address := _address(context, builder, signature, args)) is None:
            return otherwise(context, builder, signature, args)
        return load_item(context, builder, signature.args[0], address)

    return read


registry.lower(operator.getitem, types.Array, types.Integer)(_get(getitem_arraynd_intp))
registry.lower(operator.getitem, types.Array, types.BaseTuple)(_get(getitem_array_tuple))


@registry.lower(operator.setitem, types.Array, types.Integer, types.Any)
@registry.lower(operator.setitem, types.Array, types.BaseTuple, types.Any)
def _set(context, builder, signature, args):
    if (address := _address(context, builder, signature, args)) is None:
        return setitem_array(context, builder, signature, args)
    array, _, kind = signature.args
    return store_item(context, builder, array, context.cast(builder, args[2], kind, array.dtype), address)


@registry.lower(len, types.Array)
def _len(context, builder, signature, args):
    shape = context.data_model_manager[signature.args[0]].get(builder, args[0], "shape")
    return builder.extract_value(shape, 0)
