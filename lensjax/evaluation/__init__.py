"""Predict over a data set and compute metrics. Read in this order.

- `predict`: predictions of a whole split, and their summary
- `metrics`: class metrics; `rank_metrics`: AUROC, average precision, TPR at few false positives
- `position_metrics`: position errors; `intervals`: confidence intervals and the bootstrap
- `disagreement_flag`: how far evidence, attention and position are apart
"""
