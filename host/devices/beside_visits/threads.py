"""Threads that all devices share. One for each would cost each device its stack."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

# A device has one task of each kind at a time. A thread begins when a task finds none free.
MAX_THREADS = 10_000

SHARED_THREADS = ThreadPoolExecutor(MAX_THREADS, "beside-visits")
