"""Where somebody speaks: the Silero voice activity model, batched over windows.

The weights (MIT) come in the wheel of `silero-vad`, whose own runner takes one 32 ms chunk a call. This is the
same network in plain PyTorch with the chunks of a window as one batch, the recurrence alone being sequential.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

CHUNK = 512  # samples at 16 kHz
_CONTEXT = 64  # samples of the chunk before that each chunk sees


class SpeechDetector(nn.Module):
    """Silero VAD for 16 kHz: (batch, samples) -> (batch, samples // 512) probabilities of speech."""

    basis: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(258, 1, 256))
        channels = (129, 128, 64, 64, 128)
        self.encoder = nn.ModuleList(
            nn.Conv1d(i, o, 3, stride=s, padding=1)
            for i, o, s in zip(channels, channels[1:], (1, 2, 2, 1), strict=False)
        )
        self.rnn = nn.LSTM(128, 128, batch_first=True)
        self.head = nn.Conv1d(128, 1, 1)

    @torch.inference_mode()
    def forward(self, waveform: Tensor) -> Tensor:
        batch, samples = waveform.shape
        count = samples // CHUNK
        padded = F.pad(waveform[:, : count * CHUNK], (_CONTEXT, 0))
        chunks = padded.unfold(1, CHUNK + _CONTEXT, CHUNK).reshape(batch * count, 1, -1)
        frames = F.pad(chunks, (0, 64), mode="reflect")[:, 0].unfold(1, 256, 128)
        # The product that a convolution would compute, which takes twice as long for it.
        spectrum = frames.reshape(-1, 256) @ self.basis[:, 0].T
        x = torch.hypot(spectrum[:, :129], spectrum[:, 129:]).view(len(frames), -1, 129).transpose(1, 2)
        for layer in self.encoder:
            x = F.relu(layer(x))
        states, _ = self.rnn(x.view(batch, count, 128))
        return torch.sigmoid(self.head(F.relu(states).transpose(1, 2))).squeeze(1)


@cache
def speech_detector() -> SpeechDetector:
    """The pretrained model on the CPU, in eval mode."""
    package = find_spec("silero_vad")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("silero-vad is a dependency of deepcheck but is not installed")
    weights = load_file(Path(package.submodule_search_locations[0]) / "data" / "silero_vad_16k.safetensors")
    model = SpeechDetector()
    model.load_state_dict({_renamed(name): value for name, value in weights.items()})
    return model.eval()


def _renamed(name: str) -> str:
    for theirs, ours in (
        ("stft_conv.weight", "basis"),
        ("lstm_cell.weight_ih", "rnn.weight_ih_l0"),
        ("lstm_cell.weight_hh", "rnn.weight_hh_l0"),
        ("lstm_cell.bias_ih", "rnn.bias_ih_l0"),
        ("lstm_cell.bias_hh", "rnn.bias_hh_l0"),
        ("final_conv", "head"),
    ):
        name = name.replace(theirs, ours)
    for layer in range(4):
        name = name.replace(f"conv{layer + 1}.", f"encoder.{layer}.")
    return name
