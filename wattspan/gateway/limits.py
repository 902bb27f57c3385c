"""`MemoryBudget`: the bytes of requests held at once, from their first byte to their commit."""

from __future__ import annotations

import threading

from wattspan.gateway.otlp_status import too_fast


class MemoryBudget:
    """A bound on bytes held, for any number of threads."""

    def __init__(self, most_bytes: int, retry_after_s: float = 1.0) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = 0
        self._retry_after_s = retry_after_s
        self._lock = threading.Lock()

    def reserve(self, size: int) -> None:
        """Take `size` bytes. Raises RefusalError (429, to be sent again) where they are not left."""
        with self._lock:
            if self.used_bytes + size <= self.most_bytes:
                self.used_bytes += size
                return
        raise too_fast(
            f"requests of {self.used_bytes} bytes are being handled; the limit is {self.most_bytes}",
            self._retry_after_s,
        )

    def release(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._lock:
            self.used_bytes -= size


class Reservation:
    """What one request holds of a budget, given back at the end of a `with`."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0

    def add(self, size: int) -> None:
        """Take `size` bytes more. Raises RefusalError where they are not left."""
        self._budget.reserve(size)
        self._size += size

    def release(self) -> None:
        """Give it back."""
        self._budget.release(self._size)
        self._size = 0

    def __enter__(self) -> Reservation:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
