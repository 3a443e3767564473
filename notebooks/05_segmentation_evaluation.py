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
# micrographs that it has never seen, and how to read the metrics that say how good it is.
#
# **What you need.** The annotated set of chapter 04 and the test micrographs of chapter 01. Masks of the test
# micrographs are used here and in chapter 06, to judge, and nowhere else. (Chapter 01 only checked that they fit their
# images.)
#
# **How long it takes.** Nearly all of it is training: the number of iterations is in the log below. The full training of
# nnU-Net (`paper`) needs a GPU.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
# %matplotlib inline
import pandas as pd
from myst_nb import glue

from drgan_lib import data, segmentation
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.samples import open_samples
from drgan_lib.sources import dataset_folder
from drgan_lib.synthesis import Origin, load_synthetic

chapter = open_chapter("segmentation", material, profile, overrides, seed=seed, runs=runs)
exp, folder, store = chapter.exp, chapter.folder, chapter.store
min_area_px, settings = exp.material.min_area_px, exp.profile.segmentation
glue("segmentation_trainer", settings.trainer, display=False)
glue("min_area_px", min_area_px, display=False)

# %% [markdown]
# What there is to learn from, and the test micrographs with their masks. The masks of training micrographs are opened
# only for arms that learn from them. Networks learn at the working resolution of chapter 01 and see the test micrographs
# so, too; what they find is brought back to the pixels of the file, and is judged against masks that nobody touched.

# %%
dataset, place = exp.material.dataset, dataset_folder(exp)
data.check_split(chapter.earlier("data"), dataset, place)
_, background = data.load_patches(chapter.earlier("data"))
learned = data.open_micrographs(dataset, place, split="train", masks=settings.needs_masks)
learned = data.rescaled(learned, dataset.working_scale)
tests = data.open_micrographs(dataset, place, split="test", masks=True)
origin = Origin(exp, learned, background, load_synthetic(chapter.earlier("synthesis")))
glue("n_tests", len(tests), display=False)
tests.table()

# %% [markdown]
# ## The models to compare
#
# A number alone says little; it takes others beside it. An *arm* is a source of annotated images and a method that
# learns from them:
#
# - `synthetic`: nnU-Net trained on the annotated set of chapter 04 alone, which is the method of this book. A rendered
#   support is flat, and a network that has seen no other takes the pits and streaks of a real one for rims of particles.
#   So, with `synthesis.textures`, random textures are laid over the images, and one bare support joins every three
# - `synthetic+background` adds real patches in which chapter 01 found no particles, as the paper does
# - `synthetic+self`, `synthetic+background+self`: the network of the arm without `self` goes on with the training
#   micrographs, which nobody annotated. It segments them in several views: turned, noisier, enlarged. A particle is kept
#   if half of the views show it, and if its size and solidity (its area over that of its convex hull) are those of
#   particles it was trained on; two taken for one are dented, and enlarged views often part them. What else a view shows
#   is left out of the loss. Half of the further training is on these patches. The share of pixels on which the views
#   agree, in micrographs held back from it, says whether it helped, and when to stop. No mask is used
# - `real`: nnU-Net trained on the training micrographs with their masks, cut into patches. Masks of micrographs are drawn
#   by people (those of a twin come with its rendering). This is what the synthetic images are to replace, and what they
#   are measured against
# - `real+synthetic`: both sets together
# - `otsu`: a threshold by Otsu's method and a watershed of the distance to the background. It is what a microscopist
#   would try first, and it needs no training at all
#
# All networks get the same number of iterations, one with `self` up to three times as many, and are trained by the same
# code. `drgan run ... --arms synthetic:3,real:3,otsu` chooses the arms and how many seeds each has. The seed changes the
# network's first weights, the order of its images and their augmentation; the synthetic images stay the same. (nnU-Net's
# own trainer, `default`, takes no seed: there, several seeds are repetitions.)

# %%
arms = exp.profile.segmentation.arms
first = next(iter(arms))
glue("arms", ", ".join(f"{arm} ({n} seed{'s' if n > 1 else ''})" for arm, n in arms.items()), display=False)
glue("first_arm", first, display=False)
glue("seam_px", exp.profile.segmentation.seam_px, display=False)

# %% [markdown]
# This run has {glue:text}`arms`. The metrics of the run are those of the first one, {glue:text}`first_arm`.
#
# ## The network
#
# nnU-Net looks at the training set, and from its sizes and intensities it sets up normalisation, augmentation and a
# U-Net. Two ways of training it are offered:
#
# - `default`: nnU-Net's own plan and trainer, 1000 epochs of 250 iterations. This is what the paper used.
# - `compact`: the same method with a narrower and shallower U-Net, smaller patches, a fixed number of iterations of AdamW
#   in place of SGD, and no mirrored copies in prediction, for computers without a GPU. In its cross-entropy a pixel near a
#   place where two particles meet (see below) counts five times. Augmentation, Dice loss, deep supervision and foreground
#   sampling stay nnU-Net's own.
#
# This run uses the {glue:text}`segmentation_trainer` trainer. nnU-Net trains in a process of its own and writes its full
# log to `nnunet.log` beside the network; here is the short one. A training that was interrupted goes on from its last
# checkpoint, and so does one that is asked for more iterations. The network then segments the test micrographs in this
# process. The curves below show how each training went. The pseudo-Dice is taken on a few patches of the training set
# (with folds, of the part left out) and only tells that the network learns; how good it is, the test micrographs say.

# %%
with chapter.executor() as executor:
    segmentation.segment(exp, tests, origin, folder, store, executor=executor)

# %% mystnb={"figure": {"caption": "Training loss and pseudo-Dice of nnU-Net by epoch, on its own training images.", "name": "fig-nnunet-training"}, "image": {"alt": "Curves of the training loss and of the pseudo-Dice of each model by epoch"}}
curves = segmentation.plot_training(segmentation.training_curves(folder))
curves.savefig(folder / "training.png", dpi=100)
curves

# %% [markdown]
# ## From classes to particles
#
# The network gives each pixel one of three classes. With `segmentation.seam_px` it learns a little more: particle and
# contour near a place where two particles meet become classes of their own. The line between two particles is one pixel
# wide and of the same class as the outer contour, which is easy to find; a network that misses all such lines loses
# little of its Dice loss. It cannot leave out a band with a class of its own. Afterwards this class counts with the one
# that it came from. (This run: {glue:text}`seam_px` pixels; 0 means the paper's three classes.)
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
models = segmentation.read_models(folder)
tuned = {f"{m.arm}, seed {m.seed}": m.network.folder / "border_core.csv" for m in models}
tuned = {name: pd.read_csv(path).query("chosen") for name, path in tuned.items() if path.is_file()}
pd.concat(tuned) if tuned else "nothing was tuned"

# %% [markdown]
# ## The metrics
#
# Some metrics compare pixels, others compare particles:
#
# - **DSC** counts pixels: twice the common pixels, divided by the pixels of truth and prediction together.
#   `dsc_1px` does not mind an outline that lies one pixel beside the drawn one.
# - **AP50** counts particles. A predicted particle is found if what it shares with a true one is more than half of
#   the union of both; the metric is the number of found ones, divided by found, wrong and missed together. **COCO AP50**
#   asks the same in the way of the COCO benchmark: it ranks the predictions and averages the precision over all levels of
#   recall.
# - **PQ**, the panoptic quality, multiplies how well the found particles fit (**SQ**) with how many are found (**RQ**).
# - `pq_semantic` is what the paper prints as PQ. It follows from the DSC alone and knows no particles.
#
# Particles under {glue:text}`min_area_px` pixels are left out on both sides wherever particles are counted: masks hold
# specks of a few pixels, drawn by hand or left where one particle hides another. Particles that touch the border count like all others, on both sides.
#
# Where a label or a scale bar is burnt into a test micrograph, nobody knows what lies below, and of a particle that it
# cuts nobody knows the rest. As with the void regions of the panoptic quality {cite}`kirillov2019`, both sides lose these
# pixels, the rectangles of text and the true particles that they cut; and a predicted particle of which more than half lies
# there does not count. The rectangles are those of chapter 01, found by the same reader of text; no mask and no prediction
# has a say in them.

# %%
metrics = segmentation.evaluate(exp, folder)
pd.set_option("display.max_colwidth", None)
pd.DataFrame({name: {"metric": str(m), "n": m.n} | dict(m.more) for name, m in metrics.items()}).T

# %%
pd.Series({name: metric.definition for name, metric in metrics.items()}, name="definition").to_frame()

# %%
for name in ("dsc", "ap50", "pq", "border_core_ap50", "border_core_pq"):
    glue(f"test_{name}", f"{metrics[name].value:.3f}" if name in metrics else "not scored", display=False)

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
segmentation.comparison(exp, folder) if metrics else "no masks, no scores"

# %% [markdown]
# Those are means over micrographs, each of which has the same weight. Here are all micrographs counted together, where each
# particle has the same weight, and by the rules of COCO:

# %%
segmentation.metrics_of_sets(folder) if metrics else "no masks, no scores"

# %% [markdown]
# A particle can be lost in several ways, and each has a cure of its own. Every true particle is one of these: `found`;
# `merged`, because one predicted region covers most of it and most of a neighbour; `split` into several; `missed`, where
# the network sees ground; or `imprecise`, one region of another size. Here are the shares by diameter, all micrographs
# together, mean over the seeds:

# %%
segmentation.kinds_of_error(folder).round(3) if metrics else "no masks, no scores"

# %% [markdown]
# How much the choice of these few micrographs matters is another question. The bars in the plot hold 95 % of 2,000
# bootstrap samples of the micrographs; `table.csv` in the stage's folder has them for all metrics. With few micrographs
# (this run has {glue:text}`n_tests`), such an interval is too narrow: with eight it holds the truth in about 89 cases of
# 100, with fewer more seldom.

# %% mystnb={"figure": {"caption": "Means with 95 % bootstrap intervals over the test micrographs.", "name": "fig-arms"}, "image": {"alt": "Dot plot of DSC, AP50 and PQ of each arm with intervals"}}
scores = segmentation.scores_of_images(folder) if metrics else pd.DataFrame()
published = segmentation.published(exp)
dots = segmentation.plot_table(segmentation.summarise(scores), published=published)
dots.savefig(folder / "arms.png", dpi=100)
dots

# %% [markdown]
# Two arms can be told apart more sharply image by image, since what makes a micrograph hard makes it hard for both. Here
# are the differences from `real`, where the run has that arm, with their 95 % intervals. If an interval holds 0, these
# micrographs do not decide between the two. If it does not, they decide between the networks that were trained; between
# the arms they decide only if the difference is also larger than the ± of the seeds, since one seed may have had luck.

# %%
differences = segmentation.differences(folder) if metrics and {"real"} < set(arms) else pd.DataFrame()
wanted = "metric in ('ap50', 'pq') or (metric == 'dsc' and instances == 'plain')"
differences.query(wanted) if len(differences) else "no other arm beside `real`"

# %% [markdown]
# ## Best, median and worst
#
# The test micrographs of the first model, ordered by the PQ of their border-core instances (for `otsu`, the plain ones): the
# best, the one in the middle, and the worst. Means hide what these show.

# %% mystnb={"figure": {"caption": "Best, median and worst test micrograph; on the right, what lies in the white frame, enlarged: found particles in green, wrong ones in red and missed ones in blue.", "name": "fig-gallery"}, "image": {"alt": "Three test micrographs with outlines of true and predicted particles"}}
truth, predictions = open_samples(folder / "truth"), segmentation.load_predictions(folder)
rule = list(predictions)[-1]
if metrics:
    own = scores.query("arm == @first and seed == @seed and instances == @rule")
    extremes = segmentation.gallery(truth, predictions[rule], own, min_area=min_area_px)
    extremes.savefig(folder / "gallery.png", dpi=100)
extremes if metrics else "no masks, no scores"

# %% mystnb={"figure": {"caption": "Test micrographs, eight at most (of large ones the central 512 x 512 pixels): image, truth, and prediction with found particles in green, wrong ones in red and missed ones in blue.", "name": "fig-overlays"}, "image": {"alt": "Gallery of test micrographs with outlines of true and predicted particles"}}
outlined = segmentation.overlays(truth, predictions[rule], min_area=min_area_px)
outlined.savefig(folder / "overlays.png", dpi=100)
outlined

# %% [markdown]
# ## Image by image

# %%
scores if metrics else "no masks, no scores"

# %% [markdown]
# ## What these metrics can show, and what they cannot
#
# - They are taken on few micrographs, of one or a few laboratories. The intervals tell how far the mean would move with
#   other micrographs *of this kind*; they do not tell how the network does on another microscope. On a twin they tell how
#   it does on rendered images.
# - Masks of micrographs are drawn by people. Where one of them joined two particles that another would have parted, every
#   method loses. A network trained on other masks of the same hand, `real`, has learned its habits: an advantage that is
#   not only knowledge of particles.
# - `real` and `synthetic` get the same number of iterations, not the same number of images or of working hours:
#   masks take days to draw, the images of `synthetic` minutes to render.
# - Otsu is the only method here that needs no training. We looked for a pretrained network for particles or cells whose
#   weights come inside a well-kept package, so that everybody gets the same: StarDist, Cellpose, InstanSeg and a dozen
#   others load theirs from the internet on first use, and the one particle model that ships in a package, from 2021,
#   needs libraries that are long gone.
# - Published values, where the table has them, come from nnU-Net's own training of 250,000 iterations on a GPU, more
#   than a hundred times those of the profile `laptop`. They are there for orientation; the comparison that holds is the
#   one between the arms of one run.

# %% [markdown]
# ## Exercises
#
# 1. Two touching particles are predicted as one, and every pixel is right. What are DSC, AP50 and PQ of this image?
# 2. The DSC of an image is 0.9. What is its `pq_semantic`?
# 3. Set the smallest area to 1 with `overrides = {"min_area_px": 1}` and another `runs` folder (a copy of this one does,
#    so that nothing is trained again and this run's results stay as they are). Which metrics change, and why do the
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
# - A metric without its definition says little: state what is matched, at which overlap, and the smallest area.
# - Pixels can be right while particles are wrong; look at both kinds of metrics, and at the pictures.
