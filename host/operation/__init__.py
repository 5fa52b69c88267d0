"""What an operator watches: metrics, health and traces, and what the service manager is told."""
