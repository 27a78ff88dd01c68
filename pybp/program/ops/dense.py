"""The dense ops: forward, and the gradients by the input and by the weight."""

from __future__ import annotations

from pybp.program.ops.base import MaybeRead, MaybeWrite, Op, Read, Shape, Write, check_activation


class Dense(Op):
    """``y = act(x @ w + b)`` on the rows of x.  x [rows, in], w [in, out], b [out]."""

    x: Read
    w: Read
    y: Write
    b: MaybeRead = ""
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x, w = shape["x"], shape["w"]
        check_activation(self, self.activation, fused=True, alpha=self.alpha)
        if len(x) < 2 or len(w) != 2 or x[-1] != w[0]:
            raise self.fail(f"x [..., in] and w [in, out] must agree, got x {x} and w {w}")
        if self.b and shape["b"] != (w[1],):
            raise self.fail(f"b must be ({w[1]},), got {shape['b']}")
        return {"y": (*x[:-1], w[1])}


class DenseGradInput(Op):
    """``dx = (dy @ w.T) * act'``, the slope taken from x, the output of the layer below."""

    dy: Read
    w: Read
    dx: Write
    x: MaybeRead = ""
    activation: str = "identity"
    alpha: float = 0.0

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        dy, w = shape["dy"], shape["w"]
        check_activation(self, self.activation)
        if len(w) != 2 or dy[-1] != w[1]:
            raise self.fail(f"dy [..., out] and w [in, out] must agree, got dy {dy} and w {w}")
        dx = (*dy[:-1], w[0])
        if (self.activation != "identity") != bool(self.x):
            raise self.fail("x is given exactly when there is an activation")
        if self.x and shape["x"] != dx:
            raise self.fail(f"x must be {dx}, got {shape['x']}")
        return {"dx": dx}


class DenseGradWeight(Op):
    """``dw (+)= x.T @ dy`` and ``db (+)= sum of the rows of dy``."""

    x: Read
    dy: Read
    dw: Write
    db: MaybeWrite = ""
    accumulate: bool = False

    def shapes(self, shape: dict[str, Shape]) -> dict[str, Shape]:
        x, dy = shape["x"], shape["dy"]
        if x[:-1] != dy[:-1]:
            raise self.fail(f"x and dy must have the same rows, got x {x} and dy {dy}")
        return {"dw": (x[-1], dy[-1]), "db": (dy[-1],)}
