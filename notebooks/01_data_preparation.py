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
# # Data preparation
#
# The network never sees an annotation. It sees small crops of real micrographs, and it can learn only what they show. In
# this chapter we fetch the micrographs, read them without losing a gray level or the pixel size, set some aside for
# testing, and choose the crops: some with particles, some without.
#
# **What you will learn**
#
# - what a micrograph's file holds besides the picture
# - why test images are set aside before anything else happens
# - how to find particles without annotations, well enough to choose crops by
# - what makes a good set of training and background patches
#
# **What you need**: nothing. The material `twin` renders its own micrographs; `tio2_sem` downloads 40 public ones.
#
# **How long it takes**: half a minute on two cores, plus the download or the rendering.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from myst_nb import glue

from drgan_lib import data
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.samples import SampleSet
from drgan_lib.sources import dataset_folder

chapter = open_chapter("data", material, profile, overrides, seed=seed, runs=runs)
exp, folder = chapter.exp, chapter.folder
settings, source = exp.material.dataset, dataset_folder(exp)
files = data.dataset_files(settings, source)
print(f"{exp.material.title}: {files['split'].value_counts().to_dict()}")
print(f"licence: {settings.licence}" + (f"; cite {settings.citation}" if settings.citation else ""))
files.head()

# %% [markdown]
# ## The split comes first
#
# Some micrographs are for testing: those that the dataset's registry names, the last ones rendered for a `twin`, every
# fifth one in a folder of your own. Nothing is learned from them, neither here nor in the next two chapters. A method that
# has seen its test images, even without their annotations, has an advantage that it will not have on new images.
#
# For now the test files are only opened, to make sure that they are sound: readable, gray, large enough, and with masks
# of the same shape. Otherwise a damaged file would come to light hours later. No pixel and no statistic of them is kept.
#
# ## Reading a micrograph
#
# Microscopes write more than a picture. The pixel size is in tags of the vendor's own, a data bar may be burnt into the
# lowest rows, and the gray levels may be indices into a palette with coloured entries for overlays. `open_micrographs`
# gives gray levels in [0, 1], the rows above the data bar, and the pixel size in nm. It refuses whatever is in doubt:
# colour, transparency, stacks, damaged files. Each image is read when it is asked for; `SampleSet.of` keeps them in
# memory, since this chapter looks at all of them several times.
#
# A patch must show several particles, and a network sees only so far: particles should be 20 to 60 pixels wide. For
# larger or smaller ones, `dataset.working_scale` (this run: {glue:text}`working_scale`) is the number of pixels to work with
# per pixel of the file. Images are made smaller without letting finer detail fold back into them, and pixels get larger by
# as much; all lengths in pixels in this chapter and the next three are those of the working resolution. What is found in
# test micrographs, or in yours, comes back in the pixels of the file.

# %%
stored = data.open_micrographs(settings, source)
micrographs = SampleSet.of(data.rescaled(stored, settings.working_scale))
first = micrographs[0]
glue("pixel_size", first.pixel_size_nm or "unknown", display=False)
glue("working_scale", settings.working_scale, display=False)
print(f"{first.name}: {first.image.shape[0]} x {first.image.shape[1]} px, pixel size {first.pixel_size_nm} nm")

# %% mystnb={"figure": {"caption": "The first micrographs of the training split, as read.", "name": "fig-micrographs"}, "image": {"alt": "Micrographs with bright particles on a dark support"}}
shown = micrographs[:4]
figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 3.2), layout="constrained", squeeze=False)
for ax, micrograph in zip(axes[0], shown, strict=True):
    ax.imshow(micrograph.image, cmap="gray", vmin=0, vmax=1)
    ax.set_title(micrograph.name, size=9)
    ax.axis("off")

# %% [markdown]
# Where most of an image is background, its histogram has one high peak, and the particles form the long tail to its
# right. Levels near 1 are saturated: there the detector could not tell bright from brighter.

# %% mystnb={"figure": {"caption": "Gray levels of all training micrographs; the vertical axis is logarithmic.", "name": "fig-gray-levels"}, "image": {"alt": "Histogram with a peak of dark background and a tail of bright particles"}}
levels = np.concatenate([micrograph.image[::2, ::2].ravel() for micrograph in micrographs])
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.hist(levels, bins=128, range=(0, 1), color="0.3", log=True)
ax.set_xlabel("gray level")
ax.set_ylabel("pixels")
glue("saturated", f"{(levels > 0.99).mean():.2%}", display=False)

# %% [markdown]
# ## Choosing patches without annotations
#
# Particles are found in four classical steps: smooth the image, subtract the slowly varying background, apply a
# threshold, and cut agglomerates at their necks and dark gaps. The threshold is Otsu's for all micrographs together, but
# never below the noise, and closer to an image's own where contrasts differ much. The result is no good segmentation
# (rods come out in pieces), but it counts well enough to choose by:
#
# - a **training patch** holds some whole particles, at least `patches.min_particles` (three by default), that its border
#   does not cut. The micrographs take turns; each gives the window that shows most particles not shown yet. Windows
#   that repeat a chosen one are left out.
# - a **background patch** holds no particle, nor anything that might be one. These patches join the rendered images in
#   the training set, so that the segmentation network learns what real dirt and scratches look like.
#
# Neither may touch text that is burnt into the picture: a scale bar is not part of the sample, and a generator cannot
# draw one. A reader of text finds it. The stage writes the rectangles that it found to `overlays.tsv` (path, top, left,
# bottom, right). Where it erred, correct this table and put it beside the images: it decides for those that it names.

# %%
selection = data.prepare(exp, source, folder)
counts = selection.counts
glue("n_train", counts["train"], display=False)
glue("n_background", counts["background"], display=False)
glue("n_particles", counts["particles_found"], display=False)
pd.Series(counts, name="count").rename(lambda key: key.replace("_", " ")).to_frame()

# %% [markdown]
# Out of {glue:text}`n_particles` particles found, {glue:text}`n_train` training patches and {glue:text}`n_background`
# background patches were chosen. If these are fewer than the settings ask for, the micrographs have no more to give.

# %% mystnb={"figure": {"caption": "What was found (yellow outlines) and chosen: training patches in green, background patches in blue. Red, if there is any: burnt-in text, which no patch touches.", "name": "fig-selection"}, "image": {"alt": "All training micrographs with boxes around the chosen patches"}}
figure = data.plot_selection(micrographs, selection)
figure.savefig(folder / "selection.png")
figure

# %% mystnb={"figure": {"caption": "Training patches with their counts of whole particles (green), and background patches, three times brighter than they are (blue).", "name": "fig-patches"}, "image": {"alt": "Contact sheet of the chosen patches"}}
figure = data.plot_patches(selection)
figure.savefig(folder / "patches.png")
figure

# %% [markdown]
# Look at the sheet before you go on: ten seconds here can save an hour of training. Is there a patch without
# particles among the green ones? A particle among the blue ones? A data bar?
#
# The table says where each patch came from and why it was taken.

# %%
selection.table.groupby("kind")[["whole_particles", "overlap"]].describe().T.round(2)

# %%
selection.table.head()

# %% [markdown]
# ## A first look at sizes
#
# The areas found give equivalent diameters: the diameter of the circle of the same area. Hidden parts of particles are
# missing, and touching particles may be merged. So take this as a plausibility check of the sizes that the next chapter
# puts into its layouts, not as a measurement.

# %% mystnb={"figure": {"caption": "Equivalent diameters of the particles found in the training micrographs.", "name": "fig-found-sizes"}, "image": {"alt": "Histogram of diameters with one peak"}}
pixel_size_nm = selection.train[0].pixel_size_nm
scale, unit = (pixel_size_nm, "nm") if pixel_size_nm else (1, "px")
diameters = scale * pd.read_csv(folder / "particles.csv")["diameter_px"]
glue("median_diameter", f"{np.median(diameters):.0f} {unit}", display=False)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.hist(diameters, bins=40, color="0.3")
ax.axvline(np.median(diameters), color="C1", label=f"median {np.median(diameters):.0f} {unit}")
ax.set_xlabel(f"equivalent diameter, {unit}")
ax.set_ylabel("particles")
legend = figure.legend(loc="outside upper right", frameon=False)

# %% [markdown]
# ## Exercises
#
# 1. Use your own images: put them into a folder and give it as `dataset.path`. Which of your images give no
#    training patch, and why?
# 2. Ask for at least ten whole particles (`patches.min_particles`). What happens to the number of patches, and what
#    would the network no longer see?
#
# ```{dropdown} Solutions
# 1. Those with too few whole particles in every window, and those whose particles are darker than their
#    surroundings: the search takes what is bright for a particle. The plot shows what was found in each image.
# 2. Fewer windows qualify, and they lie in dense regions. Single particles on an empty support, which show the outline
#    and the edge brightness best, would become rare.
# ```
#
# ## Quiz
#
# *Why must a training patch not show the same region as another one?* The discriminator would meet that region more
# often, and could learn it by heart instead of learning what particles look like.
#
# *May annotations of the training micrographs be used here?* They exist for `tio2_sem`, but a method that claims to
# need none must not touch them, and the library reads none. To be honest about the search for particles: when it was
# written, how dark a gap and how narrow a neck it takes to cut an agglomerate were chosen so that more of the particles
# were found that are annotated on training micrographs of `tio2_sem`. This has a say in which crops the GAN sees, and
# in the sizes above.
#
# ## Takeaways
#
# - The split is made first, by file, and nothing is learned from the test images.
# - Pixel size and gray levels come from the file; whatever is in doubt is refused with a reason.
# - {glue:text}`n_train` training and {glue:text}`n_background` background patches were chosen without annotations, and
#   the plot shows every choice. The median diameter found is {glue:text}`median_diameter`.
