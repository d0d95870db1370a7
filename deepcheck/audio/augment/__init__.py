"""Training augmentations: each makes a clip harder to judge by something other than the speech itself.

A waveform augmentation is called with `(waveform, rng)`: float32 `(samples,)` at 16 kHz and a
`numpy.random.Generator`; a feature augmentation with `(features, generator)`: a tensor
`(batch, ..., bins, frames)` and a `torch.Generator`. Each is a frozen dataclass whose fields are its settings
and whose `stage` says which of the two it is. `chain.build_chain` makes a chain of them from a recipe.
"""

from deepcheck.registry import Registry

# The same as decode.SAMPLE_RATE, which cannot be imported where PyAV is missing.
SAMPLE_RATE = 16_000  # Hz

AUGMENTATIONS = Registry(
    "augmentation",
    {
        "gain": "deepcheck.audio.augment.gain:Gain",
        "noise": "deepcheck.audio.augment.noise:Noise",
        "rawboost": "deepcheck.audio.augment.rawboost:RawBoost",
        "room": "deepcheck.audio.augment.room:Room",
        "band-limit": "deepcheck.audio.augment.band_limit:BandLimit",
        "codec": "deepcheck.audio.augment.codec:Codec",
        "silence": "deepcheck.audio.augment.silence:Silence",
        "clipping": "deepcheck.audio.augment.clipping:Clipping",
        "spec-augment": "deepcheck.audio.augment.spec_augment:SpecAugment",
    },
)
