# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
# ---

# %% [markdown]
# # Learning the appearance
#
# **What you will learn.** How a network learns the parameters of a renderer from images alone, without a single
# annotation; how to watch such a training; and how to choose the epoch to keep.
#
# **What you need.** The patches of chapter 01 and the layouts of chapter 02. No GPU is needed; one is used if there is
# one.
#
# **How long it takes.** About two minutes for `demo` and 13 for `laptop` on two CPU cores. The log below gives the time
# of each epoch.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
import pandas as pd
import torch
from myst_nb import glue

from drgan_lib import data, gan
from drgan_lib.data.crowd import DEFINITIONS as CROWD
from drgan_lib.gan.likeness import DEFINITIONS as LIKENESS
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.scene import choose_ground, load_layouts, make_renderer
from drgan_lib.sources import dataset_folder

chapter = open_chapter("gan", material, profile, overrides, seed=seed, runs=runs)
exp, folder = chapter.exp, chapter.folder
patches, background = data.load_patches(chapter.earlier("data"))
layouts = load_layouts(chapter.earlier("scene"))
renderer = make_renderer(exp, stage="gan", ground=choose_ground(exp.profile.gan, patches, background))
glue("n_real_patches", len(patches), display=False)
glue("n_layouts", len(layouts), display=False)
glue("renderer_name", exp.profile.gan.renderer, display=False)
glue("renderer_variant", renderer.variant, display=False)

# %% [markdown]
# ## Two networks and a renderer
#
# A generative adversarial network (GAN) sets two networks against each other. The *discriminator* looks at an image
# and says, patch by patch, whether it is real. The *generator* tries to make images that pass for real.
#
# In an ordinary GAN the generator paints pixels, and nobody can say which pixel belongs to which particle. Here it may
# only turn the knobs of a physical scene: how rough and how bright the particles are, how bright the support is, how
# much noise the detector adds. Mitsuba renders the image. Because the renderer is differentiable, the discriminator's
# verdict flows back through the image to the knobs, and from there to the network that sets them. We know where the
# particles are at all times, so the annotations come for free (chapter 04).
#
# A discriminator has to learn its trade, image by image, and it does not reward a generator whose images differ from
# each other as real ones do. With `gan.objective=moments`, as in `laptop`, none is trained. A batch of real and a batch of
# synthetic images are described by the mean and the deviation of each channel of a network that knows photographs, and
# the loss is how far the two clouds of descriptions lie apart (their maximum mean discrepancy). It takes a tenth of the
# steps, and finds its way among more knobs.
#
# The generator's network is small. The layout goes in (the position and size of every particle), four layers with
# dropout follow, and one number between 0 and 1 comes out for each parameter: its position within its bounds. Dropout
# stays on when images are made. It is the generator's source of variety: the same layout gets different parameters with
# every draw.

# %%
bounds = pd.DataFrame(exp.material.bounds, index=["lower bound", "upper bound"]).T
bounds

# %% [markdown]
# ## Training
#
# Each epoch visits each of the {glue:text}`n_real_patches` real patches once (again, where there are more layouts), randomly flipped and rotated by multiples
# of 90 degrees (of 180, if uneven scan lines are learned). For each patch, a layout is drawn from the pool of {glue:text}`n_layouts` and an image is rendered. Then
# the generator takes a step towards passing for real, and the discriminator takes a step towards telling the two apart.
# The losses are those of LSGAN: the squared distance of the scores to 1 for real and to 0 for synthetic.
#
# The renderer of this run is {glue:text}`renderer_name`, with Mitsuba's variant {glue:text}`renderer_variant`. With
# `transport`, each layout is ray traced once, before the first epoch, and every image after that is a weighted sum of
# basis images (chapter 02). The override `{"gan.renderer": "mitsuba"}` traces every image anew and takes Mitsuba's own
# derivatives. This gives the same images up to Monte Carlo noise, some hundred times more slowly; the tests use it as
# the reference.
#
# Every step follows one batch of images, so weights wander around what suits all of them. With `gan.averaging`, the running
# mean of the generator's weights is what is measured and kept {cite}`yazici2019`: each step moves it by the rest to 1, such as
# .05. The paper has no such mean (0).
#
# Everything is saved after each epoch: both networks, both optimisers, and the measurements. Interrupt this cell
# whenever you like and run it again. It continues from the last complete epoch, with the random numbers that it would
# have drawn had it never stopped. If you ask for more epochs, it trains only those that are missing. The weights are the
# same as those of an uninterrupted run.

# %%
others = renderer.ground.apart(patches).images() if renderer.ground else None  # for distances
with chapter.executor() as executor:
    history = gan.train(
        exp, patches.images(), renderer, layouts, folder, reference=others, store=chapter.store, executor=executor
    )
selected = gan.select_epoch(folder, objective=exp.profile.gan.objective)
print(f"selected: epoch {selected['epoch']}, by the rule: {selected['rule']}")
glue("selected_epoch", selected["epoch"], display=False)
glue("distance_name", selected["features"], display=False)
glue("distance_untrained", f"{history['fd'].iloc[0]:.1f}", display=False)
glue("distance_selected", f"{selected['fd']:.1f}", display=False)
glue("kid_selected", f"{selected['kid']:.4f} ± {selected['kid_std']:.4f}", display=False)
glue("spread_selected", f"{selected['spread']:.2f}", display=False)
glue("seconds_per_epoch", f"{history['seconds'].mean():.0f}", display=False)

# %% [markdown]
# Where did the time go? Ray tracing the layouts beforehand is paid once, so its share falls with every further epoch;
# all other rows grow with the number of epochs. The discriminator sees the real and the synthetic image in one pass, and
# works in bfloat16 where the processor or the GPU can multiply matrices in it.

# %%
gan.time_spent(history).style.format({"seconds": "{:.1f}", "share": "{:.0%}"})

# %% [markdown]
# ## How close do the images come?
#
# The losses of a GAN say little. Both networks improve at the same time, and a standstill may be a draw between two good
# players or between two bad ones. So after each epoch, as many images are rendered as there are real patches, and both
# sets are described by the features of a network that was trained on everyday photographs. (With `gan.support` real,
# every second micrograph lends its ground to the renders, and the real patches are those of the others: nothing is
# compared with itself.)
#
# - The **Frechet distance** fits a normal distribution to each of the two clouds of features and measures how far apart
#   they are. With the features of Inception it is the well-known FID. Where Inception's weights cannot be had, features
#   of EfficientNet-Lite0 are used and the metric is called `fd_efficientnet_lite0`. Its values cannot be compared with a
#   FID from a paper.
# - The **kernel distance** compares the clouds without assuming a shape; with Inception's features it is the kernel
#   inception distance (KID). It is unbiased, so it can be trusted with few images, and it comes with a standard error.
#
# This run used {glue:text}`distance_name`. It was {glue:text}`distance_untrained` before training and
# {glue:text}`distance_selected` in the selected epoch, where the kernel distance was {glue:text}`kid_selected`. An epoch
# took {glue:text}`seconds_per_epoch` seconds on average.

# %% mystnb={"figure": {"name": "fig-gan-curves", "caption": "Losses, distances to the real patches, and parameter spread by epoch. The red line marks the selected epoch; epoch 0 is the untrained generator."}, "image": {"alt": "Four curves by epoch: losses, Frechet distance, kernel distance and parameter spread"}}
gan.plot_curves(folder).savefig(folder / "curves.png", dpi=120)

# %% [markdown]
# ## Choosing the epoch
#
# The epoch with the lowest distance is not always the best one. The generator of a GAN may find one setting that always
# passes, and then all its images look alike; a segmentation network trained on them would know only that one look. So
# the rule is: among the five epochs with the lowest distance (of fewer than ten trained epochs, among the better half),
# take the one whose parameters are spread most broadly. The *spread* is the standard deviation of a parameter divided by
# that of a uniform distribution over its bounds, averaged over the parameters: 0 means a single value, 1 means the whole
# range. Moments compare sets, and images that are too much alike are as far from real ones as those that differ too
# much: with `gan.objective=moments`, the epoch with the lowest distance is taken.
#
# Epoch {glue:text}`selected_epoch` was selected, with a spread of {glue:text}`spread_selected`.

# %%
pd.DataFrame(selected["candidates"]).set_index("epoch")

# %% mystnb={"figure": {"name": "fig-gan-samples", "caption": "Real training patches (above) and synthetic images of the selected epoch (below), on the same grey scale."}, "image": {"alt": "A row of real patches above a row of synthetic images"}}
generator = gan.load_generator(exp, folder)
real = patches[:: -(-len(patches) // 8)].images()
chosen = [layouts[k % len(layouts)] for k in range(len(real))]
synthetic, parameters = generator.sample(renderer, chosen, seeds=range(len(real)))
gan.plot_rows({"real": real, "synthetic": synthetic[:, 0].detach().cpu()}).savefig(folder / "samples.png", dpi=120)

# %% [markdown]
# ## What no objective saw
#
# A distance that a network was trained on, or that its features resemble, flatters it. These statistics need no network
# and no annotation. Each is 0 for two equal sets of images; the second column compares two halves of the real patches,
# and is what chance makes of it.

# %%
reference = patches.images() if others is None else others
with torch.no_grad():
    made = [generator.sample(renderer, [layouts[k % len(layouts)]], seeds=[k])[0][0, 0] for k in range(len(reference))]
made = torch.stack(made).numpy()
alike = {"synthetic": gan.likeness(reference, made), "halves": gan.likeness(reference[::2], reference[1::2])}
pd.DataFrame(alike | {"what it is": LIKENESS}).style.format({name: "{:.4f}" for name in alike})

# %% [markdown]
# Particles should also lie as they do in the micrographs: as many, as large, as crowded, and as different in brightness.
# The layout of chapter 02 decides on that, and this is the place to see whether its settings are right. Both sets are
# measured by the detection of chapter 01, whose errors are then the same on both sides.

# %%
lie = {"real": data.crowd(reference), "synthetic": data.crowd(made)}
pd.DataFrame(lie | {"what it is": CROWD}).style.format({name: "{:.2f}" for name in lie})

# %% [markdown]
# ## What was learned?
#
# A network that paints hides what it knows in millions of weights. This one can be read, because each parameter has a
# name. The plot shows how the distribution of each parameter moves from epoch to epoch; the axis ends at its bounds. For
# a `twin` the true distribution is known and drawn in green.

# %% mystnb={"figure": {"name": "fig-gan-parameters", "caption": "Learned distribution of each parameter by epoch: median, middle half, and 5 to 95 percent. The axes end at the bounds. The red line marks the selected epoch; for a twin, green marks the truth."}, "image": {"alt": "One panel per parameter: its distribution by epoch"}}
truth = dataset_folder(exp) / "truth.csv" if exp.material.dataset.twin_of else None
gan.plot_parameters(exp, folder, truth=truth).savefig(folder / "parameters.png", dpi=120)

# %% [markdown]
# For a twin, the distance between the learned and the true distribution can be measured. The Wasserstein distance is how
# far the values would have to be moved on average, here in units of the width of the bounds. Not every parameter can be
# recovered: two parameters with similar effects on the image can stand in for each other (see the liveness table of
# chapter 02).
#
# The twin's micrographs contain more than the paper's training models: blur, shot noise, uneven scan lines, dirt, and,
# since their field of view is wider, particles that are seen more from the side. The training has to find the parameters
# in spite of that, and some of that noise has to go into its own `noise_sigma`. With `gan.detector=poisson_gaussian` it
# has a place of its own: `blur_px`, `shot_noise` and `line_noise` are learned too. Shot noise and the detector's can
# still stand in for each other, so the table also has the noise that they make together in a white pixel.

# %% mystnb={"figure": {"name": "fig-gan-recovery", "caption": "Mean and standard deviation of each parameter, as positions within its bounds: in the twin's training micrographs, learned by the selected epoch, and of the untrained network."}, "image": {"alt": "Dots with bars: three per parameter"}}
recovered = gan.recovery(exp, folder, truth) if truth else None
metrics = gan.write_summary(folder, recovered)
unknown = "The true parameters of this material are not known."
if recovered:
    gan.plot_recovery(exp, recovered).savefig(folder / "recovery.png", dpi=120)
else:
    print(unknown)

# %%
rows = recovered and recovered["parameters"] | {"noise at white": recovered["noise_at_white"]}
pd.DataFrame(rows).T.round(4) if rows else print(unknown)

# %% [markdown]
# ## Exercises
#
# 1. Set `overrides = {"gan.initial_position": 0.6}` (and another `runs` folder) and train again. Do the parameters end
#    up where they did before?
#
# ```{dropdown} Solution
# Parameters that show in the image (brightness of particles and support, noise) should come back to about the same
# values. Those that barely show stay near where they started: the discriminator has no reason to move them.
# ```
#
# 2. Interrupt the training cell in the middle of an epoch, and run it again. Which epoch is logged first?
#
# ```{dropdown} Solution
# The one that was interrupted. It starts again from its beginning, because checkpoints are written between epochs. Its
# random numbers depend only on seed, epoch and iteration, so it ends as it would have ended.
# ```
#
# ## Quiz
#
# **Why does the generator not receive the real image as input?**
#
# ```{dropdown} Answer
# There are no pairs. The generator knows where its own particles are, but nobody knows where those of the real image
# are. The discriminator compares how images look, not the images themselves.
# ```
#
# **A colleague reports a FID of 134, and your run has an `fd_efficientnet_lite0` of 30. Is yours better?**
#
# ```{dropdown} Answer
# Nobody can say. The distances live in different feature spaces. Compare only metrics of the same name, computed on sets
# of the same size.
# ```
#
# ## Takeaways
#
# - The generator turns the knobs of a physical scene; the renderer makes the image, and annotations come for free.
# - Losses do not tell the quality of a GAN's images. Feature distances do, and they need a name and a sample size.
# - The epoch is chosen by a written rule: close to the real images, and varied.
