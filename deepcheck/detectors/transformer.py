"""A transformer layer whose heads, dimensions and neurons can come and go (Vaswani et al. 2017, arXiv:1706.03762)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled dot-product attention with separate projections, so that heads and their dimensions can come and go."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.head_dim = width // heads
        # What the old dimensions were trained with: it stays when dimensions come or go.
        self.scaling = self.head_dim**-0.5
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            projection(x).unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        # Not torch's fused attention: on a CPU its backward pass took as long as the rest of the transformer together,
        # and the maps of 200 steps are small.
        heard = ((q * self.scaling) @ k.transpose(-1, -2)).softmax(-1).to(v.dtype) @ v
        return self.out_proj(heard.transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    """Attention, then two linear layers with a ReLU between, each with a skip connection and a LayerNorm behind."""

    def __init__(self, width: int, heads: int, neurons: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, neurons)
        self.down = nn.Linear(neurons, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.attention(x))
        return self.norm(x + self.down(F.relu(self.up(x))))
