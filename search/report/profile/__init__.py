"""The files that a profile is written to: a page, a trace for Perfetto, node data."""
