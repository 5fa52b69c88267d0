"""The part of the lab's client that is about tokens and the audit log."""
