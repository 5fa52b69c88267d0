"""The client of a lab for asyncio."""
