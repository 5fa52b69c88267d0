"""The colours of reports, each in a light and a dark version."""

from __future__ import annotations

# Plots are drawn in the light colours. In a page each colour becomes the CSS variable of its
# name, so that the reader's preference decides between light and dark.
LIGHT = {
    "ink": "#1b2330",
    "muted": "#667085",
    "line": "#dfe4ec",
    "paper": "#ffffff",
    "back": "#f5f7fa",
    "measured": "#1768c5",
    "predicted": "#97a3b6",
    "front": "#d9480f",
    "target": "#0f8a5f",
    "conv": "#7048c6",
    "dconv": "#0b8494",
    "mbconv3": "#2f7fdb",
    "mbconv4": "#6fa8ec",
    "mbconv6": "#1d4fa3",
    "rose": "#c2255c",
    "olive": "#7d6b00",
    "brown": "#8a4b20",
    "shade1": "#dfe9f7",
    "shade2": "#b7cfee",
    "shade3": "#8ab1e4",
    "shade4": "#5a8fd6",
    "shade5": "#2c69bb",
    "shade6": "#174785",
    "kind1": "#558bf7",
    "kind2": "#e08108",
    "kind3": "#0abc84",
    "kind4": "#de4e4c",
    "kind5": "#0b3cc0",
    "kind6": "#6f2408",
}
DARK = {
    "ink": "#e7ebf2",
    "muted": "#98a4b8",
    "line": "#313a49",
    "paper": "#171c25",
    "back": "#0f131a",
    "measured": "#6cb0ff",
    "predicted": "#75829a",
    "front": "#ff9155",
    "target": "#45cf9b",
    "conv": "#a98af0",
    "dconv": "#37b7c7",
    "mbconv3": "#6aa9f4",
    "mbconv4": "#a3c9f9",
    "mbconv6": "#4779d4",
    "rose": "#ff7aa8",
    "olive": "#cdb942",
    "brown": "#c98d5f",
    "shade1": "#243247",
    "shade2": "#2c4a6e",
    "shade3": "#38689f",
    "shade4": "#4b88ca",
    "shade5": "#7cb0ec",
    "shade6": "#b5d4fa",
    "kind1": "#5b7def",
    "kind2": "#f2a03d",
    "kind3": "#508c71",
    "kind4": "#e3b0bc",
    "kind5": "#87cef7",
    "kind6": "#b86b41",
}

# The colours of kinds of kernels. Two of them, or one and "predicted", differ by at least 16 in
# CIELAB, also for people who see no red, green or blue (Machado et al., 2009).
KINDS = ("kind1", "kind2", "kind3", "kind4", "kind5", "kind6")

# The colours of groups of studies, and a scale from little to much.
SERIES = ("measured", "front", "conv", "dconv", "rose", "olive", "brown")
SHADES = ("shade1", "shade2", "shade3", "shade4", "shade5", "shade6")


def css_variables() -> str:
    """Return a stylesheet that declares both palettes, the dark one for those who prefer it."""

    def declare(palette: dict[str, str]) -> str:
        return " ".join(f"--{name}: {color};" for name, color in palette.items())

    return (
        f":root {{ color-scheme: light dark; {declare(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {declare(DARK)} }} }}"
    )


def as_variables(svg: str) -> str:
    """Replace every light colour of a drawing by the CSS variable of its name."""
    for name, color in LIGHT.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg
