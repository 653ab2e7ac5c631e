"""SIMD: the few operations on eight numbers that the kernels use, written as LLVM intrinsics.

Every way of adding up the same products must give the same bits. So multiplication and addition are never fused or,
where a docstring says so, always.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Numbers in one vector operation."""
TALL, BROAD = 2, 4
"""Rows and columns of the tile of sums that `add_outer` keeps in registers."""


class Vectors:
    """The array arguments of a call as LLVM values, with access to eight elements at a time."""

    def __init__(self, context, builder, signature, args):
        self.context, self.builder, self.signature, self.args = context, builder, signature, args

    def element(self, at):
        """Return the element type of array argument `at`."""
        return self.context.get_value_type(self.signature.args[at].dtype)

    def pointer(self, at, place):
        """Return the address of element `place` of array argument `at`."""
        data = self.context.make_array(self.signature.args[at])(self.context, self.builder, self.args[at]).data
        return self.builder.gep(data, [place])

    def eight(self, at, place):
        """Return the address of eight elements from `place` on, as a pointer to a vector."""
        return self.builder.bitcast(self.pointer(at, place), ir.VectorType(self.element(at), LANES).as_pointer())

    def load(self, at, place):
        """Load eight elements; the address need not be a multiple of eight elements."""
        loaded = self.builder.load(self.eight(at, place))
        loaded.align = self.context.get_abi_sizeof(self.element(at))
        return loaded

    def store(self, value, at, place):
        """Store eight elements; the address need not be a multiple of eight elements."""
        self.builder.store(value, self.eight(at, place)).align = self.context.get_abi_sizeof(self.element(at))

    def spread(self, value):
        """Broadcast one number to all eight lanes."""
        first, nothing = ir.Constant(ir.IntType(32), 0), ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(self.builder.insert_element(nothing, value, first), nothing, zeros)

    def rows(self, place, step):
        """Return the places of eight rows that lie `step` apart."""
        return [self.builder.add(place, self.builder.mul(step, _index(self.context, row))) for row in range(LANES)]

    def along(self, depth, left, right):
        """Loop over `depth` eights of two arrays; yield the left one as scalars and the right one as a vector."""
        with cgutils.for_range(self.builder, depth) as loop:
            far = self.builder.mul(loop.index, _index(self.context, LANES))
            places = [self.builder.add(self.builder.add(left[1], far), _index(self.context, i)) for i in range(LANES)]
            numbers = [self.builder.load(self.pointer(left[0], place)) for place in places]
            yield numbers, self.load(right[0], self.builder.add(right[1], far))

    def wide(self, at, place):
        """Load eight numbers as float64."""
        loaded, wide = self.load(at, place), ir.VectorType(ir.DoubleType(), LANES)
        return loaded if loaded.type == wide else self.builder.fpext(loaded, wide)

    def function(self, name, vector, arguments=1):
        """Return an LLVM vector function, declared in the module at first use."""
        element = {"i64": "i64", "float": "f32", "double": "f64"}[str(vector.element)]
        full, kind = f"llvm.{name}.v{LANES}{element}", ir.FunctionType(vector, [vector] * arguments)
        return cgutils.get_or_insert_function(self.builder.module, kind, full)

    def fused(self, x, y, total):
        """Return ``x * y + total``, rounded once."""
        return self.builder.call(self.function("fma", total.type, arguments=3), [x, y, total])

    def bits(self, truths):
        """Return eight booleans as the bits of one integer, lane 0 lowest."""
        return self.builder.zext(self.builder.bitcast(truths, ir.IntType(LANES)), ir.IntType(64))


_PLACES = types.uint64, types.uint64


def _index(context, number):
    return ir.Constant(context.get_value_type(types.uint64), number)


@intrinsic
def add_tile(_, sums, place, step, left, left_at, right, right_at, depth):
    """``sums[place + i * step + j] += Σ_k left[left_at + 8 k + i] * right[right_at + 8 k + j]`` for i, j below 8.

    The 64 sums stay in registers for all `depth` values of `k`; each is summed in ascending `k`.
    """

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        rows = v.rows(args[1], args[2])
        totals = [cgutils.alloca_once_value(builder, v.load(0, row)) for row in rows]
        for own, partners in v.along(args[7], (3, args[4]), (5, args[6])):
            for value, total in zip(own, totals, strict=True):
                builder.store(builder.fadd(builder.load(total), builder.fmul(partners, v.spread(value))), total)
        for row, total in zip(rows, totals, strict=True):
            v.store(builder.load(total), 0, row)
        return context.get_dummy_value()

    return types.void(sums, *_PLACES, left, types.uint64, right, *_PLACES), generate


@intrinsic
def count_tile(_, counts, place, step, left, left_at, right, right_at, depth):
    """``counts[place + i * step + j] += Σ_k bits set in left[left_at + 8 k + i] & right[right_at + 8 k + j]``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        words = ir.VectorType(ir.IntType(64), LANES)
        population = v.function("ctpop", words)
        totals = [cgutils.alloca_once_value(builder, ir.Constant(words, [0] * LANES)) for _ in range(LANES)]
        for own, partners in v.along(args[7], (3, args[4]), (5, args[6])):
            for word, total in zip(own, totals, strict=True):
                both = builder.call(population, [builder.and_(partners, v.spread(word))])
                builder.store(builder.add(builder.load(total), both), total)
        for row, total in zip(v.rows(args[1], args[2]), totals, strict=True):
            found, before = builder.load(total), v.load(0, row)
            v.store(builder.add(before, builder.trunc(found, before.type)), 0, row)
        return context.get_dummy_value()

    return types.void(counts, *_PLACES, left, types.uint64, right, *_PLACES), generate


@intrinsic
def reaching(_, numbers, place, bits):
    """Count those of ``numbers[place : place + 8]`` whose absolute value is at least the number with these bits."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        eight, floor = v.load(0, args[1]), args[2]
        if isinstance(signature.args[0].dtype, types.Float):
            floor = builder.bitcast(builder.trunc(floor, ir.IntType(32)), eight.type.element)
            reached = builder.fcmp_ordered(">=", builder.call(v.function("fabs", eight.type), [eight]), v.spread(floor))
        else:
            reached = builder.icmp_unsigned(">=", eight, v.spread(floor))
        return builder.ctpop(v.bits(reached))

    return types.int64(numbers, types.uint64, types.uint64), generate


@intrinsic
def promising(_, numbers, place, floor, floors, group):
    """Return a bit mask of ``numbers[place : place + 8]``: not 0, and in absolute value at least one of two floors.

    One is `floor`, the other ``floors[group + lane]``.
    """

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        number = v.load(0, args[1])
        size = builder.call(v.function("fabs", number.type), [number])
        own = builder.fcmp_ordered(">=", size, v.spread(args[2]))
        others = builder.fcmp_ordered(">=", size, v.load(3, args[4]))
        some = builder.fcmp_ordered("!=", number, ir.Constant(number.type, [0.0] * LANES))
        return v.bits(builder.and_(builder.or_(own, others), some))

    return types.uint64(numbers, types.uint64, numbers.dtype, floors, types.uint64), generate


@intrinsic
def as_bits(_, number):
    """Return the bits of a float32 as an unsigned integer."""

    def generate(_, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def as_number(_, bits):
    """Return the float32 with these bits."""

    def generate(_, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def lowest_bit(_, word):
    """Return the position of the lowest set bit of a 64-bit word, which must not be 0."""

    def generate(_, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def above(_, numbers, place, floor):
    """Return a bit mask of ``numbers[place : place + 8] > floor``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        return v.bits(builder.fcmp_ordered(">", v.load(0, args[1]), v.spread(args[2])))

    return types.uint64(numbers, types.uint64, numbers.dtype), generate


@intrinsic
def above_each(_, numbers, place, floors):
    """Return a bit mask of ``numbers[place : place + 8] > floors[:8]``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        return v.bits(builder.fcmp_ordered(">", v.load(0, args[1]), v.load(2, _index(context, 0))))

    return types.uint64(numbers, types.uint64, floors), generate


@intrinsic
def add_products(_, sums, place, weights, weights_at, value):
    """``sums[place : place + 8] += weights[weights_at : weights_at + 8] * value``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        product = builder.fmul(v.load(2, args[3]), v.spread(args[4]))
        v.store(builder.fadd(v.load(0, args[1]), product), 0, args[1])
        return context.get_dummy_value()

    return types.void(sums, types.uint64, weights, types.uint64, sums.dtype), generate


@intrinsic
def clear(_, numbers, place):
    """``numbers[place : place + 8] = 0``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(ir.Constant(ir.VectorType(v.element(0), LANES), None), 0, args[1])
        return context.get_dummy_value()

    return types.void(numbers, types.uint64), generate


@intrinsic
def fetch(_, out, place, numbers, at):
    """``out[place : place + 8] = numbers[at : at + 8]``, as float64."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(v.wide(2, args[3]), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, numbers, types.uint64), generate


@intrinsic
def multiply(_, out, place, numbers, at):
    """``out[place : place + 8] *= numbers[at : at + 8]``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(builder.fmul(v.load(0, args[1]), v.load(2, args[3])), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, numbers, types.uint64), generate


def _sum(out, left, right, sign):
    """Return the signature and the code generator of `add_sum` and `take_sum`."""

    def generate(context, builder, signature, args):
        v, eight = Vectors(context, builder, signature, args), _index(context, LANES)
        total = cgutils.alloca_once_value(builder, v.load(0, args[1]))
        with cgutils.for_range(builder, args[7]) as loop:
            x = v.wide(2, builder.add(args[3], builder.mul(loop.index, args[4])))
            y = v.wide(5, builder.add(args[6], builder.mul(loop.index, eight)))
            builder.store(v.fused(x if sign > 0 else builder.fneg(x), y, builder.load(total)), total)
        v.store(builder.load(total), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, left, *_PLACES, right, *_PLACES), generate


@intrinsic
def add_sum(_, out, place, left, left_at, step, right, right_at, n):
    """``out[place + lane] += Σ_k left[left_at + step k + lane] * right[right_at + 8 k + lane]``, fused, k below `n`."""
    return _sum(out, left, right, 1)


@intrinsic
def take_sum(_, out, place, left, left_at, step, right, right_at, n):
    """``out[place + lane] -= Σ_k left[left_at + step k + lane] * right[right_at + 8 k + lane]``, fused, k below `n`."""
    return _sum(out, left, right, -1)


def _outer(sums, eights, sign):
    """Return the signature and the code generator of `add_outer` and `take_outer`."""

    def generate(context, builder, signature, args):
        v, eight = Vectors(context, builder, signature, args), _index(context, LANES)
        _, place, step, _, left, right, room, n = args
        tile = [(i, j) for i in range(TALL) for j in range(BROAD)]
        at = {
            (i, j): builder.add(builder.add(place, builder.mul(step, _index(context, i))), _index(context, j * LANES))
            for i, j in tile
        }
        totals = {one: cgutils.alloca_once_value(builder, v.load(0, at[one])) for one in tile}
        with cgutils.for_range(builder, n) as loop:

            def number(row, further):
                line = builder.mul(builder.add(row, _index(context, further)), room)
                return v.load(3, builder.mul(builder.add(line, loop.index), eight))

            xs, ys = [number(left, i) for i in range(TALL)], [number(right, j) for j in range(BROAD)]
            xs = xs if sign > 0 else [builder.fneg(x) for x in xs]
            for i, j in tile:
                builder.store(v.fused(xs[i], ys[j], builder.load(totals[i, j])), totals[i, j])
        for one in tile:
            v.store(builder.load(totals[one]), 0, at[one])
        return context.get_dummy_value()

    return types.void(sums, *_PLACES, eights, *_PLACES, *_PLACES), generate


@intrinsic
def add_outer(_, sums, place, step, eights, left, right, room, n):
    """``sums[place + step i + 8 j + lane] += Σ_k eights[left + i, k, lane] * eights[right + j, k, lane]``, fused.

    For i below `TALL`, j below `BROAD` and k below `n`; a row of `eights` has space for `room` values of k.
    """
    return _outer(sums, eights, 1)


@intrinsic
def take_outer(_, sums, place, step, eights, left, right, room, n):
    """``sums[place + step i + 8 j + lane] -= Σ_k eights[left + i, k, lane] * eights[right + j, k, lane]``, fused."""
    return _outer(sums, eights, -1)
