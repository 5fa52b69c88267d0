"""Run modules and programs during an export."""
