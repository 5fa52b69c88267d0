"""Connections to the database: how they are opened, refused and interrupted."""
