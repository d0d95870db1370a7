"""What in a window speaks for a spoof; methods by name, each in a file of its own.

A method is a function `(detector: Detector, waveform: Tensor) -> Evidence` of one window, (1, samples) on the
detector's device, in eval mode with gradients on. `Detector.explainer` names the one that suits a detector best.
"""

from deepcheck.registry import Registry

EXPLAINERS = Registry(
    "method of explanation",
    {
        "grad-cam": "deepcheck.explain.grad_cam:grad_cam",
        "gradient-x-input": "deepcheck.explain.gradient_x_input:gradient_x_input",
        "attention-rollout": "deepcheck.explain.attention_rollout:attention_rollout",
    },
)
