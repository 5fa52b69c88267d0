"""The options of `latlab search` that are numbers with bounds."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli.session import (
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_MILLIONS,
    MOST_MINUTES,
    MOST_PIXELS,
    MOST_SECONDS,
    finite,
)

MeasuredShareOption = Annotated[
    float,
    typer.Option(min=0, max=1, callback=finite, help="Of all candidates, measured at most."),
]
MaxMeasurementsOption = Annotated[
    int | None, typer.Option(min=0, max=10**9, help="Candidates, measured at most.")
]
MaxDeviceMinutesOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=MOST_MINUTES,
        callback=finite,
        help="Of the device, for measurements at most.",
    ),
]
MaxParametersOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=MOST_MILLIONS,
        callback=finite,
        help="Millions of parameters of a candidate, at most.",
    ),
]
MaxMultiplyAddsOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=MOST_MILLIONS,
        callback=finite,
        help="Millions of its multiply-adds, at most.",
    ),
]
MaxSizeOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=MOST_MILLIONS,
        callback=finite,
        help="Megabytes of its program in float32, at most.",
    ),
]
ProxyImagesOption = Annotated[int, typer.Option(min=1, max=MOST_IMAGES, help="Of the proxy task.")]
ResolutionOption = Annotated[int, typer.Option(min=8, max=MOST_PIXELS, help="Of the proxy task.")]
WidthOption = Annotated[
    float,
    typer.Option(
        min=0.05,
        max=2,
        callback=finite,
        help="Of the proxy's networks: the channels' factor.",
    ),
]
StemStrideOption = Annotated[
    int, typer.Option(min=1, max=2, help="Of the proxy's networks: 2 for large images.")
]
EpochsOption = Annotated[int, typer.Option(min=1, max=MOST_EPOCHS, help="Of each proxy training.")]
TrainingLimitOption = Annotated[
    float,
    typer.Option(
        min=1,
        max=MOST_SECONDS,
        callback=finite,
        help="Seconds that a proxy training may take.",
    ),
]
AccuracyLimitOption = Annotated[
    float,
    typer.Option(
        min=1, max=MOST_SECONDS, callback=finite, help="Seconds that the program may take."
    ),
]
