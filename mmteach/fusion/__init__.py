"""Fusion: vectors or tokens of several modalities → one vector.

| name                         | takes       | what it is                            | when to use it                  |
|------------------------------|-------------|---------------------------------------|---------------------------------|
| `ClassicFusion`              | –           | the classic image + text model, whole | the first baseline              |
| `MultimodalClassifier`       | –           | encoders, a fusion, a head            | every comparison                |
| `Concat`                     | vectors     | side by side                          | the default                     |
| `SumFusion`                  | vectors     | projected, summed                     | `Concat` and a linear layer     |
| `ProductFusion`              | vectors     | projected, multiplied                 | only the combination tells      |
| `AttentionFusion`            | vectors     | learned weights, one a modality       | trust changes from case to case |
| `LateFusion`                 | vectors     | a head each, answers averaged         | each can answer alone           |
| `GatedFusion`                | vectors     | one opens and closes the other        | one says what to look for       |
| `GMU`                        | vectors     | for each number, whom to believe      | they replace each other         |
| `MAG`                        | vectors     | the others shift an anchor            | one strong, the others weak     |
| `FiLM`                       | vectors (2) | a scale and a shift a feature         | a question about a picture      |
| `MLB`, `MFB`                 | vectors     | products at low rank                  | interactions of wide vectors    |
| `TensorFusion`               | vectors     | all products                          | small vectors                   |
| `LowRankTensorFusion`        | vectors     | all products at low rank              | three modalities and more       |
| `MultiplicativeInteractions` | vectors (2) | one makes the other's weights         | one is the other's context      |
| `MixtureOfExperts`           | vectors     | a gate weighs experts                 | cases differ                    |
| `ProductOfExperts`           | vectors     | Gaussian beliefs, multiplied          | modalities go missing           |
| `NonlocalGate`               | vectors     | parts of one ask for parts of another | vectors made of parts           |
| `EarlyFusion`                | tokens      | side by side at each step             | sequences on one clock          |
| `CrossAttentionFusion`       | tokens      | each looks things up in the others    | which part goes with which      |
| `MulT`                       | tokens      | all ordered pairs, then memory        | sequences at different rates    |
| `BottleneckFusion`           | tokens      | joined by a few shared tokens         | long sequences                  |
| `PerceiverFusion`            | tokens      | latents read all tokens               | many tokens                     |
| `ResamplerFusion`            | tokens      | each to the same few tokens           | very different lengths          |
| `ModalityDropout`            | –           | hides modalities in training          | modalities go missing           |
| `MissingEmbeddings`          | –           | learned stand-ins                     | absence itself says something   |

"vectors" are {m: (B, D_m)}, "tokens" {m: (B, T_m, D_m)} with masks; both give (B, dim). Each is built with `dims`, the width
of each modality, and `dim`, the width of the result; two modalities or more, or exactly two where the table says (2).
What stands in an absent modality (`present` False) or a padded step never changes anything, not even NaN.
The blocks that the sequence fusions are made of are in `mmteach.fusion.attention`.
"""

from mmteach.fusion.bilinear import MFB, MLB
from mmteach.fusion.bottleneck import BottleneckFusion
from mmteach.fusion.classic import ClassicFusion, carry_keras_weights
from mmteach.fusion.classifier import MultimodalClassifier
from mmteach.fusion.cross_attention import CrossAttentionFusion
from mmteach.fusion.dropout import MissingEmbeddings, ModalityDropout, drop_modalities
from mmteach.fusion.experts import MixtureOfExperts, ProductOfExperts, balance_loss, product_of_experts
from mmteach.fusion.film import FiLM
from mmteach.fusion.gated import GMU, MAG, GatedFusion
from mmteach.fusion.mult import CrossmodalTransformer, MulT
from mmteach.fusion.multiplicative import MultiplicativeInteractions
from mmteach.fusion.nonlocal_gate import NonlocalGate, nonlocal_gate
from mmteach.fusion.perceiver import PerceiverFusion
from mmteach.fusion.resampler import Resampler, ResamplerFusion
from mmteach.fusion.simple import (
    AttentionFusion,
    Concat,
    EarlyFusion,
    LateFusion,
    ProductFusion,
    SumFusion,
    late_fusion_loss,
)
from mmteach.fusion.tensor import LowRankTensorFusion, TensorFusion, outer_product

__all__ = [
    "GMU",
    "MAG",
    "MFB",
    "MLB",
    "AttentionFusion",
    "BottleneckFusion",
    "ClassicFusion",
    "Concat",
    "CrossAttentionFusion",
    "CrossmodalTransformer",
    "EarlyFusion",
    "FiLM",
    "GatedFusion",
    "LateFusion",
    "LowRankTensorFusion",
    "MissingEmbeddings",
    "MixtureOfExperts",
    "ModalityDropout",
    "MulT",
    "MultimodalClassifier",
    "MultiplicativeInteractions",
    "NonlocalGate",
    "PerceiverFusion",
    "ProductFusion",
    "ProductOfExperts",
    "Resampler",
    "ResamplerFusion",
    "SumFusion",
    "TensorFusion",
    "balance_loss",
    "carry_keras_weights",
    "drop_modalities",
    "late_fusion_loss",
    "nonlocal_gate",
    "outer_product",
    "product_of_experts",
]
