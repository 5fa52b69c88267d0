from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from search.strategies.controller import Controller

widths = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def make(choices: list[int], seed: int = 0) -> tuple[Controller, torch.Generator]:
    rng = torch.Generator().manual_seed(seed)
    return Controller(choices, rng), rng


def test_weights_start_uniform_within_a_tenth() -> None:
    controller, _ = make([3] * 42)
    weights = torch.cat([p.flatten() for p in controller.parameters()])
    assert weights.abs().max() <= 0.1
    assert abs(weights.std().item() - 0.2 / 12**0.5) < 1e-3


@settings(max_examples=30, deadline=None)
@given(widths, st.integers(0, 100))
def test_samples_stay_within_their_decisions(choices: list[int], seed: int) -> None:
    controller, rng = make(choices, seed)
    sampled, log_probs = controller.sample(50, rng)
    assert sampled.shape == (50, len(choices))
    assert (sampled >= 0).all()
    assert (sampled < torch.tensor(choices)).all()
    assert torch.allclose(log_probs, controller(sampled)[0], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(widths)
def test_the_probabilities_of_all_sequences_sum_to_one(choices: list[int]) -> None:
    controller, _ = make(choices)
    everything = torch.tensor(list(itertools.product(*map(range, choices))))
    log_probs, entropies = controller(everything)
    assert torch.isclose(log_probs.sum(dim=1).exp().sum(), torch.tensor(1.0), atol=1e-4)
    assert (entropies >= 0).all()
    assert (entropies <= torch.tensor(choices).log() + 1e-5).all()


def test_samples_are_drawn_with_the_probabilities_of_the_forward_pass() -> None:
    controller, rng = make([3, 2, 4])
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(12)  # far from uniform, every decision leaning on those before it
        everything = torch.tensor(list(itertools.product(range(3), range(2), range(4))))
        expected = controller(everything)[0].sum(dim=1).exp()
    assert expected.max() > 3 / 24
    n = 40_000
    sampled = controller.sample(n, rng)[0] @ torch.tensor([8, 4, 1])
    counts = torch.bincount(sampled, minlength=24)
    chi_square = ((counts - n * expected) ** 2 / (n * expected)).sum()
    assert chi_square < 60  # 23 degrees of freedom: one in 30,000 exceeds it


def test_the_entropy_is_that_of_the_choices_drawn() -> None:
    controller, _ = make([4])
    every_choice = torch.arange(4)[:, None]
    log_probs, entropies = controller(every_choice)
    expected = -(log_probs.exp() * log_probs).sum()
    assert torch.allclose(entropies, expected.expand(4, 1))


def test_equal_seeds_sample_equally() -> None:
    first, second = (
        controller.sample(8, rng)[0] for controller, rng in (make([3] * 6), make([3] * 6))
    )
    assert torch.equal(first, second)
