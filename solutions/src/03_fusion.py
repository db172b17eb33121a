# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Fusion: exercises
#
# **For those who have read** chapter 03.

# %%

from torch import nn

from mmteach.exercises import check

# %% [markdown]
# {{fusion.gated}}


# %%
class Gated(nn.Module):
    def __init__(self, image_dim, text_dim, dim):
        super().__init__()
        # BEGIN SOLUTION
        self.gate = nn.Linear(text_dim, dim)
        self.image = nn.Linear(image_dim, dim)
        self.out = nn.Linear(dim, dim)
        # END SOLUTION

    def forward(self, image, text):
        # BEGIN SOLUTION
        g = self.gate(text).sigmoid()
        return self.out(g * self.image(image))
        # END SOLUTION


# %%
check("fusion.gated", Gated)
