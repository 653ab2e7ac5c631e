"""SIMD operations on eight numbers, as LLVM intrinsics.

All kernels must give the same bits for the same products, so multiplication and addition are fused only where a
docstring says so.
"""

from reelated._kernels.kernel import Lazy, operation

cgutils, ir, types = Lazy("numba.core.cgutils"), Lazy("llvmlite.ir"), Lazy("numba.types")  # used when compiling

LANES = 8
"""Number of elements in one vector operation."""
CACHE_LINE = 16
"""Number of elements of 32 bits in a cache line."""
TILE_ROWS, TILE_COLUMNS = 2, 2
"""Rows and columns of the tile of sums that `add_outer` keeps in registers: half of the 16 that AVX2 has."""
SYMMETRIC_ROWS = 4
"""Rows that `add_symmetric` multiplies at a time."""


class Vectors:
    """The array arguments of a call as LLVM values, with access to eight elements at a time."""

    def __init__(self, context, builder, signature, args):
        self.context, self.builder, self.signature, self.args = context, builder, signature, args

    def element(self, arg):
        """Return the element type of array argument `arg`."""
        return self.context.get_value_type(self.signature.args[arg].dtype)

    def pointer(self, arg, start):
        """Return the address of element `start` of array argument `arg`."""
        data = self.context.make_array(self.signature.args[arg])(self.context, self.builder, self.args[arg]).data
        return self.builder.gep(data, [start])

    def vector_pointer(self, arg, start):
        """Return the address of eight elements from `start` on, as a pointer to a vector."""
        return self.builder.bitcast(self.pointer(arg, start), ir.VectorType(self.element(arg), LANES).as_pointer())

    def load(self, arg, start):
        """Load eight elements; the address need not be a multiple of eight elements."""
        loaded = self.builder.load(self.vector_pointer(arg, start))
        loaded.align = self.context.get_abi_sizeof(self.element(arg))
        return loaded

    def store(self, value, arg, start):
        """Store eight elements; the address need not be a multiple of eight elements."""
        stored = self.builder.store(value, self.vector_pointer(arg, start))
        stored.align = self.context.get_abi_sizeof(self.element(arg))

    def broadcast(self, value):
        """Broadcast one number to all eight lanes."""
        first, undefined = ir.Constant(ir.IntType(32), 0), ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(self.builder.insert_element(undefined, value, first), undefined, zeros)

    def sum(self, value):
        """Return the sum of the eight lanes: add the upper half to the lower half, three times."""
        undefined = ir.Constant(value.type, ir.Undefined)
        for half in (4, 2, 1):
            order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [(lane + half) % LANES for lane in range(LANES)])
            value = self.builder.fadd(value, self.builder.shuffle_vector(value, undefined, order))
        return self.builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    def rows(self, start, step):
        """Return the offsets of eight rows that lie `step` apart."""
        return [self.builder.add(start, self.builder.mul(step, _uint64(self.context, row))) for row in range(LANES)]

    def loop_over(self, depth, left, right):
        """Loop over `depth` vectors of two arrays; yield the left one as scalars and the right one as a vector."""
        lanes = [_uint64(self.context, lane) for lane in range(LANES)]
        with cgutils.for_range(self.builder, depth) as loop:
            offset = self.builder.mul(loop.index, _uint64(self.context, LANES))
            starts = [self.builder.add(self.builder.add(left[1], offset), lane) for lane in lanes]
            scalars = [self.builder.load(self.pointer(left[0], start)) for start in starts]
            yield scalars, self.load(right[0], self.builder.add(right[1], offset))

    def load_float64(self, arg, start):
        """Load eight numbers as float64."""
        loaded, wide = self.load(arg, start), ir.VectorType(ir.DoubleType(), LANES)
        return loaded if loaded.type == wide else self.builder.fpext(loaded, wide)

    def vector_function(self, name, vector, arguments=1):
        """Return an LLVM vector function, declared in the module at first use."""
        element = {"i64": "i64", "float": "f32", "double": "f64"}[str(vector.element)]
        full, kind = f"llvm.{name}.v{LANES}{element}", ir.FunctionType(vector, [vector] * arguments)
        return cgutils.get_or_insert_function(self.builder.module, kind, full)

    def fma(self, x, y, total):
        """Return ``x * y + total``, rounded once."""
        return self.builder.call(self.vector_function("fma", total.type, arguments=3), [x, y, total])

    def bit_mask(self, flags):
        """Return eight booleans as the bits of one integer, lane 0 lowest."""
        return self.builder.zext(self.builder.bitcast(flags, ir.IntType(LANES)), ir.IntType(64))


def _uint64(context, number):
    return ir.Constant(context.get_value_type(types.uint64), number)


@operation
def add_tile(_, sums, start, step, left, left_start, right, right_start, depth):
    """``sums[start + step i + j] += Σ_k left[left_start + 8 k + i] * right[right_start + 8 k + j]`` for i, j below 8.

    The 64 sums stay in registers for all `depth` values of `k`; each is summed in ascending `k`.
    """

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        rows = v.rows(args[1], args[2])
        totals = [cgutils.alloca_once_value(builder, v.load(0, row)) for row in rows]
        for own, partners in v.loop_over(args[7], (3, args[4]), (5, args[6])):
            for value, total in zip(own, totals, strict=True):
                builder.store(builder.fadd(builder.load(total), builder.fmul(partners, v.broadcast(value))), total)
        for row, total in zip(rows, totals, strict=True):
            v.store(builder.load(total), 0, row)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, types.uint64, left, types.uint64, right, types.uint64, types.uint64), generate


@operation
def count_tile(_, counts, start, step, left, left_start, right, right_start, depth):
    """``counts[start + step i + j] += Σ_k popcount(left[left_start + 8 k + i] & right[right_start + 8 k + j])``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        words = ir.VectorType(ir.IntType(64), LANES)
        population = v.vector_function("ctpop", words)
        totals = [cgutils.alloca_once_value(builder, ir.Constant(words, [0] * LANES)) for _ in range(LANES)]
        for own, partners in v.loop_over(args[7], (3, args[4]), (5, args[6])):
            for word, total in zip(own, totals, strict=True):
                both = builder.call(population, [builder.and_(partners, v.broadcast(word))])
                builder.store(builder.add(builder.load(total), both), total)
        for row, total in zip(v.rows(args[1], args[2]), totals, strict=True):
            count, before = builder.load(total), v.load(0, row)
            v.store(builder.add(before, builder.trunc(count, before.type)), 0, row)
        return context.get_dummy_value()

    return types.void(
        counts, types.uint64, types.uint64, left, types.uint64, right, types.uint64, types.uint64
    ), generate


@operation
def count_reaching(_, numbers, start, bits):
    """Count the ``numbers[start : start + 8]`` whose absolute value is at least the number with these bits."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        eight, threshold = v.load(0, args[1]), args[2]
        if isinstance(signature.args[0].dtype, types.Float):
            threshold = builder.bitcast(builder.trunc(threshold, ir.IntType(32)), eight.type.element)
            size = builder.call(v.vector_function("fabs", eight.type), [eight])
            reached = builder.fcmp_ordered(">=", size, v.broadcast(threshold))
        else:
            reached = builder.icmp_unsigned(">=", eight, v.broadcast(threshold))
        return builder.ctpop(v.bit_mask(reached))

    return types.int64(numbers, types.uint64, types.uint64), generate


@operation
def mask_candidates(_, numbers, start, threshold, thresholds, group):
    """Return a bit mask of the ``numbers[start : start + 8]`` that are not 0 and reach one of two thresholds.

    The absolute value is compared with `threshold` and with ``thresholds[group + lane]``.
    """

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        number = v.load(0, args[1])
        size = builder.call(v.vector_function("fabs", number.type), [number])
        own = builder.fcmp_ordered(">=", size, v.broadcast(args[2]))
        others = builder.fcmp_ordered(">=", size, v.load(3, args[4]))
        nonzero = builder.fcmp_ordered("!=", number, ir.Constant(number.type, [0.0] * LANES))
        return v.bit_mask(builder.and_(builder.or_(own, others), nonzero))

    return types.uint64(numbers, types.uint64, numbers.dtype, thresholds, types.uint64), generate


@operation
def float32_to_bits(_, number):
    """Return the bits of a float32 as an unsigned integer."""

    def generate(_, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@operation
def bits_to_float32(_, bits):
    """Return the float32 with these bits."""

    def generate(_, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), generate


@operation
def rint(_, number):
    """Round to the nearest integer, halves to the even integer."""

    def generate(_, builder, signature, args):
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.rint.f64"), args)

    return types.float64(types.float64), generate


@operation
def lowest_bit(_, word):
    """Return the position of the lowest set bit of a 64-bit word, which must not be 0."""

    def generate(_, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@operation
def mask_above(_, numbers, start, threshold):
    """Return a bit mask of ``numbers[start : start + 8] > threshold``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        return v.bit_mask(builder.fcmp_ordered(">", v.load(0, args[1]), v.broadcast(args[2])))

    return types.uint64(numbers, types.uint64, numbers.dtype), generate


@operation
def mask_above_each(_, numbers, start, thresholds):
    """Return a bit mask of ``numbers[start : start + 8] > thresholds[:8]``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        return v.bit_mask(builder.fcmp_ordered(">", v.load(0, args[1]), v.load(2, _uint64(context, 0))))

    return types.uint64(numbers, types.uint64, thresholds), generate


@operation
def add_scaled(_, sums, start, weights, weights_start, value):
    """``sums[start : start + 8] += weights[weights_start : weights_start + 8] * value``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        product = builder.fmul(v.load(2, args[3]), v.broadcast(args[4]))
        v.store(builder.fadd(v.load(0, args[1]), product), 0, args[1])
        return context.get_dummy_value()

    return types.void(sums, types.uint64, weights, types.uint64, sums.dtype), generate


@operation
def prefetch(_, numbers, start):
    """Load the cache line of ``numbers[start]`` without waiting for it."""

    def generate(context, builder, signature, args):
        address = builder.bitcast(Vectors(context, builder, signature, args).pointer(0, args[1]), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [address.type, *3 * [ir.IntType(32)]])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [address, *(ir.IntType(32)(flag) for flag in (0, 3, 1))])  # read, all caches, data
        return context.get_dummy_value()

    return types.void(numbers, types.uint64), generate


@operation
def set_zero(_, numbers, start):
    """``numbers[start : start + 8] = 0``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(ir.Constant(ir.VectorType(v.element(0), LANES), None), 0, args[1])
        return context.get_dummy_value()

    return types.void(numbers, types.uint64), generate


@operation
def load_lanes(_, out, start, numbers, source):
    """``out[start : start + 8] = numbers[source : source + 8]``, as float64."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(v.load_float64(2, args[3]), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, numbers, types.uint64), generate


@operation
def multiply_lanes(_, out, start, numbers, source):
    """``out[start : start + 8] *= numbers[source : source + 8]``."""

    def generate(context, builder, signature, args):
        v = Vectors(context, builder, signature, args)
        v.store(builder.fmul(v.load(0, args[1]), v.load(2, args[3])), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, numbers, types.uint64), generate


def _dot(out, left, right, sign):
    """Return the signature and the code generator of `add_dot` and `subtract_dot`."""

    def generate(context, builder, signature, args):
        v, eight = Vectors(context, builder, signature, args), _uint64(context, LANES)
        total = cgutils.alloca_once_value(builder, v.load(0, args[1]))
        with cgutils.for_range(builder, args[7]) as loop:
            x = v.load_float64(2, builder.add(args[3], builder.mul(loop.index, args[4])))
            y = v.load_float64(5, builder.add(args[6], builder.mul(loop.index, eight)))
            builder.store(v.fma(x if sign > 0 else builder.fneg(x), y, builder.load(total)), total)
        v.store(builder.load(total), 0, args[1])
        return context.get_dummy_value()

    return types.void(out, types.uint64, left, types.uint64, types.uint64, right, types.uint64, types.uint64), generate


@operation
def add_dot(_, out, start, left, left_start, step, right, right_start, n):
    """``out[start + lane] += Σ_k left[left_start + step k + lane] * right[right_start + 8 k + lane]``, fused."""
    return _dot(out, left, right, 1)


@operation
def subtract_dot(_, out, start, left, left_start, step, right, right_start, n):
    """``out[start + lane] -= Σ_k left[left_start + step k + lane] * right[right_start + 8 k + lane]``, fused."""
    return _dot(out, left, right, -1)


def _outer(sums, batch, sign):
    """Return the signature and the code generator of `add_outer` and `subtract_outer`."""

    def generate(context, builder, signature, args):
        v, eight = Vectors(context, builder, signature, args), _uint64(context, LANES)
        _, start, step, _, left, right, capacity, n = args
        tile = [(i, j) for i in range(TILE_ROWS) for j in range(TILE_COLUMNS)]
        row_starts = [builder.add(start, builder.mul(step, _uint64(context, i))) for i in range(TILE_ROWS)]
        starts = {(i, j): builder.add(row_starts[i], _uint64(context, j * LANES)) for i, j in tile}
        totals = {cell: cgutils.alloca_once_value(builder, v.load(0, starts[cell])) for cell in tile}
        with cgutils.for_range(builder, n) as loop:

            def load_row(row, offset):
                line = builder.mul(builder.add(row, _uint64(context, offset)), capacity)
                return v.load(3, builder.mul(builder.add(line, loop.index), eight))

            xs, ys = [load_row(left, i) for i in range(TILE_ROWS)], [load_row(right, j) for j in range(TILE_COLUMNS)]
            xs = xs if sign > 0 else [builder.fneg(x) for x in xs]
            for i, j in tile:
                builder.store(v.fma(xs[i], ys[j], builder.load(totals[i, j])), totals[i, j])
        for cell in tile:
            v.store(builder.load(totals[cell]), 0, starts[cell])
        return context.get_dummy_value()

    return types.void(
        sums, types.uint64, types.uint64, batch, types.uint64, types.uint64, types.uint64, types.uint64
    ), generate


@operation
def add_outer(_, sums, start, step, batch, left, right, capacity, n):
    """``sums[start + step i + 8 j + lane] += Σ_k batch[left + i, k, lane] * batch[right + j, k, lane]``, fused.

    For i below `TILE_ROWS`, j below `TILE_COLUMNS` and k below `n`; a row of `batch` holds `capacity` values of k.
    """
    return _outer(sums, batch, 1)


@operation
def subtract_outer(_, sums, start, step, batch, left, right, capacity, n):
    """``sums[start + step i + 8 j + lane] -= Σ_k batch[left + i, k, lane] * batch[right + j, k, lane]``, fused."""
    return _outer(sums, batch, -1)


@operation
def add_symmetric(_, product, row, matrix, start, step, direction, n):
    """Add the products of a vector with `SYMMETRIC_ROWS` rows below the diagonal, and with the same entries above it.

    ``product[8 k + lane] += Σ_i matrix[start + step i + 8 k + lane] * direction[row + i]`` and
    ``product[row + i] += Σ_k,lane matrix[start + step i + 8 k + lane] * direction[8 k + lane]``, for k below `n`.
    """

    def generate(context, builder, signature, args):
        v, eight = Vectors(context, builder, signature, args), _uint64(context, LANES)
        own = [builder.add(args[1], _uint64(context, i)) for i in range(SYMMETRIC_ROWS)]
        starts = [builder.add(args[3], builder.mul(args[4], _uint64(context, i))) for i in range(SYMMETRIC_ROWS)]
        factors = [v.broadcast(builder.load(v.pointer(5, place))) for place in own]
        zero = ir.Constant(ir.VectorType(v.element(2), LANES), None)
        totals = [cgutils.alloca_once_value(builder, zero) for _ in own]
        with cgutils.for_range(builder, args[6]) as loop:
            column = builder.mul(loop.index, eight)
            partners, above = v.load(5, column), v.load(0, column)
            for begin, factor, total in zip(starts, factors, totals, strict=True):
                entries = v.load(2, builder.add(begin, column))
                above = builder.fadd(above, builder.fmul(entries, factor))
                builder.store(builder.fadd(builder.load(total), builder.fmul(entries, partners)), total)
            v.store(above, 0, column)
        for place, total in zip(own, totals, strict=True):
            pointer = v.pointer(0, place)
            builder.store(builder.fadd(builder.load(pointer), v.sum(builder.load(total))), pointer)
        return context.get_dummy_value()

    return types.void(product, types.uint64, matrix, types.uint64, types.uint64, direction, types.uint64), generate
