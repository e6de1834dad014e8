"""Vectors of LANES 32-bit numbers as values of compiled code: what a compiler will not find by itself.

Each function here is one or a few LLVM instructions, which become as many as the vectors of the processor
need. They may be called in compiled code only. Matrices are float32 with the numbers of a row side by side;
bounds are not checked.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

from k2repro.fast.kernels.compiling import compiled

# As many as the widest vector holds; partial sums of a long sum.
LANES = 16
FLOATS, BITS = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(32)))
_HALVES = (8, 4, 2, 1)


# numba's decorator, without the types that it claims for the functions it makes.
instruction: Any = intrinsic


class VectorType(types.Type):
    """numba's name for LANES float32 numbers."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


VECTOR = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)


@compiled
def filled(count):
    """`count` numbers filled up to whole vectors."""
    return count + -count % LANES


def constant(number: float) -> ir.Constant:
    """A vector of LANES times `number`."""
    return ir.Constant(FLOATS, [number] * LANES)


def address_of(builder, array, row, column):
    """Of array[row, column]; array: as numba's `make_array` gives it."""
    strides = cgutils.unpack_tuple(builder, array.strides)
    offset = builder.add(builder.mul(row, strides[0]), builder.mul(column, strides[1]))
    return builder.inttoptr(builder.add(builder.ptrtoint(array.data, offset.type), offset), ir.PointerType())


def load_at(builder, array, row, column):
    """The vector that begins at array[row, column]."""
    return builder.load(address_of(builder, array, row, column), typ=FLOATS, align=4)


def spread_of(builder, number):
    """A vector of LANES times the value `number`."""
    nothing = ir.Constant(FLOATS, ir.Undefined)
    first = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(BITS, [0] * LANES))


def call(builder: Any, name: str, *arguments: Any) -> Any:
    """LLVM's function `name` on vectors of floats."""
    kind = ir.FunctionType(FLOATS, [FLOATS] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, arguments)


def _operation(arity: int, code: Any) -> Any:
    """A function of `arity` vectors to a vector; code: of a builder and the vectors."""

    def generate(context, builder, signature, arguments):
        return code(builder, *arguments)

    def one(typing, a):
        return VECTOR(VECTOR), generate

    def two(typing, a, b):
        return VECTOR(VECTOR, VECTOR), generate

    def three(typing, a, b, c):
        return VECTOR(VECTOR, VECTOR, VECTOR), generate

    return instruction((one, two, three)[arity - 1])


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _clamped(builder, x, low, high):
    # Comparisons with NaN are false: it stays.
    x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    return builder.select(builder.fcmp_ordered(">", x, high), high, x)


def _power_of_two(builder, whole):
    shifted = builder.add(builder.fptosi(whole, BITS), ir.Constant(BITS, [127] * LANES))
    return builder.bitcast(builder.shl(shifted, ir.Constant(BITS, [23] * LANES)), FLOATS)


add = _operation(2, lambda builder, a, b: builder.fadd(a, b))
subtract = _operation(2, lambda builder, a, b: builder.fsub(a, b))
times = _operation(2, lambda builder, a, b: builder.fmul(a, b))
over = _operation(2, lambda builder, a, b: builder.fdiv(a, b))
fma = _operation(3, lambda builder, a, b, c: call(builder, "fma", a, b, c))
larger = _operation(2, _larger)
clamped = _operation(3, _clamped)
floor = _operation(1, lambda builder, a: call(builder, "floor", a))
# 2^n of whole n between -126 and 127, written into the exponent bits.
power_of_two = _operation(1, _power_of_two)


@instruction
def fused(typing, a, b, c):
    """a b + c of numbers, with one rounding."""
    kind = types.float32
    return kind(kind, kind, kind), lambda context, builder, signature, given: builder.fma(*given)


@instruction
def load(typing, matrix, row, column):
    """matrix[row, column ..], a vector."""

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return load_at(builder, array, *arguments[1:])

    return VECTOR(matrix, types.intp, types.intp), code


@instruction
def store(typing, vector, matrix, row, column):
    """matrix[row, column ..] = vector."""

    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        builder.store(arguments[0], address_of(builder, array, *arguments[2:]), align=4)
        return context.get_dummy_value()

    return types.void(VECTOR, matrix, types.intp, types.intp), code


@instruction
def spread(typing, number):
    """A vector of LANES times `number`, float32."""
    return VECTOR(types.float32), lambda context, builder, signature, given: spread_of(builder, given[0])


@instruction
def keep_first(typing, vector, count, other):
    """The first `count` numbers of `vector`, then those of `other`; count may be more than LANES."""

    def code(context, builder, signature, arguments):
        vector, count, other = arguments
        wide = ir.VectorType(count.type, LANES)
        nothing = ir.Constant(wide, ir.Undefined)
        first = builder.insert_element(nothing, count, ir.Constant(ir.IntType(32), 0))
        counts = builder.shuffle_vector(first, nothing, ir.Constant(BITS, [0] * LANES))
        inside = builder.icmp_signed("<", ir.Constant(wide, list(range(LANES))), counts)
        return builder.select(inside, vector, other)

    return VECTOR(VECTOR, types.intp, VECTOR), code


def _folded(combine: Any) -> Any:
    """A function of a vector to a number: halves onto halves."""

    def fold(typing, vector):
        def code(context, builder, signature, arguments):
            found = arguments[0]
            for half in _HALVES:
                upper = ir.Constant(BITS, [(lane + half) % LANES for lane in range(LANES)])
                found = combine(builder, found, builder.shuffle_vector(found, found, upper))
            return builder.extract_element(found, ir.Constant(ir.IntType(32), 0))

        return types.float32(VECTOR), code

    return instruction(fold)


total = _folded(lambda builder, a, b: builder.fadd(a, b))
largest = _folded(_larger)
