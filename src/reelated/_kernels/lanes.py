"""Eight numbers at a time: the few vector operations of the kernels, spelt out for LLVM.

Multiplications and additions are never fused, so that every way of adding up the same products gives the same bits.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
"""Numbers of one vector operation."""


class Vectors:
    """The arrays of a call as LLVM sees them, in eights."""

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
        """Return the address of eight elements from `place` on."""
        return self.builder.bitcast(self.pointer(at, place), ir.VectorType(self.element(at), LANES).as_pointer())

    def load(self, at, place):
        """Read eight elements, wherever they begin."""
        loaded = self.builder.load(self.eight(at, place))
        loaded.align = self.context.get_abi_sizeof(self.element(at))
        return loaded

    def store(self, value, at, place):
        """Write eight elements, wherever they begin."""
        self.builder.store(value, self.eight(at, place)).align = self.context.get_abi_sizeof(self.element(at))

    def spread(self, value):
        """Return one number eight times."""
        first, nothing = ir.Constant(ir.IntType(32), 0), ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(self.builder.insert_element(nothing, value, first), nothing, zeros)

    def rows(self, place, step):
        """Return the places of eight rows that lie `step` apart."""
        return [self.builder.add(place, self.builder.mul(step, _index(self.context, row))) for row in range(LANES)]

    def along(self, depth, left, right):
        """Loop over `depth` eights of two arrays: yield the numbers of the left one and the vector of the right."""
        with cgutils.for_range(self.builder, depth) as loop:
            far = self.builder.mul(loop.index, _index(self.context, LANES))
            places = [self.builder.add(self.builder.add(left[1], far), _index(self.context, i)) for i in range(LANES)]
            numbers = [self.builder.load(self.pointer(left[0], place)) for place in places]
            yield numbers, self.load(right[0], self.builder.add(right[1], far))

    def function(self, name, vector):
        """Return LLVM's own function of one vector."""
        element = "i64" if isinstance(vector.element, ir.IntType) else "f32"
        full = f"llvm.{name}.v{LANES}{element}"
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(vector, [vector]), full)

    def bits(self, truths):
        """Return eight truths as the bits of one integer, the first lane lowest."""
        return self.builder.zext(self.builder.bitcast(truths, ir.IntType(LANES)), ir.IntType(64))


_PLACES = types.uint64, types.uint64


def _index(context, number):
    return ir.Constant(context.get_value_type(types.uint64), number)


@intrinsic
def add_tile(_, sums, place, step, left, left_at, right, right_at, depth):
    """``sums[place + i * step + j] += Σ_k left[left_at + 8 k + i] * right[right_at + 8 k + j]`` for i, j below 8.

    The 64 sums stay in registers for all `depth` values of `k`, and each runs over `k` ascending.
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
    """Return how many of ``numbers[place : place + 8]`` are in size at least the number that has these bits."""

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
    """Return as bits which of ``numbers[place : place + 8]`` are not 0 and in size at least a floor or their own.

    Their own are ``floors[group : group + 8]``.
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
    """Return the float32 that has these bits."""

    def generate(_, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@intrinsic
def lowest_bit(_, word):
    """Return the place of the lowest bit that is set in a 64-bit word."""

    def generate(_, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def above(_, numbers, place, floor):
    """Return as bits which of ``numbers[place : place + 8]`` are above a floor."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        return v.bits(builder.fcmp_ordered(">", v.load(0, args[1]), v.spread(args[2])))

    return types.uint64(numbers, types.uint64, numbers.dtype), generate


@intrinsic
def above_each(_, numbers, place, floors):
    """Return as bits which of ``numbers[place : place + 8]`` are above ``floors[:8]``, each above its own."""

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
def widen(_, out, place, numbers, at):
    """``out[place : place + 8] = numbers[at : at + 8]``, of float32 as float64."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        wide = ir.VectorType(v.element(0), LANES)
        v.store(builder.fpext(v.load(2, args[3]), wide), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, numbers, types.uint64), generate


@intrinsic
def add_four(_, sums, place, step, eights, scale, left, right, end):
    """``sums[place + step * (c - right) + lane] += Σ_k scale[lane] * eights[left, k, lane] * eights[c, k, lane]``.

    For c from `right` to `end` and eight lanes; there are four `k`, added one after the other.
    """

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        width = _index(context, 4 * LANES)

        def place_of(row, k):
            return builder.add(builder.mul(row, width), _index(context, k * LANES))

        factor = v.load(4, _index(context, 0))
        scaled = [builder.fmul(factor, v.load(3, place_of(args[5], k))) for k in range(4)]
        with cgutils.for_range(builder, builder.sub(args[7], args[6])) as loop:
            row, at = builder.add(args[6], loop.index), builder.add(args[1], builder.mul(loop.index, args[2]))
            total = v.load(0, at)
            for k in range(4):
                total = builder.fadd(total, builder.fmul(scaled[k], v.load(3, place_of(row, k))))
            v.store(total, 0, at)
        return context.get_dummy_value()

    return types.void(sums, *_PLACES, eights, scale, *_PLACES, types.uint64), generate
