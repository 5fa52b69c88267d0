"""controller.* and ppo.*: the speed of the controller, and how well it learns.

python -m tests.bench.bench_controller
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from search.space.architecture import Architecture
from search.space.space import Space, mnasnet_space
from search.strategies.ppo import PPO
from search.study.trial import Trial
from tests.bench.figures import at_least, at_most, report

BATCH = 20
SAMPLES = 2_000
SEEDS = range(5)


class MadeUpReward:
    """A reward on canonical choices whose optimum is known.

    It has a term for every choice, one for every pair of a block's convolution with its kernel
    size and its layers, and one for every pair of neighbours' filters. All terms are standard
    normal. The sum is scaled to look like an accuracy.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.blocks = len(space.references)
        rng = np.random.default_rng(seed)
        self.sizes = [
            len(d.choices) for d in space.decisions[: len(space.decisions) // self.blocks]
        ]
        convolutions, kernel_sizes, _, _, filters, layers = self.sizes
        self.alone = [rng.normal(size=(self.blocks, size)) for size in self.sizes]
        self.with_kernel_size = rng.normal(size=(self.blocks, convolutions, kernel_sizes))
        self.with_layers = rng.normal(size=(self.blocks, convolutions, layers))
        self.neighbours = rng.normal(size=(self.blocks, filters, filters))

    def __call__(self, architecture: Architecture) -> float:
        choices = self.space.spell(architecture)
        assert choices is not None
        blocks = [choices[i : i + len(self.sizes)] for i in range(0, len(choices), len(self.sizes))]
        return self._scaled(
            sum(
                self._term(i, block, blocks[i - 1] if i else None) for i, block in enumerate(blocks)
            )
        )

    def optimum(self) -> float:
        """Return the best reward, by dynamic programming.

        A block's terms depend on the earlier blocks only through the filters of the last one.
        """
        best: dict[int | None, tuple[float, tuple[int, ...]]] = {None: (0.0, ())}
        for i in range(self.blocks):
            extended: dict[int | None, tuple[float, tuple[int, ...]]] = {}
            for (score, prefix), block in itertools.product(
                best.values(), itertools.product(*map(range, self.sizes))
            ):
                choices = self._canonical(prefix + block)
                last = choices[-len(self.sizes) :]
                total = score + self._term(i, last, prefix[-len(self.sizes) :] if i else None)
                if last[4] not in extended or total > extended[last[4]][0]:
                    extended[last[4]] = (total, choices)
            best = extended
        score, choices = max(best.values())
        assert np.isclose(self(self.space.resolve(choices)), self._scaled(score))
        return self._scaled(score)

    def _canonical(self, choices: tuple[int, ...]) -> tuple[int, ...]:
        filler = (0,) * (len(self.space.decisions) - len(choices))
        spelled = self.space.spell(self.space.resolve(choices + filler))
        assert spelled is not None
        return spelled[: len(choices)]

    def _term(self, i: int, block: Sequence[int], before: Sequence[int] | None) -> float:
        convolution, kernel_size, _, _, filters, layers = block
        total = sum(table[i, choice] for table, choice in zip(self.alone, block, strict=True))
        total += self.with_kernel_size[i, convolution, kernel_size]
        total += self.with_layers[i, convolution, layers]
        return float(total + (self.neighbours[i, before[4], filters] if before else 0))

    def _scaled(self, score: float) -> float:
        return 0.5 + 0.01 * score


def gap_closed(space: Space, seed: int) -> float:
    """Return the share of the gap between random search and the optimum that learning closes.

    It is computed from the mean reward of the last tenth of the samples.
    """
    made_up = MadeUpReward(space, seed)
    rng = np.random.default_rng(seed)
    at_random = [made_up(space.resolve(space.sample(rng))) for _ in range(SAMPLES)]
    floor = statistics.fmean(at_random)
    ppo = PPO(space, seed)
    rewards: list[float] = []
    for _ in range(SAMPLES // BATCH):
        rewards += one_round(ppo, made_up)
    return (statistics.fmean(rewards[-SAMPLES // 10 :]) - floor) / (made_up.optimum() - floor)


def one_round(ppo: PPO, made_up: MadeUpReward) -> list[float]:
    architectures = ppo.ask(BATCH)
    rewards = [made_up(architecture) for architecture in architectures]
    ppo.tell(
        [
            Trial(a, 0, r, latency=None, reward=r)
            for a, r in zip(architectures, rewards, strict=True)
        ]
    )
    return rewards


def main() -> None:
    torch.set_num_threads(1)
    space = mnasnet_space()
    conditions = {"space": space.name, "batch": BATCH, "threads": 1}

    ppo = PPO(space, seed=0)
    asks_s, tells_s = [], []
    for _ in range(30):
        start_s = time.perf_counter()
        architectures = ppo.ask(BATCH)
        asked_s = time.perf_counter()
        ppo.tell([Trial(a, 0, 0.5, None, i / BATCH) for i, a in enumerate(architectures)])
        asks_s.append(asked_s - start_s)
        tells_s.append(time.perf_counter() - asked_s)
    samples_per_s = BATCH / statistics.median(asks_s)
    report("controller.samples_per_s", round(samples_per_s), "1/s", at_least(2000), **conditions)
    update_ms = 1e3 * statistics.median(tells_s)
    report("controller.update_ms", round(update_ms, 1), "ms", at_most(30), **conditions)

    closed = [gap_closed(space, seed) for seed in SEEDS]
    report(
        "ppo.gap_closed",
        round(statistics.fmean(closed), 3),
        "share",
        at_least(0.5),
        **conditions,
        samples=SAMPLES,
        seeds=list(SEEDS),
        each=[round(share, 3) for share in closed],
    )


if __name__ == "__main__":
    main()
