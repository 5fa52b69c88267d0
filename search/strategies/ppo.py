"""Proximal policy optimisation of the controller (Schulman et al., arXiv 1707.06347)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import torch
from torch import Tensor

from search.space.architecture import Architecture
from search.space.limits import MAX_DRAWS, Allows, everything, fitted
from search.space.space import Space
from search.strategies.adoption import differing_choices
from search.strategies.controller import Controller
from search.study.settings import PPOSettings
from search.study.trial import Trial

LEARNING_STEPS = 30


class PPO:
    """A Strategy that maximizes the reward of what a controller draws."""

    def __init__(
        self,
        space: Space,
        seed: int,
        settings: PPOSettings | None = None,
        allows: Allows = everything,
    ) -> None:
        """Draw the controller's initial weights.

        Args:
            space: The search space.
            seed: Seed of everything that is drawn.
            settings: Settings of PPO; None stands for the defaults.
            allows: Whether an architecture may be proposed.
        """
        self.space = space
        self.allows = allows
        self.settings = settings or PPOSettings()
        self.rng = torch.Generator().manual_seed(seed)
        self.controller = Controller([len(d.choices) for d in space.decisions], self.rng)
        self.optimizer = torch.optim.Adam(
            self.controller.parameters(), lr=self.settings.learning_rate, fused=True
        )
        self.baseline: float | None = None
        self._statistics: dict[str, float] = {}
        self._choices = torch.empty(0, len(space.decisions), dtype=torch.int64)
        self._log_probs = torch.empty(0, len(space.decisions))

    def ask(self, n: int) -> list[Architecture]:
        """Draw `n` architectures from the controller.

        An architecture that is not allowed is drawn again. This divides each probability by the
        share of allowed architectures, which is the same for all. Its gradient is left out,
        because it is multiplied by the mean advantage, which is about zero. An architecture that
        is made smaller in the end counts as drawn, at its own probability.
        """
        self._choices, self._log_probs = self.controller.sample(n, self.rng)
        outside = self._outside(range(n))
        for _ in range(MAX_DRAWS - 1):
            if not outside:
                break
            drawn = self.controller.sample(len(outside), self.rng)
            self._choices[outside], self._log_probs[outside] = drawn
            outside = self._outside(outside)
        if outside:
            self._fit(outside)
        return list(map(self._architecture, range(n)))

    def _outside(self, indices: Iterable[int]) -> list[int]:
        return [i for i in indices if not self.allows(self._architecture(i))]

    def _fit(self, indices: list[int]) -> None:
        drawn = self._choices[indices].tolist()
        self._replace(indices, [fitted(self.space, choices, self.allows) for choices in drawn])

    def adopt(self, architectures: Sequence[Architecture]) -> None:
        """Take these architectures as drawn, at the controller's own probabilities for them."""
        drawn = map(self._architecture, range(len(self._choices)))
        if others := differing_choices(self.space, drawn, architectures):
            self._replace(list(others), list(others.values()))

    @torch.no_grad()
    def _replace(self, indices: list[int], choices: list[tuple[int, ...]]) -> None:
        self._choices[indices] = torch.tensor(choices)
        self._log_probs[indices], _ = self.controller(self._choices[indices])

    def _architecture(self, index: int) -> Architecture:
        return self.space.resolve(self._choices[index].tolist())

    def learn(self, trials: Sequence[Trial]) -> None:
        """Make the architectures that have a reward more likely, by a few gradient steps.

        The controller did not draw them, so there is no ratio to clip, and there is no baseline
        yet. The steps are few: from one network of MnasNet's space, the mean probability of its
        choices rises from 0.37 to 0.43.
        """
        rewarded = [trial.architecture for trial in trials if trial.reward is not None]
        if not rewarded:
            return
        choices = torch.tensor(list(map(self.space.spell, rewarded)))
        active = torch.tensor([self.space.active(row) for row in choices.tolist()])
        for _ in range(LEARNING_STEPS):
            log_probs, _ = self.controller(choices)
            loss = -(log_probs * active).sum(dim=1).mean()

            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def tell(self, trials: Sequence[Trial]) -> None:
        """Update the controller once. A trial without a reward is left out.

        The names are those of the paper: the probability ratio r, the advantage A, the clipped
        surrogate objective (equation 7) and the entropy bonus S (equation 9). The baseline is a
        moving average of rewards, for there is no value function.
        """
        s = self.settings
        self._statistics = {}
        rewarded = {i: trial.reward for i, trial in enumerate(trials) if trial.reward is not None}
        if not rewarded:
            return
        actions = self._choices[list(rewarded)]
        rewards = torch.tensor(list(rewarded.values()))
        # A decision that changes nothing earns no credit and no entropy.
        active = torch.tensor([self.space.active(row) for row in actions.tolist()])
        old_log_probs = (self._log_probs[list(rewarded)] * active).sum(dim=1)
        advantages = self._advantages(rewards)

        for _ in range(s.epochs):
            steps: list[tuple[float, float, float]] = []
            order = torch.randperm(len(rewards), generator=self.rng)
            for minibatch in torch.split(order, s.minibatch_size):
                log_probs, entropies = self.controller(actions[minibatch])
                new_log_probs = (log_probs * active[minibatch]).sum(dim=1)
                log_ratio = new_log_probs - old_log_probs[minibatch]
                ratio = log_ratio.exp()
                clipped_ratio = ratio.clamp(1 - s.clip_coef, 1 + s.clip_coef)
                advantage = advantages[minibatch]
                surrogate = torch.min(ratio * advantage, clipped_ratio * advantage).mean()
                entropy = (entropies * active[minibatch]).sum(dim=1).mean()
                loss = -(surrogate + s.ent_coef * entropy)

                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

                approx_kl = ((ratio - 1) - log_ratio).mean()
                clip_fraction = ((ratio - 1).abs() > s.clip_coef).float().mean()
                steps.append((entropy.item(), approx_kl.item(), clip_fraction.item()))
        means = (fmean(values) for values in zip(*steps, strict=True))
        self._statistics |= zip(("entropy", "approx_kl", "clip_fraction"), means, strict=True)

    def statistics(self) -> Mapping[str, float]:
        """Return statistics of the last `tell`; empty if no trial had a reward.

        All but the baseline are means over the steps of the last epoch:

        - entropy: Entropy of a whole architecture, in nats. It should fall slowly.
        - approx_kl: Estimated divergence of the new policy from the one that sampled, in nats. It
          should stay well below 0.1.
        - clip_fraction: Share of architectures whose probability ratio was clipped.
        - baseline: The moving average of rewards, after this round.

        A value that is not finite is left out.
        """
        return {name: value for name, value in self._statistics.items() if math.isfinite(value)}

    def _advantages(self, rewards: Tensor) -> Tensor:
        """Return the rewards less the baseline, move it towards their mean, and record it."""
        decay, mean = self.settings.baseline_decay, rewards.mean().item()
        baseline = mean if self.baseline is None else self.baseline
        self.baseline = self._statistics["baseline"] = decay * baseline + (1 - decay) * mean
        return rewards - baseline
