"""Detectors by name; each in a file of its own."""

from deepcheck.registry import Registry

DETECTORS = Registry(
    "detector",
    {
        "resnet18": "deepcheck.detectors.resnet:ResNet18",
        "gru": "deepcheck.detectors.recurrent:GRU",
        "lstm": "deepcheck.detectors.recurrent:LSTM",
        "wav2vec2": "deepcheck.detectors.wav2vec2:Wav2Vec2",
        "hub": "deepcheck.detectors.hub:Hub",
        "distilled": "deepcheck.detectors.distilled:Distilled",
        "snn": "deepcheck.detectors.spiking:Spiking",
        "progressive": "deepcheck.detectors.progressive:Progressive",
        "committee": "deepcheck.detectors.committee:Committee",
    },
)
