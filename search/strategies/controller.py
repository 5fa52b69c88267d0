"""The controller: an LSTM that draws an architecture decision by decision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 100


class Controller(nn.Module):
    """An LSTM with a softmax for each decision, as in Zoph et al., arXiv 1707.07012, A.2.

    The choice that was drawn for a decision is fed back as its embedding. Initial weights are
    uniform in ±0.1. Choices are int64 tensors (n, decisions).
    """

    def __init__(self, choices: Sequence[int], generator: torch.Generator) -> None:
        """Draw the initial weights.

        Args:
            choices: Number of choices of each decision.
            generator: Source of the random weights.
        """
        super().__init__()
        decisions, width = len(choices), max(choices)
        # A token is a choice of a decision, and token 0 starts the sequence. The softmaxes lie
        # side by side, padded to the widest, so that one product serves all decisions.
        self.embedding = nn.Embedding(1 + decisions * width, HIDDEN)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.heads = nn.Parameter(torch.empty(decisions, HIDDEN, width))
        self.biases = nn.Parameter(torch.empty(decisions, width))
        self.first_token = 1 + width * torch.arange(decisions)
        self.padding = torch.arange(width) >= torch.tensor(choices)[:, None]
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw choices.

        Args:
            n: Number of architectures to draw.
            generator: Source of the random numbers.

        Returns:
            The choices and their log-probabilities, both (n, decisions).
        """
        # The LSTM is written out, for a call of nn.LSTM for every decision takes several times
        # as long.
        weight_ih, weight_hh, bias_ih, bias_hh = self.lstm.all_weights[0]
        gates_of_token = F.linear(self.embedding.weight, weight_ih, bias_ih + bias_hh)
        decisions, _, width = self.heads.shape
        # The largest of logit + Gumbel noise is a draw from the softmax.
        noise = -torch.empty(decisions, n, width).exponential_(generator=generator).log()
        noise = noise.masked_fill(self.padding[:, None], -torch.inf)
        hidden = cell = torch.zeros(n, HIDDEN)
        token = torch.zeros(n, dtype=torch.int64)
        chosen, logits = [], []
        for decision in range(decisions):
            gates = torch.addmm(gates_of_token[token], hidden, weight_hh.T)
            enter, forget, candidate, leave = gates.chunk(4, dim=1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            logits.append(torch.addmm(self.biases[decision], hidden, self.heads[decision]))
            choice = (logits[-1] + noise[decision]).argmax(dim=1)
            chosen.append(choice)
            token = self.first_token[decision] + choice
        choices = torch.stack(chosen, dim=1)
        return choices, self._assess(torch.stack(logits, dim=1), choices)[0]

    def forward(self, choices: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of choices and entropies, both (n, decisions), in nats.

        The probability of a choice is conditional on the choices before it. The entropy is that
        of the distribution that the choice was drawn from.
        """
        tokens = self.first_token + choices
        tokens = torch.cat([torch.zeros_like(tokens[:, :1]), tokens[:, :-1]], dim=1)
        hidden, _ = self.lstm(self.embedding(tokens))
        logits = torch.einsum("ndh,dhw->ndw", hidden, self.heads) + self.biases
        return self._assess(logits, choices)

    def _assess(self, logits: Tensor, choices: Tensor) -> tuple[Tensor, Tensor]:
        log_probs = logits.masked_fill(self.padding, -torch.inf).log_softmax(dim=-1)
        entropies = -(log_probs.exp() * log_probs.masked_fill(self.padding, 0)).sum(dim=-1)
        return log_probs.gather(-1, choices[..., None])[..., 0], entropies
