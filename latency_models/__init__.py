"""Models that predict latencies: pure functions over numbers, without I/O."""
