"""Visits of this machine's own processor and other work take turns."""
