# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
# ---

# %% [markdown]
# # Segmentation and evaluation
#
# **What you will learn.** How a segmentation network is trained on images that nobody annotated, what it makes of
# micrographs that it has never seen, and how to read the figures that say how good it is.
#
# **What you need.** The annotated set of chapter 04 and the test micrographs of chapter 01. Masks of the test
# micrographs are used here and nowhere else: to judge. (Chapter 01 only saw to it that they fit their images.)
#
# **How long it takes.** Nearly all of it is training: the number of iterations stands in the log below. The full
# training of nnU-Net (`paper`) needs a GPU.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import pandas as pd
from IPython.display import Image
from myst_nb import glue

from drgan_lib import segmentation
from drgan_lib.config import load_experiment
from drgan_lib.sources import dataset_folder

exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
folder = dataset_folder(exp)
settings = exp.profile.segmentation
glue("segmentation_trainer", settings.trainer, display=False)
glue("min_area_px", exp.material.min_area_px, display=False)

# %% [markdown]
# ## The network
#
# nnU-Net looks at the training set, and from its sizes and intensities it sets up normalisation, augmentation and a
# U-Net. Two ways of training it are offered:
#
# - `default`: nnU-Net's own plan and trainer, 1000 epochs of 250 iterations. This is what the paper used.
# - `compact`: the same method with a narrower and shallower U-Net and a fixed number of iterations, for computers
#   without a GPU. Augmentation, losses and foreground sampling stay nnU-Net's own.
#
# This run uses the {glue:text}`segmentation_trainer` trainer. nnU-Net works in a process of its own and writes its
# full log to `segmentation/nnunet.log`; here is the short one. A training that was interrupted goes on from its last
# checkpoint.

# %%
predictions = segmentation.segment(exp, folder)

# %% [markdown]
# ## From classes to particles
#
# The network gives each pixel one of three classes. Pixels of class 1 that touch with an edge form one particle; the
# contour class keeps neighbours apart. This is the rule of the paper. Its weak spot: where the contour has a gap of one
# pixel, two particles become one.
#
# ## The figures
#
# Some figures compare pixels, others compare particles:
#
# - **DSC** counts pixels: twice the common pixels, divided by the pixels of truth and prediction together.
# - **AP50** counts particles. A predicted particle is found if it covers more than half of the union with a true one;
#   the figure is the number of found ones, divided by found, wrong and missed together. **COCO AP50** asks the same in
#   the way of the COCO benchmark: it ranks the predictions and averages the precision over all levels of recall.
# - **PQ**, the panoptic quality, multiplies how well the found particles fit (**SQ**) with how many are found (**RQ**).
# - `pq_semantic` is the figure that the paper prints as PQ. It follows from the DSC alone and knows no particles.
#
# Particles under {glue:text}`min_area_px` pixels are left out on both sides wherever particles are counted: the hand
# drawn masks hold many specks of a few pixels.

# %%
figures = segmentation.evaluate(exp, folder)
pd.set_option("display.max_colwidth", None)
pd.DataFrame(figures, index=["value", "std", "n_images", "min_area_px", "definition"]).T

# %%
for name in ("dsc", "ap50", "pq"):
    glue(f"test_{name}", f"{figures[name]['value']:.3f}" if figures else "not scored", display=False)

# %% [markdown]
# On the test micrographs the DSC is {glue:text}`test_dsc`, the AP50 {glue:text}`test_ap50` and the PQ of the particles
# {glue:text}`test_pq`. If the first is high and the others are low, the network knows where the particles are, but not
# where one ends and the next begins.

# %% mystnb={"figure": {"caption": "Test micrographs (at most the central 512 x 512 pixels): image, truth, and prediction with found particles in green, wrong ones in red and missed ones in blue.", "name": "fig-overlays"}, "image": {"alt": "Gallery of test micrographs with outlines of true and predicted particles"}}
Image(exp.stage_dir("segmentation") / "overlays.png")

# %% [markdown]
# ## Image by image

# %%
table = exp.stage_dir("segmentation") / "scores.csv"
pd.read_csv(table) if figures else "no masks, no scores"

# %% [markdown]
# ## Exercises
#
# 1. Two touching particles are predicted as one, and every pixel is right. What are DSC, AP50 and PQ of this image?
# 2. The DSC of an image is 0.9. What is its `pq_semantic`?
# 3. Set the smallest area to 1 with `overrides = {"min_area_px": 1}` and another `runs` folder (a copy of this one does,
#    so that nothing is trained again and this run's results stay as they are). Which figures change, and why do the
#    others not?
#
# ```{dropdown} Solutions
# 1. The DSC is 1. If both particles are of one size, each covers exactly half of the union, which is not more than
#    half: AP50 and PQ are 0.
# 2. 0.9 / (2 - 0.9) = 0.818, the common pixels divided by the union.
# 3. Those that count particles: specks now count as true particles, and the network misses most of them. DSC and
#    `pq_semantic` compare pixels of all sizes in any case.
# ```
#
# ## Quiz
#
# *Which data did the network never see during training?* The test micrographs and their masks. It learned from
# synthetic images and from background patches of the training micrographs.
#
# *Why does AP50 fall when the contour breaks, while the DSC hardly moves?* A gap of one pixel is one wrong pixel, but it
# merges two particles: both are lost, and the merged one is wrong.
#
# ## Takeaways
#
# - A network can be trained without a single drawn outline.
# - A figure without its definition says little: state what is matched, at which overlap, and the smallest area.
# - Pixels can be right while particles are wrong; look at both kinds of figures, and at the pictures.
