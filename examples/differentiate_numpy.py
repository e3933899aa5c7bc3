"""Differentiate a plain NumPy function: its gradient, its Hessian, Newton's method with them."""

import numpy as np

import tinygrad_bp as tg


def rosenbrock(x):
    """A long, bent valley: it knows nothing of this library. Its minimum is 0, at (1, ..., 1)."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def main():
    np.set_printoptions(precision=6, suppress=True)
    gradient, hessian = tg.grad(rosenbrock), tg.hessian(rosenbrock)

    x = np.array([-1.2, 1.0])
    print("At x =", x)
    print("value   ", rosenbrock(x))
    print("gradient", gradient(x))
    print("Hessian ", str(hessian(x)).replace("\n", "\n" + " " * 9))

    print("\nNewton's method: x - (Hessian)^-1 gradient")
    for step in range(1, 20):
        x = x - np.linalg.solve(hessian(x), gradient(x))
        print(f"step {step}: x = {x}, value {rosenbrock(x):.3e}")
        if np.linalg.norm(gradient(x)) < 1e-10:
            break
    print("The minimum is at", x)


if __name__ == "__main__":
    main()
