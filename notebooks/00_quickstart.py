# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart
#
# The whole idea in one page: render nanoparticles with parameters, get an image *and* its exact annotation.
#
# **What you will learn**: what the renderer does, and where each later chapter takes over.
#
# **What you need**: nothing; no download, no GPU.
#
# **How long it takes**: half a minute on two cores.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from myst_nb import glue
from skimage.color import label2rgb

from drgan_lib.classes import three_class
from drgan_lib.config import load_experiment
from drgan_lib.scene import make_renderer, sample_layout
from drgan_lib.scene.liveness import at_position

exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
print(f"{exp.material.title}, profile {exp.profile.name}: learned are {', '.join(exp.material.parameters)}")

# %% [markdown]
# ## Place, render, annotate
#
# A *layout* places particles, the *renderer* makes an image from it and a handful of numbers, and because the scene is
# known, so is the particle behind every pixel.

# %%
renderer = make_renderer(exp, stage="synthesis")
layout = sample_layout(exp.material, renderer.meshes, seed=seed + 5)
clean = renderer.image(at_position(exp.material, 0.2), layout, seed=seed).clamp(0, 1)
noisy = (clean + 0.03 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)
instances = renderer.instance_ids(layout)
labels = three_class(instances, exp.material.contour_px)
visible = len(np.unique(instances)) - 1
glue("quick_visible", visible, display=False)
print(f"{len(layout)} particles placed, {visible} visible")

# %% mystnb={"figure": {"caption": "From left to right: the render, with detector noise, instance ids, and the three classes (background, particle, contour) that nnU-Net learns.", "name": "fig-quickstart"}, "image": {"alt": "Rendered particles and their annotation"}}
figure, axes = plt.subplots(1, 4, figsize=(13, 3.4))
panels = (
    ("render", clean),
    ("with noise", noisy),
    ("instances", label2rgb(instances, bg_label=0)),
    ("classes", labels),
)
for axis, (title, picture) in zip(axes, panels, strict=True):
    axis.imshow(picture, cmap="gray")
    axis.set_title(title)
    axis.set_axis_off()
figure.tight_layout()

# %% [markdown]
# ## What the numbers should be
#
# These parameters were chosen by hand. The rest of the book lets a network find them, from micrographs that nobody has
# annotated:
#
# | chapter | question |
# | --- | --- |
# | 01 Data preparation | which pieces of the micrographs show particles? |
# | 02 Scene design | which shapes, where, under which light? |
# | 03 GAN training | which parameters make renders look like the micrographs? |
# | 04 Inference and masks | how is an annotated training set rendered? |
# | 05 Segmentation evaluation | how well does a network trained on renders alone segment real micrographs? |
#
# The same steps from the terminal: `drgan run twin --profile demo`.
#
# ## Exercise
#
# Change `at_position(exp.material, 0.2)` to other positions between 0 and 1. At which do the particles turn white?
#
# ```{dropdown} Solution
# For `tio2_sem` from about 0.5 on: base colour 2.5 under this light is brighter than white, and the image is clamped.
# ```
#
# ## Takeaways
#
# - An image and its exact annotation come from the same scene.
# - A few numbers decide how particles look; learning them is what the book is about.
