"""The functions that a network can compute on images of one size, whatever its weights.

Two networks of equal families can compute the same functions, so that training cannot tell them
apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from search.space.architecture import Architecture
from search.space.deployment import Deployment
from search.space.operators import Convolution, Layer, Network, SqueezeExcite, describe
from search.space.scaling import scaled
from search.space.space import Space
from search.study.settings import ProxyBudget

Family = tuple[object, ...]


def proxy_family(architecture: Architecture, budget: ProxyBudget) -> Family:
    """Return the family of the network that is trained in place of an architecture."""
    narrow = scaled(architecture, budget.width_multiplier, coarsely=not budget.distinct_networks)
    deployment = Deployment(budget.resolution, classes=10)
    return family(describe(narrow, deployment, stem_stride=budget.stem_stride))


def family(network: Network) -> Family:
    """Return the family of a network."""
    layers = [_layer(layer) for block in network.blocks for layer in block]
    return (_operator(network.stem), *layers, _operator(network.head))


def neighbours(space: Space, choices: tuple[int, ...]) -> Iterator[Architecture]:
    """Yield each other network that differs by the choice of a single decision."""
    network = space.resolve(choices)
    for index, decision in enumerate(space.decisions):
        for other in range(len(decision.choices)):
            neighbour = space.resolve((*choices[:index], other, *choices[index + 1 :]))
            if neighbour != network:
                yield neighbour


def _layer(layer: Layer) -> Family:
    skip = "identity" if layer.skip == "pool" and layer.input[1] == 1 else layer.skip
    return (*map(_operator, layer.body), skip)


def _operator(operator: Convolution | SqueezeExcite) -> Family:
    if isinstance(operator, SqueezeExcite):
        return "squeeze-excite", _operator(operator.reduce), _operator(operator.expand)
    return (
        operator.input[-1],
        operator.out_channels,
        _taps(operator),
        operator.depthwise,
        operator.batch_norm,
        operator.relu,
    )


def _taps(convolution: Convolution) -> Family:
    """Return the places of the outputs in a row, and the offsets at which they see a pixel."""
    pixels, reach = convolution.input[1], convolution.kernel_size // 2
    places = range(0, pixels, convolution.stride)
    offsets = range(-reach, reach + 1)
    seen = (d for d in offsets if any(0 <= place + d < pixels for place in places))
    return tuple(places), tuple(seen)


def are_equal(one: Architecture, other: Architecture, budget: ProxyBudget) -> bool:
    """Return whether two different architectures are trained as one."""
    return one != other and proxy_family(one, budget) == proxy_family(other, budget)
