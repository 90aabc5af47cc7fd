"""What the sandbox remembers: deliveries, violations, requests, and the faults still to come. Safe to use from any thread."""

from __future__ import annotations

import threading
from dataclasses import replace

from dropd.sandbox.words import Delivery, Fault, Seen, Step


class Journal:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deliveries: list[Delivery] = []
        self._violations: list[str] = []
        self._requests: list[Seen] = []
        self._faults: list[Fault] = []

    def delivered(self, delivery: Delivery, *, instead_of: Delivery | None = None) -> None:
        """Note a file as taken; `instead_of` is the one whose content it replaced (a second PUT to one address)."""
        with self._lock:
            if instead_of is not None and instead_of in self._deliveries:
                self._deliveries.remove(instead_of)
            self._deliveries.append(delivery)

    def withdrawn(self, delivery: Delivery) -> None:
        """The vendor looked at a file it had stored and refused it after all."""
        with self._lock:
            if delivery in self._deliveries:
                self._deliveries.remove(delivery)

    def violated(self, text: str) -> None:
        with self._lock:
            self._violations.append(text)

    def saw(self, seen: Seen) -> None:
        with self._lock:
            self._requests.append(seen)

    def add_fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take_fault(self, vendor: str, step: Step, name: str | None) -> Fault | None:
        """The oldest fault that fits, used up by one. `name` None: not known yet, so only faults for any file fit."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                fits = fault.name is None or (name is not None and fault.name in name)
                if (fault.vendor, fault.step) == (vendor, step) and fits:
                    left = fault.times - 1
                    self._faults[index : index + 1] = [replace(fault, times=left)] if left > 0 else []
                    return fault
        return None

    def deliveries(self, vendor: str | None = None) -> list[Delivery]:
        with self._lock:
            return [delivery for delivery in self._deliveries if vendor in (None, delivery.vendor)]

    def violations(self) -> list[str]:
        with self._lock:
            return list(self._violations)

    def requests(self) -> list[Seen]:
        with self._lock:
            return list(self._requests)

    def reset(self) -> None:
        with self._lock:
            self._deliveries.clear()
            self._violations.clear()
            self._requests.clear()
            self._faults.clear()
