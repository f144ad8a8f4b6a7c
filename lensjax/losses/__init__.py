"""Loss terms: one value an example, pure; `objective` applies masks and means. Read it first.

A term is `term(context, batch, *, option=…) -> [b]`. It may differentiate through the model and its
explanations (`Context`). To add one, write the function and name it in `LOSSES`; its weight is then
`--loss.weights.NAME` on the command line, its options `--loss.options.NAME.OPTION`. A user's own term needs
no change here (`custom`).

objective: the weighted sum, and checks of the configuration · context: what a term may use · supervised:
class, position, light · attention: gates · explanations: maps · custom: a user's own terms.
"""

from lensjax.losses.attention import (
    attention_area,
    attention_bce,
    attention_branch,
    attention_dice,
    attention_entropy,
    attention_kl,
    attention_sparsity,
    attention_tv,
)
from lensjax.losses.context import Context, Term
from lensjax.losses.explanations import (
    energy_in_mask,
    expected_gradients,
    gain,
    map_cross_entropy,
    map_l1,
    right_reasons,
    saliency_guided,
)
from lensjax.losses.supervised import (
    cross_entropy,
    focal,
    position,
    position_nll,
    restoration,
    window_cross_entropy,
)

__all__ = ["LOSSES", "Context", "Term"]

LOSSES: dict[str, Term] = {
    "cross_entropy": cross_entropy,
    "window_cross_entropy": window_cross_entropy,
    "focal": focal,
    "position": position,
    "position_nll": position_nll,
    "attention_sparsity": attention_sparsity,
    "restoration": restoration,
    "attention_area": attention_area,
    "attention_entropy": attention_entropy,
    "attention_tv": attention_tv,
    "attention_bce": attention_bce,
    "attention_dice": attention_dice,
    "attention_kl": attention_kl,
    "attention_branch": attention_branch,
    "right_reasons": right_reasons,
    "energy_in_mask": energy_in_mask,
    "map_l1": map_l1,
    "map_cross_entropy": map_cross_entropy,
    "gain": gain,
    "saliency_guided": saliency_guided,
    "expected_gradients": expected_gradients,
}
