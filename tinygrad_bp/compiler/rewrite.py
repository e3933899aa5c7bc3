"""Making a value again, from other inputs."""

from collections.abc import Sequence

from tinygrad_bp.compiler.primitives import Value


def remake(value: Value, inputs: Sequence[Value]) -> Value:
    """Return the value made from these inputs: itself, if they are the same."""
    if all(a is b for a, b in zip(value.inputs, inputs, strict=True)):
        return value
    return Value(
        value.primitive, tuple(inputs), value.shape, value.dtype, value.params, value.label
    )
