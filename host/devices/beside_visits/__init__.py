"""Work for a device that goes on beside its visits: storing outcomes, and sending programs."""
