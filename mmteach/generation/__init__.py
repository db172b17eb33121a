"""Generation and answering: from one modality to another's words, and from a scene to an answer.

| name                               | what it is                                  | when to use it                        |
|------------------------------------|---------------------------------------------|---------------------------------------|
| `Captioner`, `CaptionDecoder`      | encoder + transformer decoder               | a picture into words                  |
| `caption_loss`, `teacher_forcing`  | −log p of the right words                   | training a captioner                  |
| `coca_loss`                        | contrastive + captioning                    | retrieval and captions from one model |
| `greedy`, `beam_search`            | next-token probabilities into a sentence    | any model that writes step by step    |
| `RelationNetwork`, `StateMLP`      | all pairs of objects; its baseline          | how objects stand to each other       |
| `PixelRelationNetwork`, `PixelMLP` | the same on top of a CNN                    | the same from pictures; wants a GPU   |
| `CTCRecogniser`, `transcribe`      | frames to label probabilities, and its loss | speech to letters                     |
| `ctc_loss`                         | −log of all alignments' probability         | training without knowing when         |
| `ctc_greedy`, `prefix_beam_search` | label probabilities into labels             | decoding: fast; best                  |
| `forced_alignment`                 | the likeliest alignment of known labels     | showing when each label was said      |
| `collapse`, `frames_needed`        | what an alignment says; what a target needs | looking at data for CTC               |
"""

from mmteach.generation.captioner import (
    CaptionDecoder,
    Captioner,
    caption_loss,
    caption_targets,
    coca_loss,
    teacher_forcing,
)
from mmteach.generation.ctc import (
    collapse,
    ctc_greedy,
    ctc_loss,
    forced_alignment,
    frames_needed,
    prefix_beam_search,
)
from mmteach.generation.decoding import Hypothesis, beam_search, greedy
from mmteach.generation.recogniser import CTCRecogniser, transcribe
from mmteach.generation.relation import RelationNetwork, StateMLP
from mmteach.generation.relation_pixels import PixelCNN, PixelMLP, PixelRelationNetwork

__all__ = [
    "CTCRecogniser",
    "CaptionDecoder",
    "Captioner",
    "Hypothesis",
    "PixelCNN",
    "PixelMLP",
    "PixelRelationNetwork",
    "RelationNetwork",
    "StateMLP",
    "beam_search",
    "caption_loss",
    "caption_targets",
    "coca_loss",
    "collapse",
    "ctc_greedy",
    "ctc_loss",
    "forced_alignment",
    "frames_needed",
    "greedy",
    "prefix_beam_search",
    "teacher_forcing",
    "transcribe",
]
