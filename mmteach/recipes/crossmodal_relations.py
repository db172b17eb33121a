"""Chapter 04, questions about scenes: a relation network against an MLP of its size.

| name        | what it does                                                   |
|-------------|----------------------------------------------------------------|
| `spread`    | scenes with their places made larger, for distances to count   |
| `answered`  | right answers, relational questions and others apart           |
| `relations` | the table                                                      |
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from mmteach.claims import pick
from mmteach.data import load_scenes
from mmteach.data.batch import Batch
from mmteach.generation import RelationNetwork, StateMLP
from mmteach.training import classify, fit, predict, seed_everything


def spread(batch: Batch, factor: float = 4.0) -> Batch:
    """The scenes with the objects' places, from −1 to 1, made `factor` times larger, for distances to count."""
    state = batch.inputs["state"].clone()
    state[..., -2:] *= factor
    return replace(batch, inputs={**batch.inputs, "state": state})


def answered(model: nn.Module, batch: Batch) -> dict[str, float]:
    """The share of right answers among the relational questions and among the others."""
    right = predict(model, batch, batch_size=1024).argmax(1) == batch.targets["answer"]
    relational = batch.targets["relational"]
    return {"relational": right[relational].float().mean().item(), "other": right[~relational].float().mean().item()}


def relations(seed: int) -> dict[str, dict[str, float]]:
    """Sort-of-CLEVR from state descriptions: a relation network against an MLP of as many parameters, both well trained.

    Santoro et al. 2017, "A simple neural network module for relational reasoning". Pairs are weighed by a softmax, and the
    network is trained until it has left the plateau at which it knows shapes but no distances.
    """
    sizes = pick(smoke=(60, 20, 20), laptop=(9000, 500, 1000))
    scenes = load_scenes(*sizes)
    train, test = spread(scenes.train), spread(scenes.test)
    seed_everything(seed)
    network = RelationNetwork(10, 11, 10, g_layers=4, pool="softmax")
    rivals = {
        "relation network": (network, 2e-3, pick(smoke=5, laptop=6000)),
        "MLP": (StateMLP.like(network, objects=6), 1e-3, pick(smoke=5, laptop=8000)),
    }
    rows = {}
    for name, (model, lr, steps) in rivals.items():
        history = fit(
            model,
            train,
            loss=classify("answer"),
            steps=steps,
            batch_size=256,
            lr=lr,
            schedule="cosine",
            warmup=0.05,
            seed=seed,
        )
        parameters = sum(p.numel() for p in model.parameters())
        rows[name] = {**answered(model, test), "parameters": parameters, "seconds": round(history.seconds, 1)}
    return rows
