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
# # Inference and masks
#
# The generator has learned what the particles look like. Now it pays back: it renders as many micrographs as we ask for,
# and since the scene is ours, the annotation of every pixel comes with them, exact and free.
#
# **What you will learn**
#
# - how an annotated set is made that anyone can make again, image by image
# - what an instance map is, and how a 3-class label is derived from it
# - why some images are thrown away, and how many
# - in which formats the set is handed on
#
# **What you need**: chapters 01 to 03 with the same material and profile.
#
# **How long it takes**: about a third of a second per image for `demo` on two cores, nearly half a second for `laptop`.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import json

import pandas as pd
from myst_nb import glue
from pycocotools.coco import COCO

from drgan_lib import synthesis
from drgan_lib.config import load_experiment
from drgan_lib.data import load_patches
from drgan_lib.files import atomic_path
from drgan_lib.gan import load_generator
from drgan_lib.scene import make_renderer
from drgan_lib.synthesis import figures

exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
generator = load_generator(exp, exp.stage_dir("gan"))
renderer = make_renderer(exp, stage="synthesis")
patches = load_patches(exp)

# %% [markdown]
# ## One call
#
# For each image a fresh layout is drawn, the generator chooses the parameters, and the renderer makes the instance ids
# and then the image: once per image, so that Mitsuba traces it and nothing is precomputed. Image number *k* gets its own seed from the seed of the experiment and from *k* alone. So
# it does not matter whether the set is made in one go or in ten: an interrupted run goes on where it stopped, and ends
# with the same images up to float rounding (a grey level at most), since the renderer's threads sum in no fixed order.

# %%
folder = synthesis.synthesize(exp, generator, renderer, renderer.meshes, patches.background)
made = synthesis.load_synthetic(exp)
acceptance = json.loads((folder / "acceptance.json").read_text())
glue("n_synthetic", acceptance["accepted"], display=False)
glue("n_attempts", acceptance["attempts"], display=False)
glue("acceptance_percent", f"{acceptance['rate']:.0%}", display=False)

# %% mystnb={"figure": {"caption": "Synthetic micrographs (top), the particle behind each pixel (middle) and the three classes that the segmentation network learns (bottom).", "name": "fig-annotated"}, "image": {"alt": "Grid of synthetic images with their annotations"}}
figure = figures.gallery(made)
with atomic_path(folder / "gallery.png") as temporary:
    figure.savefig(temporary, dpi=100)
# %% [markdown]
# Do they look like what the generator was to imitate? Put them under the patches that it learned from, on the same gray
# scale, and write down what still differs before a segmentation network has to cope with it: brightness of edges,
# background, noise, sizes, how particles lie together.

# %% mystnb={"figure": {"caption": "Training patches (top) over synthetic images (bottom), on one gray scale.", "name": "fig-contact-sheet"}, "image": {"alt": "Two rows of eight images, the real ones above the synthetic ones"}}
origin = "twin" if exp.material.dataset.twin_of else "real"
figure = figures.contact_sheet(patches.train, made.images, origin=origin)
with atomic_path(folder / "contact_sheet.png") as temporary:
    figure.savefig(temporary, dpi=100)
# %% [markdown]
# ## From instances to three classes
#
# A segmentation network labels pixels, it does not count particles. Two particles that touch would melt into one if there
# were only the classes *particle* and *background*. The third class, *contour*, keeps them apart:
#
# 1. background pixels close to a particle become contour; how close is the material's `contour_px`, in steps from pixel
#    to pixel;
# 2. where two particles touch, the larger one gives up a line of one pixel.
#
# Nothing else changes. So the label can be turned back into particles by looking for connected pieces of the class
# *particle*, and no piece ever belongs to two particles. The library's tests check this on thousands of random maps.

# %% mystnb={"figure": {"caption": "Close-up of a crowded place. Yellow is the contour: around particles it lies on the background, between touching ones on the larger of the two.", "name": "fig-close-up"}, "image": {"alt": "Close-up of image, instance ids and classes"}}
figure = figures.close_up(made)
# %% [markdown]
# ## Which images are kept
#
# A generator sometimes draws parameters at which the particles vanish in the background. An image like that teaches the
# network to see what cannot be seen. As in the paper, an image is kept only if its particles are on average at least 15 %
# brighter than its background (`synthesis.min_contrast`). A layout that has no particle in view is turned down before it
# is rendered. If too many are turned down, the run stops with a message instead of trying forever.

# %%
pd.Series(acceptance["rejected"] | {"accepted": acceptance["accepted"]}, name="attempts").to_frame()

# %% [markdown]
# In this run {glue:text}`n_synthetic` images were kept of {glue:text}`n_attempts` attempts, {glue:text}`acceptance_percent`.

# %% mystnb={"figure": {"caption": "What the set holds: visible particles and contrast per image (dashed: the limit), and the parameters that the generator chose.", "name": "fig-set-statistics"}, "image": {"alt": "Histograms of particle number, contrast and parameters"}}
figure = figures.statistics(made, exp)
# %% [markdown]
# ## Handing it on
#
# | file | what |
# | --- | --- |
# | `images/`, `instances/`, `labels/` | one PNG per image: 8-bit image, 16-bit instance ids, 3-class label |
# | `parameters.csv` | one row per image: seed, particles in view, contrast, and every parameter |
# | `coco.json` | the instances in the COCO format, with exact masks of the visible parts |
# | `nnUNet_raw/` | the dataset as nnU-Net wants it, for your own training |
#
# The nnU-Net dataset also gets the real background patches that chapter 01 found, with an empty label. They show the
# network dirt, scratches and drift that no render contains, so that it learns to leave them alone.

# %%
dataset = json.loads((synthesis.nnunet_raw(exp) / "dataset.json").read_text())
coco = COCO(folder / "coco.json")
glue("n_background", len(patches.background), display=False)
glue("n_instances", len(coco.getAnnIds()), display=False)
print(dataset["description"])

# %% [markdown]
# With {glue:text}`n_background` background patches added, the network will learn from {glue:text}`n_instances` annotated
# particles, and nobody has drawn a single outline.
#
# ## Exercises
#
# 1. Why are the instance ids taken from one ray through the centre of each pixel, and not from the many rays that make
#    the image?
# 2. Make the contour four pixels wide with `overrides = {"contour_px": 4}` and another `runs` folder (a copy of this one
#    does: the generator need not be trained again, and this run's results stay as they are). What happens to the gaps
#    between neighbouring particles, and what does that mean for particles that lie close but do not touch?
# 3. Suppose the particles of a material are darker than what they lie on. What would the contrast rule do?
#
# ```{dropdown} Solutions
# 1. An average of ids is not an id: a pixel that sees particle 3 and particle 5 would become particle 4. With one ray
#    every pixel has exactly one owner.
# 2. Narrow gaps fill with contour. The particles stay apart, because contour is no particle, but the background between
#    them is no longer visible in the label.
# 3. It would turn down every image: the rule asks for brighter particles. `synthesize` would stop and report an
#    acceptance of 0 %.
# ```
#
# ## Quiz
#
# *Image 17 of a set of 100 is deleted by accident, and the stage is run again. What happens?* Only image 17 is made
# again, with the same seed, and the new image is equal to the lost one up to float rounding (a grey level at most).
#
# *Does a particle that is hidden behind others count?* No. The instance map holds what is visible, and so does the label.
#
# ## Takeaways
#
# - The annotation is not estimated, it is read from the scene.
# - The contour class makes particles separable again after a network has labelled pixels.
# - Each image can be made again from the generator, the seed and its number.
