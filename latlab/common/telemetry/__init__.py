"""The log, metrics and traces of calls, visits and refits."""
