"""Who may use the lab, and what they have done."""
