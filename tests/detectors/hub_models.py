"""Tiny audio-classification models, saved as their authors would save them."""

import torch
from conftest import TINY_ENCODER

from deepcheck.audio.torchaudio_import import import_torchaudio

LABELS = ("fake", "real")
AST = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_length": 100,
    "num_mel_bins": 32,
}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "num_mel_bins": 20,
    "classifier_proj_size": 16,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
KINDS = {
    "wav2vec2": TINY_ENCODER,
    "hubert": TINY_ENCODER,
    "wavlm": TINY_ENCODER,
    "wav2vec2-bert": TINY_ENCODER,
    "audio-spectrogram-transformer": AST,
    "whisper": WHISPER,
}


def save_model(folder, kind="wav2vec2", labels=LABELS, seed=4, normalised=True, **settings):
    """Writes a random model of the `kind` with these labels; returns (the network, its feature extractor)."""
    import_torchaudio()
    import transformers as hf

    extractors = {
        "audio-spectrogram-transformer": lambda: hf.ASTFeatureExtractor(num_mel_bins=32, max_length=100),
        "whisper": lambda: hf.WhisperFeatureExtractor(feature_size=20),
        "wav2vec2-bert": hf.SeamlessM4TFeatureExtractor,
    }
    config = hf.CONFIG_MAPPING[kind](**{**KINDS[kind], **settings}, id2label=dict(enumerate(labels)))
    torch.manual_seed(seed)
    model = hf.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING[type(config)](config).eval()
    with torch.no_grad():  # logits that differ from each other, as after some training
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    extractor = extractors.get(kind, lambda: hf.Wav2Vec2FeatureExtractor(do_normalize=normalised))()
    hf.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return model, extractor
