"""The upper limits of a candidate's size."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The largest size that a candidate may have. None stands for no limit.

    Attributes:
        parameters: Number of parameters.
        multiply_adds: Number of multiply-adds for one image.
        program_bytes: Size of the exported program.
    """

    parameters: int | None = None
    multiply_adds: int | None = None
    program_bytes: int | None = None

    @classmethod
    def of_millions(
        cls,
        parameters_m: float | None = None,
        multiply_adds_m: float | None = None,
        program_mb: float | None = None,
    ) -> Limits:
        """Return limits that are given in millions, rounded to whole numbers."""

        def units(millions: float | None) -> int | None:
            return None if millions is None else round(millions * 1e6)

        return cls(units(parameters_m), units(multiply_adds_m), units(program_mb))

    def by_quantity(self) -> dict[str, int]:
        """Return the limits that are set, as the functions of `search.space.limits` take them."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None}
