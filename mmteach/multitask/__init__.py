"""Several tasks, one model: how to share its parameters, and how to weigh the tasks' losses or combine their gradients.

A step of multi-task training, whichever method is used (L_t is the loss of task t, T tasks, P shared parameters):

    weights = dwa(history)                                         # a weighting: one number a task …
    (weights * losses).sum().backward()                            # … multiplies its loss

    shared = list(model.shared_parameters())
    jacobian = task_gradients(losses, shared)                      # (T, P): one gradient a task
    losses.sum().backward()                                        # the heads keep their own gradients …
    set_gradient(shared, pcgrad(jacobian, generator=generator))    # … the shared part gets the combined one

| name                                    | what it is, and when to use it                                              |
|-----------------------------------------|-----------------------------------------------------------------------------|
| `HardSharing`                           | one trunk, a head a task: the baseline                                      |
| `MMoE`                                  | experts for all, a gate a task: tasks that agree only in part               |
| `CGC`                                   | shared experts and experts of one's own: tasks that hurt each other         |
| `CrossStitch`                           | a trunk a task, mixed after every stage: how much sharing is learned        |
| `equal`                                 | w = 1: the baseline to beat                                                 |
| `uncertainty`, `uncertainty_weights`    | learned noise of each task: losses of different units                       |
| `dwa`                                   | more weight where the loss stopped falling; needs last epochs' losses only  |
| `rlw`                                   | random weights: a baseline that is hard to beat                             |
| `gls`                                   | geometric mean: the scale of a loss never matters                           |
| `gradnorm`, `gradnorm_weights`          | gradient norms pulled together, slow tasks favoured                         |
| `task_gradients`, `set_gradient`        | the Jacobian (T, P) of the losses, and the way back into `.grad`            |
| `cosine_matrix`                         | do two tasks pull the same way? −1 conflict, 0 unrelated, 1 agreement       |
| `pcgrad`                                | cut out of each gradient what conflicts with another                        |
| `mgda`, `min_norm_weights`              | the shortest average: helps every task, favours small gradients             |
| `cagrad`                                | near the mean, and best for the worst-off task                              |
| `imtl_g`, `config`                      | equal projections on (equal angles to) every gradient                       |
| `aligned_mtl`                           | decorrelate and rescale the gradients: a well-conditioned system            |
| `nash`, `fairgrad`                      | bargain: proportional (or α-) fairness of the improvements                  |
| `upgrad`, `dualproj`                    | project onto the directions that hurt no task                               |
"""

from mmteach.multitask.gradients import (
    aligned_mtl,
    cagrad,
    config,
    dualproj,
    fairgrad,
    imtl_g,
    mgda,
    min_norm_weights,
    nash,
    pcgrad,
    upgrad,
)
from mmteach.multitask.jacobian import cosine_matrix, set_gradient, task_gradients
from mmteach.multitask.sharing import CGC, CrossStitch, HardSharing, MMoE
from mmteach.multitask.weighting import (
    dwa,
    equal,
    gls,
    gradnorm,
    gradnorm_weights,
    rlw,
    uncertainty,
    uncertainty_weights,
)

__all__ = [
    "CGC",
    "CrossStitch",
    "HardSharing",
    "MMoE",
    "aligned_mtl",
    "cagrad",
    "config",
    "cosine_matrix",
    "dualproj",
    "dwa",
    "equal",
    "fairgrad",
    "gls",
    "gradnorm",
    "gradnorm_weights",
    "imtl_g",
    "mgda",
    "min_norm_weights",
    "nash",
    "pcgrad",
    "rlw",
    "set_gradient",
    "task_gradients",
    "uncertainty",
    "uncertainty_weights",
    "upgrad",
]
