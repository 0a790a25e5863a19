"""Cholesky factors that lose one index at a time: factor, solve, remove."""

from __future__ import annotations

from typing import Any

from concave_sparsity.compilation import compiled

# A pivot below this share of its diagonal entry counts as zero: the matrix is numerically singular.
SMALLEST_PIVOT = 1e-12


@compiled
def factor(L: Any, size: int) -> bool:
    """Replace the lower triangle of the leading block of L by its Cholesky factor; False if singular.

    Four rows by four columns at a time, so that the inner loop holds sixteen sums in registers.
    """
    for j0 in range(0, size, 4):
        j1 = min(j0 + 4, size)
        for j in range(j0, j1):
            for i in range(j, j1):
                Li, Lj = L[i], L[j]
                total = 0.0
                for k in range(j):
                    total += Li[k] * Lj[k]
                rest = Li[j] - total
                if i == j:
                    if not rest > SMALLEST_PIVOT * abs(Li[i]):
                        return False
                    Li[i] = rest**0.5
                else:
                    Li[j] = rest / Lj[j]
        if j1 - j0 < 4:
            continue
        b0, b1, b2, b3 = L[j0], L[j0 + 1], L[j0 + 2], L[j0 + 3]
        i = j1
        while i + 4 <= size:
            a0, a1, a2, a3 = L[i], L[i + 1], L[i + 2], L[i + 3]
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = 0.0
            for k in range(j0):
                x0, x1, x2, x3 = a0[k], a1[k], a2[k], a3[k]
                y0, y1, y2, y3 = b0[k], b1[k], b2[k], b3[k]
                s00 += x0 * y0
                s01 += x0 * y1
                s02 += x0 * y2
                s03 += x0 * y3
                s10 += x1 * y0
                s11 += x1 * y1
                s12 += x1 * y2
                s13 += x1 * y3
                s20 += x2 * y0
                s21 += x2 * y1
                s22 += x2 * y2
                s23 += x2 * y3
                s30 += x3 * y0
                s31 += x3 * y1
                s32 += x3 * y2
                s33 += x3 * y3
            a0[j0] -= s00
            a0[j0 + 1] -= s01
            a0[j0 + 2] -= s02
            a0[j0 + 3] -= s03
            a1[j0] -= s10
            a1[j0 + 1] -= s11
            a1[j0 + 2] -= s12
            a1[j0 + 3] -= s13
            a2[j0] -= s20
            a2[j0 + 1] -= s21
            a2[j0 + 2] -= s22
            a2[j0 + 3] -= s23
            a3[j0] -= s30
            a3[j0 + 1] -= s31
            a3[j0 + 2] -= s32
            a3[j0 + 3] -= s33
            for r in range(i, i + 4):
                Lr = L[r]
                for j in range(j0, j1):
                    rest = Lr[j]
                    for k in range(j0, j):
                        rest -= Lr[k] * L[j, k]
                    Lr[j] = rest / L[j, j]
            i += 4
        while i < size:
            Lr = L[i]
            for j in range(j0, j1):
                total = 0.0
                for k in range(j):
                    total += Lr[k] * L[j, k]
                Lr[j] = (Lr[j] - total) / L[j, j]
            i += 1
    return True


@compiled
def solve_lower(L: Any, b: Any, size: int) -> None:
    """Solve ``L L' d = b`` in place, L in the lower triangle."""
    for i in range(size):
        Li = L[i]
        total = 0.0
        for k in range(i):
            total += Li[k] * b[k]
        b[i] = (b[i] - total) / Li[i]
    for i in range(size - 1, -1, -1):
        Li = L[i]
        value = b[i] / Li[i]
        b[i] = value
        for k in range(i):
            b[k] -= value * Li[k]


@compiled
def solve_upper(U: Any, b: Any, size: int) -> None:
    """Solve ``U' U d = b`` in place, U in the upper triangle."""
    for i in range(size):
        Ui = U[i]
        value = b[i] / Ui[i]
        b[i] = value
        for k in range(i + 1, size):
            b[k] -= value * Ui[k]
    for i in range(size - 1, -1, -1):
        Ui = U[i]
        total = 0.0
        for k in range(i + 1, size):
            total += Ui[k] * b[k]
        b[i] = (b[i] - total) / Ui[i]


@compiled
def mirror(L: Any, first: int, size: int) -> None:
    """Copy the lower triangle's rows from ``first`` on to the upper one, by blocks that stay in cache."""
    for i0 in range(first, size, 16):
        for k0 in range(0, i0 + 16, 16):
            for i in range(i0, min(i0 + 16, size)):
                for k in range(k0, min(k0 + 16, i)):
                    L[k, i] = L[i, k]


@compiled
def remove(U: Any, index: int, size: int, work: Any) -> None:
    """Take one index out of the factored matrix: its row and column become those of the identity.

    The trailing block of ``U' U`` gains the outer product of the removed row: a rank-one update.
    """
    row = U[index]
    for i in range(index + 1, size):
        work[i] = row[i]
        row[i] = 0.0
    row[index] = 1.0
    for i in range(index):
        U[i, index] = 0.0
    for j in range(index + 1, size):
        b = work[j]
        if b == 0.0:
            continue
        Uj = U[j]
        a = Uj[j]
        r = (a * a + b * b) ** 0.5
        c, s = a / r, b / r
        Uj[j] = r
        for i in range(j + 1, size):
            t, q = Uj[i], work[i]
            Uj[i] = c * t + s * q
            work[i] = c * q - s * t
