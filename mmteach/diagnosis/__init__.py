"""What is in the data, what a model uses of it, and what happens when a modality fails.

| name                                             | question it answers                                             |
|--------------------------------------------------|-----------------------------------------------------------------|
| `entropy`, `mutual_information`                  | how many bits does a variable carry, about another one?         |
| `pid`                                            | what do two modalities know together, alone, only jointly?      |
| `joint_table`, `quantise`, `estimate_pid`        | the same on real data, by counting                              |
| `best_accuracy`                                  | how accurate can any model be, at best?                         |
| `robustness_curve`                               | how does accuracy fall as a modality gets worse?                |
| `relative_robustness`, `effective_robustness`    | that curve as one number, alone or against a baseline           |
| `unimodal_logits`, `unimodal_scores`             | which modality does a fused model rely on?                      |
| `ogm_coefficients`, `modulate_gradients`         | slow down the encoder that starves the others (OGM-GE)          |
| `gradient_blending`                              | loss weights from how much each modality overfits               |
| `modality_gap`, `close_gap`                      | do two modalities live in different corners of the space?       |
| `alignment`, `uniformity`                        | are pairs close, and is the sphere well used?                   |
"""

from mmteach.diagnosis.competition import (
    gradient_blending,
    modulate_gradients,
    ogm_coefficients,
    unimodal_logits,
    unimodal_scores,
)
from mmteach.diagnosis.gap import alignment, close_gap, modality_gap, uniformity
from mmteach.diagnosis.information import (
    PID,
    best_accuracy,
    entropy,
    estimate_pid,
    joint_table,
    mutual_information,
    pid,
    quantise,
)
from mmteach.diagnosis.robustness import effective_robustness, relative_robustness, robustness_curve

__all__ = [
    "PID",
    "alignment",
    "best_accuracy",
    "close_gap",
    "effective_robustness",
    "entropy",
    "estimate_pid",
    "gradient_blending",
    "joint_table",
    "modality_gap",
    "modulate_gradients",
    "mutual_information",
    "ogm_coefficients",
    "pid",
    "quantise",
    "relative_robustness",
    "robustness_curve",
    "uniformity",
    "unimodal_logits",
    "unimodal_scores",
]
