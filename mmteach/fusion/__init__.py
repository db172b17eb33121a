"""Fusion: vectors or tokens of several modalities → one vector."""

from mmteach.fusion.classic import ClassicFusion, carry_keras_weights
from mmteach.fusion.classifier import MultimodalClassifier

__all__ = ["ClassicFusion", "MultimodalClassifier", "carry_keras_weights"]
