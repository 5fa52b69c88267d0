"""Stand in for the migration of the tokens. It is dropped where that one is."""

from __future__ import annotations

revision = "0013"
down_revision = "0012"


def upgrade() -> None: ...
