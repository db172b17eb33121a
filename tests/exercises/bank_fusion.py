"""Right and wrong answers to the tasks of chapter 03."""

import torch
from torch import nn

from mmteach.fusion import GatedFusion

# ---- fusion.gated


class Gated(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        self.gate, self.image, self.out = nn.Linear(text_dim, dim), nn.Linear(image_dim, dim), nn.Linear(dim, dim)

    def forward(self, image, text):
        return self.fuse(self.gate(text), self.image(image))

    def fuse(self, gate, image):
        return self.out(gate.sigmoid() * image)


def gated(fuse):
    """A Gated whose last step is another one: fuse(self, what the text computes, the projected image)."""
    return type("Gated", (Gated,), {"fuse": fuse})


class GatedByHand(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        # Another order, parameters in a loop.
        for name, width in (("out", dim), ("image", image_dim), ("gate", text_dim)):
            layer = nn.Module()
            layer.bias, layer.weight = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim, width))
            self.add_module(name, layer)

    def forward(self, image, text):
        g = 1 / (1 + torch.exp(-(torch.einsum("bt,dt->bd", text, self.gate.weight) + self.gate.bias)))
        h = torch.einsum("bi,di->bd", image, self.image.weight) + self.image.bias
        return torch.einsum("bd,ed->be", g * h, self.out.weight) + self.out.bias


class GatedInFloat64(Gated):
    def fuse(self, gate, image):
        product = torch.sigmoid(gate.double()) * image.double()
        return product @ self.out.weight.double().T + self.out.bias


class GatedRowByRow(Gated):
    def forward(self, image, text):
        return torch.stack([super(GatedRowByRow, self).forward(i, t) for i, t in zip(image, text)])


class GatedSwapped(Gated):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__(text_dim, image_dim, dim)

    def forward(self, image, text):
        return self.fuse(self.gate(image), self.image(text))


class GatedBorrowed(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        fusion = GatedFusion({"text": text_dim, "image": image_dim}, dim)
        self.gate, self.image, self.out = fusion.maps["text"], fusion.maps["image"], fusion.out
        self.fusion = [fusion]

    def forward(self, image, text):
        return self.fusion[0]({"text": text, "image": image})


BANK = {
    "fusion.gated": (
        {
            "three linear layers": Gated,
            "einsum, other order of layers": GatedByHand,
            "float64": GatedInFloat64,
            "row by row": GatedRowByRow,
        },
        {
            "no sigmoid": (gated(lambda self, g, h: self.out(g * h)), "no sigmoid"),
            "softmax": (gated(lambda self, g, h: self.out(g.softmax(1) * h)), "softmax"),
            "softmax over the batch": (gated(lambda self, g, h: self.out(g.softmax(0) * h)), "rows mix"),
            "product only": (gated(lambda self, g, h: g.sigmoid() * h), "no output layer"),
            "sum": (gated(lambda self, g, h: self.out(g.sigmoid() + h)), "sum"),
            "tanh": (gated(lambda self, g, h: self.out(g.tanh() * h)), "tanh"),
            "other way round": (gated(lambda self, g, h: self.out((1 - g.sigmoid()) * h)), "half closed"),
            "around the gate": (gated(lambda self, g, h: self.out(h + g.sigmoid() * h)), "residual"),
            "gate at the end": (gated(lambda self, g, h: g.sigmoid() * self.out(h)), "gate after"),
            "the image gates the text": (gated(lambda self, g, h: self.out(h.sigmoid() * g)), "gate on text"),
            "dimensions swapped": (GatedSwapped, "parameters"),
            "detached gate": (gated(lambda self, g, h: self.out(g.sigmoid().detach() * h)), "gradient", "gradients"),
            "the library's": (GatedBorrowed, "borrowed"),
            "an instance": (Gated(4, 3, 2), "raises"),
        },
    ),
}
