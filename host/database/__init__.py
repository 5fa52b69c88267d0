"""The measurement database: nothing that was measured is ever lost."""
