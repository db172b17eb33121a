"""Small worlds whose information is known exactly: what each modality tells about the label, alone and together.

| name         | what it gives, and when to use it                                                    |
|--------------|--------------------------------------------------------------------------------------|
| `world`      | a joint distribution p(x1, x2, y) by name (AND, OR, XOR, copy, …): to compute with     |
| `mixture`    | redundancy, uniqueness and synergy in the amounts you choose, in bits                  |
| `World`      | the table itself: its mutual informations, its decomposition, samples from it          |
| `load_world` | a world as a data set: each symbol a noisy vector, so that networks can be trained     |
| `load_views` | two non-linear views of one latent angle, where deep CCA sees what CCA cannot          |

The decomposition into redundancy, unique 1, unique 2 and synergy is that of Williams and Beer (2010) with the measure of
Bertschinger et al. (2014). It is known here without any optimisation: where both inputs have the same joint table with y
neither has anything unique; where an input is independent of y there is no redundancy; and independent parts add up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mmteach import _check
from mmteach.data.batch import Batch, Splits
from mmteach.data.cards import Card

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class World:
    """A joint distribution of two or three inputs and a label, with what is known of its information.

    joint:      p(x1, x2, y) of shape (|X1|, |X2|, |Y|), or p(x1, x2, x3, y); float64, sums to 1
    redundancy: what x1 and x2 both tell about y, in bits; None for three inputs, where no one decomposition is agreed on
    says:       the world in words
    """

    name: str
    joint: Tensor
    redundancy: float | None
    says: str

    @property
    def modalities(self) -> list[str]:
        """The inputs' names: x1, x2 and perhaps x3."""
        return [f"x{i + 1}" for i in range(self.joint.ndim - 1)]

    def bits(self, *inputs: str) -> float:
        """The mutual information between the named inputs, taken together, and y, in bits.

        I(X; Y) = Σ p(x, y) log2( p(x, y) / (p(x) p(y)) )

        >>> xor = world("xor")
        >>> xor.bits("x1"), xor.bits("x2"), xor.bits("x1", "x2")
        (0.0, 0.0, 1.0)
        """
        unknown = [m for m in inputs if m not in self.modalities]
        if unknown or not inputs:
            raise ValueError(f"inputs must be some of {self.modalities}, got {list(inputs)}")
        others = [axis for axis, m in enumerate(self.modalities) if m not in inputs]
        p = (self.joint.sum(others) if others else self.joint).reshape(-1, self.joint.shape[-1])
        independent = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
        ratio = torch.where(p > 0, p / independent, 1.0)
        return max(0.0, round(float((p * ratio.log2()).sum()), 12))  # rounding leaves no −1e-17 where the answer is 0

    @property
    def information(self) -> dict[str, float]:
        """The decomposition in bits: redundancy R, unique U1 and U2, synergy S.

        U1 = I(X1; Y) − R,   U2 = I(X2; Y) − R,   S = I(X1, X2; Y) − R − U1 − U2

        >>> {kind: round(amount, 3) for kind, amount in world("and").information.items()}
        {'redundancy': 0.311, 'unique1': 0.0, 'unique2': 0.0, 'synergy': 0.5}
        """
        if self.redundancy is None:
            raise ValueError(f"the world {self.name!r} has three inputs: ask for bits('x1', 'x2') and the like instead")
        one, two, both = self.bits("x1"), self.bits("x2"), self.bits("x1", "x2")
        r = self.redundancy
        parts = {"redundancy": r, "unique1": one - r, "unique2": two - r, "synergy": both - one - two + r}
        return {kind: round(amount, 9) + 0.0 for kind, amount in parts.items()}  # + 0.0 turns −0.0 into 0.0

    def draw(self, n: int, seed: int = 0) -> dict[str, Tensor]:
        """n draws of the symbols: {"x1": (n,), "x2": (n,), "y": (n,)}, int64."""
        _check.whole("n", n)
        _check.positive("n", n)
        generator = torch.Generator().manual_seed(seed)
        cells = torch.multinomial(self.joint.flatten(), n, replacement=True, generator=generator)
        columns = torch.unravel_index(cells, self.joint.shape)
        return dict(zip([*self.modalities, "y"], columns))

    def sample(self, n: int, seed: int = 0) -> Batch:
        """n draws as a Batch: each input one-hot (n, |X|), targets "label" (n,) for y and the symbols under their names."""
        drawn = self.draw(n, seed)
        sizes = dict(zip(self.modalities, self.joint.shape))
        inputs = {m: torch.nn.functional.one_hot(drawn[m], sizes[m]).float() for m in self.modalities}
        return Batch(inputs, {"label": drawn["y"], **{m: drawn[m] for m in self.modalities}})


def _table(sizes: tuple[int, ...], label: Callable[..., int], labels: int) -> Tensor:
    """Inputs independent and uniform, y = label(x1, x2, …): p(x1, x2, …, y)."""
    joint = torch.zeros(*sizes, labels, dtype=torch.float64)
    for x in torch.cartesian_prod(*(torch.arange(size) for size in sizes)).tolist():
        joint[(*x, label(*x))] = 1 / math.prod(sizes)
    return joint


def _copy() -> Tensor:
    joint = torch.zeros(2, 2, 2, dtype=torch.float64)
    joint[0, 0, 0] = joint[1, 1, 1] = 0.5
    return joint


# name: (the noiseless table, bits of y, what it shows)
_WORLDS: dict[str, tuple[Callable[[], Tensor], int, str]] = {
    "and": (lambda: _table((2, 2), lambda a, b: a & b, 2), 1, "y = x1 AND x2: part redundancy, part synergy"),
    "or": (lambda: _table((2, 2), lambda a, b: a | b, 2), 1, "y = x1 OR x2: the same information as AND"),
    "xor": (lambda: _table((2, 2), lambda a, b: a ^ b, 2), 1, "y = x1 XOR x2: synergy, neither alone tells anything"),
    "copy": (_copy, 1, "y = x1 = x2: redundancy, either alone tells all"),
    "unique": (lambda: _table((2, 2), lambda a, b: a, 2), 1, "y = x1, x2 has nothing to do with it: unique to x1"),
    "two_bits": (
        lambda: _table((2, 2), lambda a, b: 2 * a + b, 4),
        2,
        "y = (x1, x2), two independent bits: one unique to each",
    ),
    "xor3": (
        lambda: _table((2, 2, 2), lambda a, b, c: a ^ b ^ c, 2),
        1,
        "y = x1 XOR x2 XOR x3: no pair of inputs tells anything",
    ),
}
WORLDS = (*_WORLDS, "mixture")


def _flip(joint: Tensor, bits: int, noise: float) -> Tensor:
    """Pass each of y's bits through a channel that flips it with probability `noise`."""
    channel = torch.tensor([[1 - noise, noise], [noise, 1 - noise]], dtype=joint.dtype)
    whole = torch.ones(1, 1, dtype=joint.dtype)
    for _ in range(bits):
        whole = torch.kron(whole, channel)
    return joint @ whole


def world(name: str, noise: float = 0.0, **amounts: float) -> World:
    """The world `name`: "and", "or", "xor", "copy", "unique", "two_bits", "xor3" or "mixture".

    noise:   the probability with which each bit of y is flipped; at 0.5 nothing is left to know
    amounts: for "mixture" alone, see `mixture`

    >>> {kind: round(amount, 2) for kind, amount in world("copy", noise=0.11).information.items()}
    {'redundancy': 0.5, 'unique1': 0.0, 'unique2': 0.0, 'synergy': 0.0}
    """
    _check.choice("name", name, WORLDS)
    if name == "mixture":
        return mixture(noise=noise, **amounts)
    if amounts:
        raise TypeError(f"world({name!r}) has one dial, noise; {sorted(amounts)} are the mixture's")
    _check.between("noise", noise, 0, 0.5)
    make, bits, says = _WORLDS[name]
    joint = _flip(make(), bits, noise)
    if name == "xor3":
        return World(name, joint, None, says)
    plain = World(name, joint, 0.0, says)
    # AND, OR and copy: x1 and x2 have the same table with y, so all that one tells the other tells as well.
    # XOR, unique and two_bits: what is independent of y (or of one of its bits) shares nothing.
    return World(name, joint, plain.bits("x1") if name in ("and", "or", "copy") else 0.0, says)


# The four parts of a mixture, each p(x1, x2, bit): an input that a part does not concern has one symbol there.
_PARTS: dict[str, Callable[[], Tensor]] = {
    "redundancy": _copy,
    "unique1": lambda: _table((2, 1), lambda a, b: a, 2),
    "unique2": lambda: _table((1, 2), lambda a, b: b, 2),
    "synergy": lambda: _table((2, 2), lambda a, b: a ^ b, 2),
}


def mixture(
    redundancy: float = 1.0, unique1: float = 0.0, unique2: float = 0.0, synergy: float = 0.0, noise: float = 0.0
) -> World:
    """A world with these amounts of each kind of information, in bits from 0 to 1.

    Four independent parts side by side: a bit that x1 and x2 share, a bit of each alone, and the XOR of two further
    bits. y sees a part with probability a (its amount) and "erased" otherwise, and what it sees is flipped with
    probability `noise`, so that

        I(part; y) = a · (1 − h(noise)),   h(p) = −p log2 p − (1 − p) log2(1 − p)

    and, the parts being independent, their information adds up. A part of amount 0 is left out.

    >>> mixture(redundancy=0.5, synergy=0.25).information
    {'redundancy': 0.5, 'unique1': 0.0, 'unique2': 0.0, 'synergy': 0.25}
    """
    amounts = {"redundancy": redundancy, "unique1": unique1, "unique2": unique2, "synergy": synergy}
    for kind, amount in amounts.items():
        _check.between(kind, amount, 0, 1)
    _check.between("noise", noise, 0, 0.5)
    if not any(amounts.values()):
        raise ValueError(f"a mixture needs some information, but every amount is 0: {amounts}")
    joint = torch.ones(1, 1, 1, dtype=torch.float64)
    for kind, amount in amounts.items():
        if amount > 0:
            part = _flip(_PARTS[kind](), 1, noise)
            if amount < 1:
                part = torch.cat([amount * part, (1 - amount) * part.sum(2, keepdim=True)], dim=2)
            joint = torch.kron(joint, part)
    entropy = -sum(p * math.log2(p) for p in (noise, 1 - noise) if p > 0)
    words = " + ".join(f"{amount:g} {kind}" for kind, amount in amounts.items() if amount > 0)
    return World(
        "mixture", joint, redundancy * (1 - entropy), f"{words}, each seen bit flipped with probability {noise:g}"
    )


def load_world(
    name: str = "xor",
    train: int = 4000,
    valid: int = 1000,
    test: int = 2000,
    width: int = 16,
    spread: float = 0.2,
    seed: int = 0,
    **dials: float,
) -> Splits:
    """A world as a data set for networks: inputs "x1", "x2" (B, width), targets "label" and the symbols "x1", "x2".

    x_m = code_m[symbol] + spread · ε,   ε ~ N(0, 1)

    The codes of a modality are orthonormal, so that any two symbols lie √2 apart: at spread 0.2 a symbol is read wrongly
    about twice in 10,000 draws. `dials` are those of `world`: noise, and the amounts of a mixture. The three splits are
    independent draws around the same codes.

    >>> load_world("and", train=100, valid=10, test=10).train.inputs["x1"].shape
    torch.Size([100, 16])
    """
    chosen = world(name, **dials)
    for part, n in (("train", train), ("valid", valid), ("test", test)):
        _check.whole(part, n, at_least=1)
    _check.positive("spread", spread)
    _check.whole("width", width)
    most = max(chosen.joint.shape[:-1])
    if width < most:
        raise ValueError(f"width must be at least {most}, the number of symbols of an input of {name!r}, got {width}")
    generator = torch.Generator().manual_seed(seed)
    codes = {}
    for m, size in zip(chosen.modalities, chosen.joint.shape):
        codes[m] = torch.linalg.qr(torch.randn(width, size, generator=generator, dtype=torch.float64)).Q.T.float()

    def make(n: int, part: int) -> Batch:
        drawn = chosen.draw(n, seed=3 * seed + part)
        inputs = {
            m: codes[m][drawn[m]] + spread * torch.randn(n, width, generator=generator) for m in chosen.modalities
        }
        return Batch(inputs, {"label": drawn["y"], **{m: drawn[m] for m in chosen.modalities}})

    labels = [str(y) for y in range(chosen.joint.shape[-1])]
    return Splits(f"world {name}", make(train, 0), make(valid, 1), make(test, 2), {"label": labels})


def load_views(
    train: int = 4000, valid: int = 1000, test: int = 2000, width: int = 10, noise: float = 0.1, seed: int = 0
) -> Splits:
    """Two views that share a number z and an angle t; the angle shows in no linear correlation at all.

    x1 = R1 [z, √2 cos t,  √2 sin t,  private] + noise · ε
    x2 = R2 [z, √2 cos 2t, √2 sin 2t, private] + noise · ε,   z, ε ~ N(0, 1), t uniform on [0, 2π)

    R1, R2 are fixed rotations, and the private numbers are drawn for each view alone. For every pair of linear
    projections only z correlates, by 1 / (1 + noise²): E[cos t cos 2t] and its like are 0. Non-linear maps find more:
    cos 2t = 2 cos² t − 1 and sin 2t = 2 sin t cos t are functions of x1 alone, and further functions of z and t follow.
    So CCA ends at a total correlation near 1, however many components it has; deep CCA (Andrew et al., "Deep Canonical
    Correlation Analysis", 2013) with k outputs can come near k.

    Inputs "x1", "x2" (B, width); targets "z" and "angle" (B,), in radians, float32.

    >>> load_views(train=50, valid=10, test=10).train
    Batch of 50 examples
      inputs['x1']: (50, 10) float32
      inputs['x2']: (50, 10) float32
      targets['z']: (50,) float32
      targets['angle']: (50,) float32
    """
    for part, n in (("train", train), ("valid", valid), ("test", test)):
        _check.whole(part, n, at_least=1)
    _check.between("noise", noise, 0, math.inf)
    _check.whole("width", width)
    if width < 3:
        raise ValueError(f"width must be at least 3, for z and the two coordinates of the angle, got {width}")
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    turns = [torch.linalg.qr(normal(width, width)).Q for _ in range(2)]

    def make(n: int) -> Batch:
        z, t = normal(n), 2 * math.pi * torch.rand(n, generator=generator)
        views = {}
        for k, turn in enumerate(turns, start=1):
            plane = math.sqrt(2) * torch.stack([(k * t).cos(), (k * t).sin()], dim=1)
            views[f"x{k}"] = torch.cat([z[:, None], plane, normal(n, width - 3)], dim=1) @ turn.T + noise * normal(
                n, width
            )
        return Batch(views, {"z": z, "angle": t})

    return Splits("views", make(train), make(valid), make(test))


def _sample() -> Figure:
    """Each world's joint table as small squares, with its information in bits below."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(7.5, 7), layout=ConstrainedLayoutEngine(hspace=0.08))
    names = [name for name in WORLDS if name not in ("xor3", "mixture")]
    for axes, name in zip(figure.subplots(2, 3).flat, names):
        chosen = world(name)
        most_likely = chosen.joint.argmax(2).float()
        most_likely[chosen.joint.sum(2) == 0] = math.nan  # pairs that never happen stay white
        axes.imshow(most_likely.numpy(), cmap="viridis", vmin=-0.5, vmax=3.5)
        for (a, b), p in zip([(0, 0), (0, 1), (1, 0), (1, 1)], chosen.joint.sum(2).flatten().tolist()):
            words = f"y = {int(most_likely[a, b])}\np = {p:g}" if p else "never"
            axes.text(b, a, words, ha="center", va="center", color="white" if p else "black", fontsize=9)
        bits = "\n".join(f"{kind} {amount:.3f}" for kind, amount in chosen.information.items())
        axes.set(title=name, xticks=[0, 1], yticks=[0, 1], xlabel=f"x2\n\n{bits}", ylabel="x1")
    return figure


CARD = Card(
    name="worlds",
    title="Small worlds whose information is known exactly: AND, OR, XOR, copies, mixtures",
    modalities=("x1, x2 (or x3): symbols, or noisy vectors of 16 numbers",),
    examples="as many as you ask for: drawn from a joint table p(x1, x2, y)",
    source="generated by mmteach.data.worlds; the decomposition after Williams and Beer (2010) and Bertschinger et al. (2014)",
    licence="MIT, as mmteach",
    files=(),
    splits="independent draws around the same codes",
    beware="A network's accuracy is not information: XOR at noise 0.11 still holds half a bit. The three-way world has no "
    "agreed decomposition, only mutual informations.",
    sample=_sample,
)
