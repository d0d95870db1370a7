"""Detectors by name; each in a file of its own."""

from deepcheck.registry import Registry

DETECTORS = Registry("detector", {"resnet18": "deepcheck.detectors.resnet:ResNet18"})
