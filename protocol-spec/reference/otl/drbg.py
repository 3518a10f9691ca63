# SPDX-License-Identifier: MIT OR Apache-2.0
"""A seeded generator, so that every file made from it is the same on every machine.

SHA-256 over ``seed || counter``; not fit for real keys, and not meant to be.
"""

import hashlib
from typing import Sequence, TypeVar

T = TypeVar("T")


class Drbg:
    """Deterministic octets, integers and choices."""

    def __init__(self, seed: str) -> None:
        self._seed = hashlib.sha256(b"otl-reference:" + seed.encode()).digest()
        self._counter = 0
        self._pool = b""

    def octets(self, n: int) -> bytes:
        """The next ``n`` octets."""
        while len(self._pool) < n:
            block = hashlib.sha256(self._seed + self._counter.to_bytes(8, "big")).digest()
            self._counter += 1
            self._pool += block
        out, self._pool = self._pool[:n], self._pool[n:]
        return out

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1. The bias of 2^-64 or less does not matter here."""
        return int.from_bytes(self.octets(16), "big") % n

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in ``percent`` of 100 cases."""
        return self.below(100) < percent

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def bits(self, most: int) -> int:
        """An integer whose *length* is uniform up to ``most`` bits: short and long varints alike."""
        return self.below(1 << self.between(0, most))

    def normal(self, spread: int) -> int:
        """An integer around 0, roughly normal, with a standard deviation of about ``spread``.

        Twelve uniform numbers are summed; integers only, so no floating point differs anywhere.
        """
        total = sum(self.below(2001) for _ in range(12)) - 12000
        value = abs(total) * spread // 2000
        return value if total >= 0 else -value
