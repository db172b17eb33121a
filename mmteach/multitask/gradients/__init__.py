"""Gradient methods: one gradient a task comes in as a row of the Jacobian (T, P), one combined gradient (P,) goes out.

Write g_t for row t, ḡ for their mean, K = G Gᵀ for all their dot products (T, T).

| name          | file                  | combined gradient d                             | never hurts a task | size        |
|---------------|-----------------------|-------------------------------------------------|--------------------|-------------|
| `pcgrad`      | `surgery.py`          | Σ of the g_t, less what conflicts               | for two tasks      | like a sum  |
| `mgda`        | `common_descent.py`   | the shortest Σ α_t g_t, α on the simplex        | yes                | ≤ every g_t |
| `cagrad`      | `conflict_averse.py`  | best for the worst-off task within c‖ḡ‖ of ḡ    | for c ≥ 1          | like a mean |
| `imtl_g`      | `equal_projection.py` | Σ α_t g_t with equal projections on every g_t   | unless Σ v is < 0  | like a mean |
| `config`      | `equal_projection.py` | equal cosine with every g_t                     | yes                | like a sum  |
| `aligned_mtl` | `balanced.py`         | ḡ after all singular values were made the least | no                 | ≤ the mean  |
| `nash`        | `bargaining.py`       | Σ w_t g_t with K w = 1/w                        | yes                | √T, always  |
| `fairgrad`    | `bargaining.py`       | Σ w_t g_t with K w = w^{−1/α}                   | yes                | depends on α |
| `upgrad`      | `dual_cone.py`        | mean of the g_t, each projected onto {d: G d ≥ 0} | yes              | like a mean |
| `dualproj`    | `dual_cone.py`        | ḡ projected onto {d: G d ≥ 0}                   | yes                | like a mean |

"Never hurts a task" says g_t·d ≥ 0 for every t: a small enough step along −d raises no loss. The size matters: a method
that returns a sum takes steps T times as long as one that returns a mean, so compare them at their own best learning rates.

Every method needs two tasks or more, takes float32, float64 or bfloat16 and gives the same back. Zero gradients never
give NaN; a gradient that is NaN or infinite gives NaN from plain tensor code and ValueError from the others.
`pcgrad`, `imtl_g`, `config` and `aligned_mtl` are plain tensor code (torch.func.vmap works); the others solve a T × T
problem on the CPU in float64, which is fast because T is small.
"""

from mmteach.multitask.gradients.balanced import aligned_mtl
from mmteach.multitask.gradients.bargaining import fairgrad, nash
from mmteach.multitask.gradients.common_descent import mgda, min_norm_weights
from mmteach.multitask.gradients.conflict_averse import cagrad
from mmteach.multitask.gradients.dual_cone import dualproj, upgrad
from mmteach.multitask.gradients.equal_projection import config, imtl_g
from mmteach.multitask.gradients.surgery import pcgrad

__all__ = [
    "aligned_mtl",
    "cagrad",
    "config",
    "dualproj",
    "fairgrad",
    "imtl_g",
    "mgda",
    "min_norm_weights",
    "nash",
    "pcgrad",
    "upgrad",
]
