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
# The generator has learned what the particles look like. Now we put it to work: it renders as many micrographs as we ask
# for, and because we built the scene ourselves, we know which particle every pixel shows. The annotation is exact and
# costs nothing.
#
# **What you will learn**
#
# - how to make an annotated set that can be made again, image by image
# - what an instance map is, and how a 3-class label is derived from it
# - why some images are thrown away, and how many
# - how to export the set for other programs
#
# **What you need**: chapters 01 to 03 with the same material and profile.
#
# **How long it takes**: on two cores, about a third of a second per image for `demo` and nearly half a second for
# `laptop`.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import pandas as pd
from myst_nb import glue

from drgan_lib.data import load_patches
from drgan_lib.files import atomic_path, read_json
from drgan_lib.gan import load_generator
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.samples import write_coco, write_png
from drgan_lib.scene import choose_ground, make_renderer
from drgan_lib.synthesis import plots, synthesize, write_summary

chapter = open_chapter("synthesis", material, profile, overrides, seed=seed, runs=runs)
exp, folder = chapter.exp, chapter.folder
generator = load_generator(exp, chapter.earlier("gan"))
train, background = load_patches(chapter.earlier("data"))
renderer = make_renderer(exp, stage="synthesis", ground=choose_ground(exp.profile.gan, train, background))

# %% [markdown]
# ## One call
#
# For each image a new layout is drawn, the generator chooses the parameters, and the renderer makes the instance ids and
# then the image. Each layout is rendered only once, so it is traced directly and nothing is kept.
#
# The random numbers of image *k* depend only on the seed of the experiment and on *k*. It therefore makes no difference
# whether the set is made in one go or in ten: an interrupted run carries on where it stopped, and ends with the same
# images. They are kept in the store under the name of all that they depend on, so if you ask for 1,000 after 60, only 940
# are rendered. For the same reason it makes no difference who renders them: with `drgan run --executor dask`, every core
# of the computer makes images of its own, and with the address of a cluster every core there.

# %%
with chapter.executor() as executor:
    samples = synthesize(exp, generator, renderer, chapter.store, folder=folder, executor=executor)
write_summary(samples, folder, exp)
acceptance = read_json(folder / "acceptance.json")
glue("n_synthetic", acceptance["accepted"], display=False)
glue("n_attempts", acceptance["attempts"], display=False)
glue("acceptance_percent", f"{acceptance['rate']:.0%}", display=False)

# %% [markdown]
# What comes back is a `SampleSet`. It behaves like a list, but reads an image from disk only when you ask for it. Each
# sample holds an image, its instance map, and what it was made with:

# %%
first = samples[0]
print(first.name, first.image.shape, first.n_particles, "particles")
pd.Series(first.parameters).to_frame("value")

# %% mystnb={"figure": {"caption": "Synthetic micrographs (top), the particle behind each pixel (middle), and the three classes that the segmentation network learns (bottom).", "name": "fig-annotated"}, "image": {"alt": "Grid of synthetic images with their annotations"}}
figure = plots.gallery(samples, contour_px=exp.material.contour_px)
with atomic_path(folder / "gallery.png") as temporary:
    figure.savefig(temporary, dpi=100)
# %% [markdown]
# Do they look like what the generator was meant to imitate? Below they are shown under the patches that it learned from,
# on the same gray scale. Write down what still differs before a segmentation network has to cope with it: the brightness
# of edges, the background, the noise, the sizes, the way particles lie together.

# %% mystnb={"figure": {"caption": "Training patches (top) and synthetic images (bottom), on one gray scale.", "name": "fig-contact-sheet"}, "image": {"alt": "Two rows of images, the training patches above the synthetic ones"}}
origin = "twin" if exp.material.dataset.twin_of else "real"
figure = plots.contact_sheet(train, samples, origin=origin)
with atomic_path(folder / "contact_sheet.png") as temporary:
    figure.savefig(temporary, dpi=100)
# %% [markdown]
# ## From instances to three classes
#
# A segmentation network labels pixels; it does not count particles. With only the classes *particle* and *background*, two
# particles that touch would merge into one. A third class, *contour*, keeps them apart:
#
# 1. background pixels close to a particle become contour; how close is set by the material's `contour_px`, counted in
#    steps from pixel to pixel;
# 2. where two particles touch, the larger one gives up a line one pixel wide.
#
# Nothing else changes. To get the particles back from the label, look for connected regions of the class *particle*: none
# of them ever belongs to two particles. The library's tests check this on thousands of random maps. Labels are not stored,
# since `drgan_lib.classes.three_class` computes them from the instances whenever they are needed.

# %% mystnb={"figure": {"caption": "A crowded spot, close up. Yellow is the contour: around particles it lies on the background, between touching particles on the larger of the two. Gray levels are stretched.", "name": "fig-close-up"}, "image": {"alt": "Close-up of image, instance ids and classes"}}
figure = plots.close_up(samples[:50], contour_px=exp.material.contour_px)
# %% [markdown]
# ## Which images are kept
#
# Sometimes the generator chooses parameters that make the particles vanish into the background. Such an image would teach
# the network to see what cannot be seen. As in the paper, an image is kept only if its particles are, on average, at least
# 15 % brighter than its background (`synthesis.min_contrast`). A layout with no particle in view is rejected before it is
# rendered. If too many attempts are rejected, the run stops with a message instead of trying forever.

# %%
pd.Series(acceptance["rejected"] | {"accepted": acceptance["accepted"]}, name="attempts").to_frame()

# %% [markdown]
# In this run {glue:text}`n_synthetic` images were kept out of {glue:text}`n_attempts` attempts,
# {glue:text}`acceptance_percent`.

# %% mystnb={"figure": {"caption": "What the set holds: visible particles and contrast per image (dashed: the limit), and the parameters that the generator chose.", "name": "fig-set-statistics"}, "image": {"alt": "Histograms of particle number, contrast and parameters"}}
figure = plots.statistics(samples, exp)
# %% [markdown]
# ## For other programs
#
# Chapter 05 reads the set as it is. For other programs there are two exports: PNG files of the images (8 bit) and of the
# instance ids (16 bit), and a COCO file with the exact mask of the visible part of each particle. Here the first four
# images are exported; leave out `[:4]` to get them all.

# %%
export = write_png(samples[:4], folder / "export")
write_coco(samples[:4], export / "coco.json", description=exp.material.title)
sorted(str(path.relative_to(export)) for path in export.rglob("*.*"))

# %% [markdown]
# Beside them in the folder of this chapter:
#
# | file | what |
# | --- | --- |
# | `samples/` | link to the whole set in the store: images and instance maps in Zarr, tables in Parquet |
# | `parameters.csv` | one row per image: seed, particles in view, contrast, number of attempts, and every learned parameter |
# | `coco.json` | the instances of the whole set |
# | `acceptance.json` | how many attempts were accepted, and why the others were not |

# %%
glue("n_instances", int(samples.table()["n_particles"].sum()), display=False)

# %% [markdown]
# The network of chapter 05 will learn from {glue:text}`n_instances` annotated particles, and nobody has drawn a single
# outline.
#
# ## Exercises
#
# 1. Why are the instance ids taken from one ray through the centre of each pixel, and not from the many rays that make
#    the image?
# 2. Make the contour four pixels wide: `plots.close_up(samples[:50], contour_px=4)`. What happens to the gaps between
#    neighbouring particles, and what does that mean for particles that lie close together but do not touch?
# 3. Suppose the particles of a material are darker than what they lie on. What would the contrast rule do?
#
# ```{dropdown} Solutions
# 1. An average of ids is not an id: a pixel that sees particle 3 and particle 5 would become particle 4. With one ray,
#    every pixel has exactly one owner.
# 2. Narrow gaps fill with contour. The particles stay apart, because contour is not particle, but the background between
#    them can no longer be seen in the label.
# 3. It would reject every image, since it asks for brighter particles. `synthesize` would stop and report an acceptance
#    of 0 %.
# ```
#
# ## Quiz
#
# *The part of the set with images 64 to 127 is deleted by accident, and the chapter is run again. What happens?* Only these
# images are rendered again, from the same seeds, and they are equal to the lost ones to within one gray level.
#
# *Does a particle that is hidden behind others count?* No. The instance map holds what is visible, and so does the label.
#
# ## Takeaways
#
# - The annotation is not estimated; it is read from the scene.
# - The contour class makes it possible to separate particles again after a network has labelled the pixels.
# - Each image can be made again from the generator, the seed and its number.
