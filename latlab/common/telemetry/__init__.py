"""What calls, visits and refits tell the log, the metrics and the traces about themselves."""
