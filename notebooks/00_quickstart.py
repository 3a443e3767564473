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
# The whole idea on one page: render nanoparticles from a few numbers, and get an image *and* its exact annotation.
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
from myst_nb import glue
from skimage.color import label2rgb

from drgan_lib.classes import three_class
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.scene.simulate import Renderer, sample_layout

chapter = open_chapter("quickstart", material, profile, overrides, seed=seed, runs=runs)
exp = chapter.exp
print(f"{exp.material.title}, profile {exp.profile.name}; to be learned: {', '.join(exp.material.parameters)}")

# %% [markdown]
# ## Place, render, annotate
#
# A *layout* says where the particles lie. The *renderer* makes an image from it and a handful of *parameters*. Because
# we built the scene ourselves, we know the particle behind every pixel.

# %%
position = 0.2  # of every parameter, from its lower bound (0) to its upper bound (1)
parameters = {name: low + position * (high - low) for name, (low, high) in exp.material.bounds.items()}
layout = sample_layout(exp, seed=seed + 5)
renderer = Renderer(exp)
image, instances = renderer.sample(layout, parameters, seed=seed)
clean, _ = renderer.sample(layout, parameters | {"noise_sigma": 0.0}, seed=seed)
visible = len(np.unique(instances[instances > 0]))
print(f"{len(layout)} particles placed, {visible} visible")

# %% mystnb={"figure": {"caption": "From left to right: the render, the render with the noise of the detector, the instances, and the three classes (background, particle, contour) that nnU-Net learns.", "name": "fig-quickstart"}, "image": {"alt": "Rendered particles and their annotation"}}
figure, axes = plt.subplots(1, 4, figsize=(13, 3.4))
panels = (
    ("render", clean),
    ("with noise", image),
    ("instances", label2rgb(instances, bg_label=0)),
    ("classes", three_class(instances, exp.material.contour_px) / 2),
)
for axis, (title, picture) in zip(axes, panels, strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title)
    axis.set_axis_off()
figure.tight_layout()

# %% [markdown]
# ## Which numbers?
#
# We chose these parameters by hand. In the rest of the book a network finds them, from micrographs that nobody has
# annotated:
#
# | chapter | question |
# | --- | --- |
# | 01 Data preparation | Which parts of the micrographs show particles? |
# | 02 Scene design | Which shapes, where, under which light? |
# | 03 GAN training | Which parameters make renders look like the micrographs? |
# | 04 Inference and masks | How do we render an annotated training set? |
# | 05 Segmentation evaluation | How well does a network segment real micrographs if it has only seen renders? |
# | 06 Quantification | How large are the particles, and how sure are we? |
#
# To run all of them from a terminal: `drgan run twin --profile demo`.
#
# ## Exercise
#
# Set `position` to other values between 0 and 1. Where do the particles turn white? Write down your guess before you
# open the next cell, which counts the white pixels.

# %% tags=["hide-cell"]
white = {}
for place in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
    brighter = {name: low + place * (high - low) for name, (low, high) in exp.material.bounds.items()}
    picture, _ = renderer.sample(layout, brighter | {"noise_sigma": 0.0}, seed=seed)
    white[place] = float((picture[instances > 0] == 1).mean())
    print(f"position {place}: {white[place]:.0%} of the particles' pixels are white")
mostly_white = [f"{place}" for place, share in white.items() if share > 0.5]
glue("quick_white", ", ".join(mostly_white) or "none of them", display=False)

# %% [markdown]
# ```{dropdown} Solution
# A pixel is white where the particle sends more light into the camera than the detector can record: the image is cut
# off at 1. The base colour counts most. In this run, more than half of the particles' pixels are white at these
# positions: {glue:text}`quick_white`.
# ```
#
# ## Takeaways
#
# - An image and its exact annotation come from the same scene.
# - A few numbers decide how particles look. This book is about learning them.
