"""Proximal policy optimisation of the controller (Schulman et al., arXiv 1707.06347)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from search.space.architecture import Architecture
from search.space.limits import MAX_DRAWS, Allows, everything, fitted
from search.space.space import Space
from search.strategies.controller import Controller
from search.study.ppo_settings import PPOSettings
from search.study.trial import Trial

LEARNING_STEPS = 30


class PPO:
    """A Strategy. `entropy` (of a whole architecture) and `approx_kl` are those of the last
    minibatch, in nats: the one should fall slowly, the other stay well below 0.1."""

    def __init__(
        self,
        space: Space,
        seed: int,
        settings: PPOSettings | None = None,
        allows: Allows = everything,
    ) -> None:
        self.space = space
        self.allows = allows
        self.settings = settings or PPOSettings()
        self.rng = torch.Generator().manual_seed(seed)
        self.controller = Controller([len(d.choices) for d in space.decisions], self.rng)
        self.optimizer = torch.optim.Adam(
            self.controller.parameters(), lr=self.settings.learning_rate, fused=True
        )
        self.baseline: float | None = None
        self.entropy = 0.0
        self.approx_kl = 0.0
        self._choices = torch.empty(0, len(space.decisions), dtype=torch.int64)
        self._log_probs = torch.empty(0, len(space.decisions))

    def ask(self, n: int) -> list[Architecture]:
        """What is not allowed is drawn again. That divides each probability by the share that
        is allowed, the same for all: its gradient is left out, for it is multiplied by the mean
        advantage, about zero. What is fitted in the end counts as drawn, at the probability
        that it had."""
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

    @torch.no_grad()
    def _fit(self, indices: list[int]) -> None:
        drawn = self._choices[indices].tolist()
        within = torch.tensor([fitted(self.space, choices, self.allows) for choices in drawn])
        self._choices[indices] = within
        self._log_probs[indices], _ = self.controller(within)

    def _architecture(self, index: int) -> Architecture:
        return self.space.resolve(self._choices[index].tolist())

    def learn(self, trials: Sequence[Trial]) -> None:
        """A few steps up the likelihood of those that have a reward: the controller did not
        draw them, so there is no ratio to clip, and no baseline yet to hold rewards against.
        It leans towards them, no more: of a single network of MnasNet's space each choice is
        then 0.43 likely in the mean, before 0.37."""
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
        """One update. A trial without a reward teaches nothing: no number stands for it."""
        s = self.settings
        rewards = {i: trial.reward for i, trial in enumerate(trials) if trial.reward is not None}
        if not rewards:
            return
        choices = self._choices[list(rewards)]
        reward = torch.tensor(list(rewards.values()))
        # A decision that changes nothing earns no credit and no entropy.
        active = torch.tensor([self.space.active(row) for row in choices.tolist()])
        old_log_prob = (self._log_probs[list(rewards)] * active).sum(dim=1)

        mean = reward.mean().item()
        baseline = mean if self.baseline is None else self.baseline
        advantage = reward - baseline
        self.baseline = s.baseline_decay * baseline + (1 - s.baseline_decay) * mean

        for _ in range(s.epochs):
            order = torch.randperm(len(reward), generator=self.rng)
            for batch in torch.split(order, s.minibatch_size):
                log_probs, entropies = self.controller(choices[batch])
                log_ratio = (log_probs * active[batch]).sum(dim=1) - old_log_prob[batch]
                ratio = log_ratio.exp()
                clipped = ratio.clamp(1 - s.clip_coef, 1 + s.clip_coef)
                policy_loss = -torch.min(
                    advantage[batch] * ratio, advantage[batch] * clipped
                ).mean()
                entropy = (entropies * active[batch]).sum(dim=1).mean()
                loss = policy_loss - s.ent_coef * entropy

                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()

                self.entropy = entropy.item()
                self.approx_kl = ((ratio - 1) - log_ratio).mean().item()
