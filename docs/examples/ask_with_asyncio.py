"""Ask a lab about many networks at once: `python ask_with_asyncio.py`.

It needs the light package `latlab` only. The lab is the one of this machine, or the one that
LATLAB_ADDRESS, LATLAB_TOKEN and LATLAB_CA name.
"""

from __future__ import annotations

import asyncio

from latlab import Kernel, LatencyEstimate, aio

SIZES = (56, 112, 224)


def network(size: int, channels: int) -> list[Kernel]:
    """Return a convolution and a pool, as the backend runs them: NHWC, the activation fused."""
    half = size // 2
    convolution = Kernel(
        "conv2d",
        ((1, size, size, 3),),
        (1, half, half, channels),
        kernel_size=(3, 3),
        stride=(2, 2),
        activation="relu",
    )
    pool = Kernel("global_avg_pool2d", ((1, half, half, channels),), (1, 1, 1, channels))
    return [convolution, pool]


async def main() -> None:
    """Predict networks of several sizes on every target, in calls that run side by side."""
    networks = [network(size, channels=16) for size in SIZES]
    async with aio.connect() as lab:
        targets = [status.target for status in await lab.targets()]
        calls = (lab.predict(target.id, networks) for target in targets)
        answers: list[list[LatencyEstimate]] = await asyncio.gather(*calls)
    for target, estimates in zip(targets, answers, strict=True):
        for size, estimate in zip(SIZES, estimates, strict=True):
            low, high = estimate.lower_ns / 1e6, estimate.upper_ns / 1e6
            print(f"{target.name}, {size} pixels: {estimate.latency_ns / 1e6:.3f} ms", end=" ")
            print(f"({low:.3f} to {high:.3f}, {estimate.source.value})")


if __name__ == "__main__":
    asyncio.run(main())
