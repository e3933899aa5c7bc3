"""Neural networks made of Tensor expressions."""

from tinygrad_bp.nn.network import NeuralNetwork

__all__ = ["NeuralNetwork"]
