"""Cross-modal learning: objectives that bring what belongs together to the same place, and what that place is good for.

| file           | what is in it                                               | when to use it                      |
|----------------|-------------------------------------------------------------|-------------------------------------|
| `cca`          | `CCA`: linear, closed form                                  | first; a ruler for the others       |
| `deep_cca`     | `deep_cca_loss`, `gcca_loss`, `canonical_correlations`      | non-linear relations, large batches |
| `redundancy`   | `vicreg_loss`, `barlow_twins_loss`                          | no negatives, smaller batches       |
| `contrastive`  | `clip_loss`, `siglip_loss`, `info_nce`, `LogTemperature`, … | the default                         |
| `momentum`     | `albef_itc_loss`, `momentum_copy`, …                        | noisy pairs                         |
| `triplet`      | `triplet_loss` (VSE, VSE++)                                 | ranking with a margin               |
| `distillation` | `distillation_loss`, `clip_distillation_loss`               | a teacher of another modality       |
| `translation`  | `CyclicTranslation`, `translation_loss`                     | modalities only training has        |
| `masked`       | `MaskedMultimodalModel`, `masked_token_loss`, …             | pretraining                         |
| `binding`      | `binding_loss`, `pairwise_loss`                             | three modalities or more            |
| `dual_encoder` | `DualEncoder`                                               | the model these losses train        |
| `retrieval`    | `similarity`, `top_k`, `class_embeddings`, `zero_shot`      | after training                      |

The losses are pure functions of embeddings, row i of one belonging to row i of the other, and return a scalar in float32 at
least, under autocast too. `present` names the rows that are there: the others change nothing.
"""

from mmteach.alignment.binding import binding_loss, pairwise_loss
from mmteach.alignment.cca import CCA
from mmteach.alignment.contrastive import (
    LogTemperature,
    clip_loss,
    clip_loss_chunked,
    info_nce,
    same_item,
    siglip_loss,
)
from mmteach.alignment.deep_cca import canonical_correlations, deep_cca_loss, gcca_loss
from mmteach.alignment.distillation import clip_distillation_loss, distillation_loss
from mmteach.alignment.dual_encoder import DualEncoder
from mmteach.alignment.masked import MaskedMultimodalModel, hide_at_random, masked_patch_loss, masked_token_loss
from mmteach.alignment.momentum import albef_itc_loss, momentum_copy, momentum_update
from mmteach.alignment.redundancy import barlow_twins_loss, vicreg_loss, vicreg_terms
from mmteach.alignment.retrieval import class_embeddings, similarity, top_k, zero_shot
from mmteach.alignment.translation import CyclicTranslation, translation_loss
from mmteach.alignment.triplet import triplet_loss

__all__ = [
    "CCA",
    "CyclicTranslation",
    "DualEncoder",
    "LogTemperature",
    "MaskedMultimodalModel",
    "albef_itc_loss",
    "barlow_twins_loss",
    "binding_loss",
    "canonical_correlations",
    "class_embeddings",
    "clip_distillation_loss",
    "clip_loss",
    "clip_loss_chunked",
    "deep_cca_loss",
    "distillation_loss",
    "gcca_loss",
    "hide_at_random",
    "info_nce",
    "masked_patch_loss",
    "masked_token_loss",
    "momentum_copy",
    "momentum_update",
    "pairwise_loss",
    "same_item",
    "siglip_loss",
    "similarity",
    "top_k",
    "translation_loss",
    "triplet_loss",
    "vicreg_loss",
    "vicreg_terms",
    "zero_shot",
]
