from __future__ import annotations

import math

import pytest
import torch

from search.strategies.ppo import PPO
from search.study.settings import PPOSettings
from search.study.trial import Trial
from tests.search.fakes import small_space


def tell_rewards(ppo: PPO, rewards: list[float | None]) -> None:
    architectures = ppo.ask(len(rewards))
    ppo.tell(
        [
            Trial(a, 0, accuracy=r, latency=None, reward=r)
            for a, r in zip(architectures, rewards, strict=True)
        ]
    )


def weights(ppo: PPO) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in ppo.controller.parameters()])


def test_it_learns_what_is_rewarded() -> None:
    ppo = PPO(small_space(), seed=0, settings=PPOSettings(learning_rate=3e-3))
    shares, entropies = [], []
    for _ in range(40):
        architectures = ppo.ask(20)
        liked = [sum(block.op == "mbconv" for block in a.blocks) / 2 for a in architectures]
        shares.append(sum(liked) / 20)
        ppo.tell([Trial(a, 0, r, None, r) for a, r in zip(architectures, liked, strict=True)])
        entropies.append(ppo.statistics()["entropy"])
    assert sum(shares[:5]) / 5 < 0.7
    assert sum(shares[-5:]) / 5 > 0.9
    assert entropies[-1] < entropies[0] - 0.5  # nats; the two liked decisions have 1.4


def test_trials_without_a_reward_teach_nothing() -> None:
    ppo = PPO(small_space(), seed=0)
    before = weights(ppo)
    tell_rewards(ppo, [None] * 5)
    assert torch.equal(weights(ppo), before)
    assert ppo.baseline is None


def test_failures_beside_rewards_leave_no_mark() -> None:
    ppo = PPO(small_space(), seed=0)
    tell_rewards(ppo, [0.25, None, 0.75])
    assert ppo.baseline == pytest.approx(0.5)
    assert torch.isfinite(weights(ppo)).all()


def test_the_baseline_is_a_moving_average_of_the_mean_reward() -> None:
    ppo = PPO(small_space(), seed=0)
    tell_rewards(ppo, [0.2, 0.4])
    tell_rewards(ppo, [0.9, 0.9])
    assert ppo.baseline == pytest.approx(0.95 * 0.3 + 0.05 * 0.9)


def test_inactive_decisions_earn_no_credit() -> None:
    """The first block's skip is inactive where a block of one layer changes width."""
    space = small_space()
    ppo = PPO(space, seed=0, settings=PPOSettings(ent_coef=1.0))
    names = [decision.name for decision in space.decisions]
    choices = torch.zeros(4, len(names), dtype=torch.int64)
    choices[:, names.index("block1.filters")] = 1
    assert not space.active(choices[0].tolist())[names.index("block1.skip")]
    ppo._choices, ppo._log_probs = choices, ppo.controller(choices)[0].detach()
    skip = ppo.controller.heads[names.index("block1.skip")].detach().clone()
    other = ppo.controller.heads[names.index("block1.convolution")].detach().clone()
    architecture = space.resolve(choices[0].tolist())
    ppo.tell([Trial(architecture, 0, r, None, r) for r in (0.1, 0.2, 0.3, 0.9)])
    assert torch.equal(ppo.controller.heads[names.index("block1.skip")], skip)
    assert not torch.equal(ppo.controller.heads[names.index("block1.convolution")], other)


def test_what_it_learns_of_becomes_more_likely() -> None:
    space = small_space()
    ppo = PPO(space, seed=0)
    [liked] = ppo.ask(1)
    spelled = space.spell(liked)

    def log_prob() -> float:
        return float(ppo.controller(torch.tensor([spelled]))[0].detach().sum())

    before = log_prob()
    ppo.learn([Trial(liked, 0, 0.5, None, 0.5)])
    after = log_prob()
    assert before + 0.5 < after < -0.5  # nats; still far from certain
    assert ppo.baseline is None
    ppo.learn([Trial(liked, 0, None, None, None)])
    assert log_prob() == after


def test_what_is_adopted_has_the_controllers_own_probabilities() -> None:
    space = small_space()
    ppo = PPO(space, seed=0)
    tell_rewards(ppo, [0.1, 0.9, 0.4])
    drawn = ppo.ask(4)
    kept = ppo._log_probs[[0, 2]].clone()
    others = PPO(space, seed=7).ask(4)
    ppo.adopt([drawn[0], others[1], drawn[2], others[3]])
    spelled = torch.tensor([space.spell(others[i]) for i in (1, 3)])
    assert torch.equal(ppo._choices[[1, 3]], spelled)
    assert torch.allclose(ppo._log_probs[[1, 3]], ppo.controller(spelled)[0].detach())
    assert torch.equal(ppo._log_probs[[0, 2]], kept)


def test_updates_stay_close_to_the_policy_that_sampled() -> None:
    ppo = PPO(small_space(), seed=0)
    for step in range(5):
        tell_rewards(ppo, [0.1 * step, 0.5, 0.9, 0.3])
        assert abs(ppo.statistics()["approx_kl"]) < 0.1


def test_what_it_computes_is_reported_for_each_round() -> None:
    ppo = PPO(small_space(), seed=0)
    assert ppo.statistics() == {}
    tell_rewards(ppo, [0.2, 0.4])
    first = ppo.statistics()
    assert set(first) == {"baseline", "entropy", "approx_kl", "clip_fraction"}
    assert first["baseline"] == pytest.approx(0.3)
    uniform = sum(math.log(len(decision.choices)) for decision in small_space().decisions)
    assert 0.5 * uniform < first["entropy"] <= uniform
    assert first["clip_fraction"] == 0
    tell_rewards(ppo, [None, 0.9])
    assert ppo.statistics()["baseline"] == pytest.approx(0.95 * 0.3 + 0.05 * 0.9)
    tell_rewards(ppo, [None, None])
    assert ppo.statistics() == {}


def test_a_policy_that_leaps_is_clipped() -> None:
    ppo = PPO(small_space(), seed=0, settings=PPOSettings(learning_rate=0.1))
    tell_rewards(ppo, [0.1, 0.9, 0.5, 0.3])
    assert 0 < ppo.statistics()["clip_fraction"] <= 1


def test_a_statistic_that_is_no_finite_number_is_left_out() -> None:
    ppo = PPO(small_space(), seed=0)
    tell_rewards(ppo, [math.nan, 0.9])
    assert all(map(math.isfinite, ppo.statistics().values()))
    assert "baseline" not in ppo.statistics()
