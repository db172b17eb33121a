"""Metrics: thin wrappers over torchmetrics, scikit-learn, sacrebleu and jiwer, which do the counting.

| name                                   | what it measures, and when to use it                                               |
|----------------------------------------|------------------------------------------------------------------------------------|
| `recall_at_k`                          | retrieval: the share of the relevant items among the first k                       |
| `median_rank`                          | retrieval: where the first relevant item stands, for half of the queries           |
| `mean_average_precision`               | retrieval with several relevant items a query                                      |
| `mean_reciprocal_rank`                 | retrieval where only the first hit matters                                         |
| `accuracy`                             | classes of about equal size                                                        |
| `balanced_accuracy`, `macro_f1`        | classes of unequal size: every class counts the same                               |
| `auc`                                  | scores of a rare class: the chance that a positive outranks a negative             |
| `calibration_error`                    | does "90 % sure" come true 90 % of the time?                                       |
| `bleu`                                 | captions and translations, 0 to 100                                                |
| `rouge_l`                              | captions and summaries: the longest common subsequence of words, 0 to 1            |
| `word_error_rate`, `character_error_rate` | transcripts; can pass 1                                                         |
| `vqa_accuracy`                         | answers against those of several people                                            |
| `mean_interval`                        | a result over seeds: mean and 95 % interval                                        |
| `paired_difference`                    | two models over the same seeds: is the difference more than noise?                 |
"""

from mmteach.metrics.classification import accuracy, auc, balanced_accuracy, calibration_error, macro_f1
from mmteach.metrics.retrieval import mean_average_precision, mean_reciprocal_rank, median_rank, recall_at_k
from mmteach.metrics.seeds import Difference, Interval, mean_interval, paired_difference
from mmteach.metrics.text import bleu, character_error_rate, rouge_l, vqa_accuracy, word_error_rate

__all__ = [
    "Difference",
    "Interval",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "bleu",
    "calibration_error",
    "character_error_rate",
    "macro_f1",
    "mean_average_precision",
    "mean_interval",
    "mean_reciprocal_rank",
    "median_rank",
    "paired_difference",
    "recall_at_k",
    "rouge_l",
    "vqa_accuracy",
    "word_error_rate",
]
