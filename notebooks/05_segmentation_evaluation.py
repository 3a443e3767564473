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
# micrographs are used here and in chapter 06, to judge, and nowhere else. (Chapter 01 only saw to it that they fit their images.)
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
# ## The models to compare
#
# A figure alone says little; it takes others beside it. An *arm* is one way to get a segmentation:
#
# - `synthetic`: nnU-Net trained on the annotated set of chapter 04 alone, which is the method of this book. A rendered
#   stage is flat, and a network that saw no other takes the pits and streaks of a real support for rims of particles. So
#   random textures are laid over the images (`drgan_lib.segmentation.texture`), and one bare support joins every three
# - `synthetic+background` adds real patches in which chapter 01 found no particles, as the paper does
# - `real`: nnU-Net trained on the training micrographs with their masks, cut into patches. Masks of micrographs are drawn
#   by people (those of a twin come with its rendering). It is what the synthetic images are to replace, and the mark
#   that they are measured by
# - `real+synthetic`: both sets together
# - `otsu`: a threshold by Otsu's method and a watershed of the distance to the background. It is what a microscopist
#   would try first, and needs no training at all
#
# All networks get the same number of iterations and are trained by the same code. `drgan run ... --arms
# synthetic:3,real:3,otsu` chooses the arms and how many seeds each has. The seed changes the network's first weights,
# the order of its images and their augmentation; the synthetic images stay the same. (nnU-Net's own trainer, `default`,
# takes no seed: there, several seeds are repetitions.)

# %%
arms = exp.profile.segmentation.arms
first = next(iter(arms))
glue("arms", ", ".join(f"{arm} ({n} seed{'s' if n > 1 else ''})" for arm, n in arms.items()), display=False)
glue("first_arm", first, display=False)
glue("seam_px", exp.profile.segmentation.seam_px, display=False)

# %% [markdown]
# This run has {glue:text}`arms`. The figures of the run are those of the first one, {glue:text}`first_arm`.
#
# ## The network
#
# nnU-Net looks at the training set, and from its sizes and intensities it sets up normalisation, augmentation and a
# U-Net. Two ways of training it are offered:
#
# - `default`: nnU-Net's own plan and trainer, 1000 epochs of 250 iterations. This is what the paper used.
# - `compact`: the same method with a narrower and shallower U-Net, smaller patches, a fixed number of iterations, and no
#   mirrored copies in prediction, for computers without a GPU. Augmentation, losses, deep supervision and foreground
#   sampling stay nnU-Net's own.
#
# This run uses the {glue:text}`segmentation_trainer` trainer. nnU-Net works in a process of its own and writes its
# full log to `nnunet.log` in the folder of each model, `segmentation/arms/ARM/seedN`; here is the short one. A training
# that was interrupted goes on from its last checkpoint. The curves below show how each training went. The pseudo-Dice is
# taken on a few patches of the training set (with folds, of the part left out), and only tells that the network learns; how
# good it is, the test micrographs say.

# %%
stage = segmentation.segment(exp, folder)

# %% mystnb={"figure": {"caption": "Training loss and pseudo-Dice of nnU-Net by epoch, on its own training images.", "name": "fig-nnunet-training"}, "image": {"alt": "Curves of the training loss and of the pseudo-Dice of each model by epoch"}}
curves = segmentation.training_curves(exp)
Image(curves) if curves else "nothing was trained"

# %% [markdown]
# ## From classes to particles
#
# The network gives each pixel one of three classes. With `segmentation.seam_px` it learns a little more: particle and
# contour near a place where two particles meet are classes of their own. The line between two particles is one pixel wide
# and of the same class as the outer contour, which is easy to find; a network that misses all such lines loses little of
# its Dice loss. A band with a class of its own it cannot leave out. For the three classes, it counts with the class that it
# came from. (This run: {glue:text}`seam_px` pixels; 0 are the paper's three classes.)
#
# There are two ways from classes to particles, and both are reported
# (`otsu` has only the first):
#
# - `plain`, the rule of the paper: pixels of class 1 that touch with an edge form one particle; the contour class keeps
#   neighbours apart. Its weak spot: where the contour has a gap of one pixel, two particles become one.
# - `border_core`: cores, deep inside a particle and far from every contour and seam, are found first; then each pixel of class 1
#   goes to the core that it belongs to, by a watershed. A gap in a contour no longer matters, as long as the neck there is
#   narrower than the particles. How deep a core must lie, and how narrow a neck, is tuned for each model on annotated
#   images of its own kind that were set aside from its training set: synthetic ones for a network trained on synthetic
#   images. No test image has a say in it. Where too few images can be set aside, the defaults hold.

# %%
tuned = {f"{arm}, seed {k}": place / "border_core.csv" for arm, k, place in segmentation.model_folders(exp)}
tuned = {name: pd.read_csv(path).query("chosen") for name, path in tuned.items() if path.is_file()}
pd.concat(tuned) if tuned else "nothing was tuned"

# %% [markdown]
# ## The figures
#
# Some figures compare pixels, others compare particles:
#
# - **DSC** counts pixels: twice the common pixels, divided by the pixels of truth and prediction together.
# - **AP50** counts particles. A predicted particle is found if what it shares with a true one is more than half of
#   the union of both; the figure is the number of found ones, divided by found, wrong and missed together. **COCO AP50**
#   asks the same in the way of the COCO benchmark: it ranks the predictions and averages the precision over all levels of
#   recall.
# - **PQ**, the panoptic quality, multiplies how well the found particles fit (**SQ**) with how many are found (**RQ**).
# - `pq_semantic` is the figure that the paper prints as PQ. It follows from the DSC alone and knows no particles.
#
# Particles under {glue:text}`min_area_px` pixels are left out on both sides wherever particles are counted: masks hold
# specks of a few pixels, drawn by hand or left where one particle hides another. Particles that touch the border count like all others, on both sides.

# %%
figures = segmentation.evaluate(exp, folder)
pd.set_option("display.max_colwidth", None)
shown = pd.DataFrame(figures, index=["value", "std", "low", "high", "n_images", "n_seeds", "definition"]).T
shown.drop(columns="definition").map(lambda value: f"{value:.3g}" if isinstance(value, float) else value)

# %%
shown[["definition"]]

# %%
for name in ("dsc", "ap50", "pq", "border_core_ap50", "border_core_pq"):
    glue(f"test_{name}", f"{figures[name]['value']:.3f}" if name in figures else "not scored", display=False)

# %% [markdown]
# On the test micrographs the DSC is {glue:text}`test_dsc`. With plain components the AP50 is {glue:text}`test_ap50` and the
# PQ of the particles {glue:text}`test_pq`; with border-core instances they are {glue:text}`test_border_core_ap50` and
# {glue:text}`test_border_core_pq`. If the first is high and the others are low, the network knows where the particles
# are, but not where one ends and the next begins.
#
# ## The arms side by side
#
# The layout is that of Table 1 in the paper, with what it published for this material, if it did. Values are means over
# the test micrographs and seeds; ± is the standard deviation over the seeds, where there is more than one: how much the
# luck of the training matters.

# %%
segmentation.comparison(exp) if figures else "no masks, no scores"

# %% [markdown]
# Those are means over micrographs, each of which weighs the same. Counted over all micrographs together, where each particle
# weighs the same, and by the rules of COCO:

# %%
segmentation.figures_of_sets(exp) if figures else "no masks, no scores"

# %% [markdown]
# How much the choice of these few micrographs matters is another question. The bars in the figure hold 95 % of 2,000
# bootstrap samples of the micrographs; `table.csv` in the stage's folder has them for all figures. With eight micrographs,
# such an interval is somewhat too narrow: it holds the truth in about 89 cases of 100.

# %% mystnb={"figure": {"caption": "Means with 95 % bootstrap intervals over the test micrographs.", "name": "fig-arms"}, "image": {"alt": "Dot plot of DSC, AP50 and PQ of each arm with intervals"}}
Image(stage / "arms.png") if figures else "no masks, no scores"

# %% [markdown]
# Two arms are compared more sharply image by image, since what makes a micrograph hard makes it hard for both: here are the
# differences from `real`, where the run has that arm, with their 95 % intervals. An interval that holds 0 says that these
# micrographs do not decide between the two. One that does not hold it decides between the networks that were trained, and
# between the arms only if the difference is also larger than the ± of the seeds: an arm of one seed may have had luck.

# %%
differences = segmentation.differences(exp) if figures and {"real"} < set(arms) else pd.DataFrame()
wanted = "metric in ('ap50', 'pq') or (metric == 'dsc' and instances == 'plain')"
differences.query(wanted) if len(differences) else "no other arm beside `real`"

# %% [markdown]
# ## Best, median and worst
#
# The test micrographs of the first model, ordered by the PQ of their border-core instances (of `otsu`, the plain ones): the
# best, the one in the middle, and the worst. Means hide what these show.

# %% mystnb={"figure": {"caption": "Best, median and worst test micrograph; on the right, what lies in the white frame, enlarged: found particles in green, wrong ones in red and missed ones in blue.", "name": "fig-gallery"}, "image": {"alt": "Three test micrographs with outlines of true and predicted particles"}}
Image(stage / "gallery.png") if figures else "no masks, no scores"

# %% mystnb={"figure": {"caption": "Test micrographs, eight at most (of large ones the central 512 x 512 pixels): image, truth, and prediction with found particles in green, wrong ones in red and missed ones in blue.", "name": "fig-overlays"}, "image": {"alt": "Gallery of test micrographs with outlines of true and predicted particles"}}
Image(stage / "overlays.png")

# %% [markdown]
# ## Image by image

# %%
segmentation.scores_of_images(exp) if figures else "no masks, no scores"

# %% [markdown]
# ## What these figures can show, and what not
#
# - They are taken on few micrographs, of one or a few laboratories. The intervals tell how far the mean would move with
#   other micrographs *of this kind*; they do not tell how the network does on another microscope. On a twin they tell how
#   it does on rendered images.
# - Masks of micrographs are drawn by people. Where one of them joined two particles that another would have parted, every
#   method loses, and a network trained on their other masks, `real`, has learned their habits. It has an advantage that
#   is not only knowledge of particles.
# - `real` and `synthetic` get the same number of iterations, not the same number of images or of working hours:
#   masks take days to draw, the images of `synthetic` minutes to render.
# - Otsu stands alone for what needs no training. We looked for a pretrained network for particles or cells whose weights come
#   inside a well-kept package, so that everybody gets the same: StarDist, Cellpose, InstanSeg and a dozen others load
#   theirs from the internet on first use, and the one particle model that ships in a package, of 2021, asks for
#   libraries long gone.
# - Published figures, where the table has them, come from nnU-Net's own training of 250,000 iterations on a GPU, more
#   than a hundred times those of the profile `laptop`. They stand there for orientation; the comparison that holds is the
#   one between the arms of one run.

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
# 3. Those that count particles: specks, where the masks hold any, now count as true particles, and the network misses
#    most of them. DSC and `pq_semantic` compare pixels of all sizes in any case.
# ```
#
# ## Quiz
#
# *Which data did the network never see during training?* The test micrographs and their masks, whatever the
# arm. `synthetic` has seen no micrograph at all, `background` adds patches of training micrographs without their masks, and
# only arms with `real` in their name have seen masks: those of the training micrographs.
#
# *Why does AP50 fall when the contour breaks, while the DSC hardly moves?* A gap of one pixel is one wrong pixel, but it
# merges two particles: both are lost, and the merged one is wrong.
#
# ## Takeaways
#
# - A network can be trained without a single drawn outline.
# - A figure without its definition says little: state what is matched, at which overlap, and the smallest area.
# - Pixels can be right while particles are wrong; look at both kinds of figures, and at the pictures.
