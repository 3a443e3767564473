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
# annotation; how to watch such a training; and how to choose the epoch that goes on.
#
# **What you need.** The patches of chapter 01 and the layouts of chapter 02. No GPU is needed; one is used if it is
# there.
#
# **How long it takes.** On two CPU cores about two minutes for `demo` and 20 for `laptop`; the time of each epoch
# stands in the log below.

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

from drgan_lib import gan
from drgan_lib.config import load_experiment
from drgan_lib.data import load_patches
from drgan_lib.scene import load_layouts, make_renderer
from drgan_lib.sources import dataset_folder

exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
patches = load_patches(exp)
layouts = load_layouts(exp)
renderer = make_renderer(exp, stage="gan")
glue("n_real_patches", len(patches.train), display=False)
glue("n_layouts", len(layouts), display=False)
glue("renderer_name", exp.profile.gan.renderer, display=False)
glue("renderer_variant", renderer.variant, display=False)

# %% [markdown]
# ## Two networks and a renderer
#
# A generative adversarial network (GAN) sets two networks against each other. The *discriminator* looks at an image
# and says, patch by patch, whether it is real. The *generator* wants to be taken for real.
#
# In an ordinary GAN the generator paints pixels, and nobody can say which pixel belongs to which particle. Here it may
# only turn the knobs of a physical scene: how rough and how bright the particles are, how bright the stage is, how
# much noise the detector adds. Mitsuba renders the image. Since the renderer is differentiable, the discriminator's
# verdict flows back through the image to the knobs, and from there to the network that sets them. Where the particles
# are is known all along, so the annotations are free of charge (chapter 04).
#
# The generator's network is small: the layout goes in (position and size of every particle), four layers with dropout
# follow, and one number between 0 and 1 per parameter comes out, the position within the parameter's bounds. Dropout
# stays active when images are made. It is the generator's source of variety: the same layout gives other parameters
# with every draw.

# %%
bounds = pd.DataFrame(exp.material.bounds, index=["lower bound", "upper bound"]).T
bounds

# %% [markdown]
# ## Training
#
# Each epoch visits each of the {glue:text}`n_real_patches` real patches once, randomly flipped
# and turned by multiples of 90 degrees. Per patch a layout is drawn from the pool of
# {glue:text}`n_layouts`, an image is rendered, the generator takes a step towards being taken for
# real, and the discriminator takes a step towards telling the two apart. The losses are those of LSGAN: the squared
# distance of the scores to 1 for real and 0 for synthetic.
#
# The renderer of this run is {glue:text}`renderer_name`, with Mitsuba's variant {glue:text}`renderer_variant`. With
# `transport` the layouts are ray traced once, before the first epoch, and every image after that is a weighted sum of
# basis images (chapter 02). The override `{"gan.renderer": "mitsuba"}` traces every image anew and takes Mitsuba's own
# derivatives: the same images up to Monte Carlo noise, some hundred times slower, and the judge in the tests.
#
# After each epoch everything is saved: both networks, both optimisers, and the measurements. Interrupt this cell
# whenever you like and run it again. It goes on from the last complete epoch, with the random numbers that it would have
# drawn had it never stopped. The weights are then the same up to float rounding (of a rendered image, a grey level at
# most), since the renderer's threads sum in no fixed order.

# %%
gan.train(exp, patches, renderer, layouts)
selected = gan.select_epoch(exp)
history = pd.read_csv(exp.stage_dir("gan") / "history.csv")
chosen = history.set_index("epoch").loc[selected["epoch"]]
print(f"selected: epoch {selected['epoch']}, by the rule: {selected['rule']}")
glue("selected_epoch", selected["epoch"], display=False)
glue("distance_name", selected["features"], display=False)
glue("distance_untrained", f"{history['fd'].iloc[0]:.1f}", display=False)
glue("distance_selected", f"{selected['fd']:.1f}", display=False)
glue("kid_selected", f"{selected['kid']:.4f} ± {selected['kid_std']:.4f}", display=False)
glue("spread_selected", f"{selected['spread']:.2f}", display=False)
glue("seconds_per_epoch", f"{history['seconds'].mean():.0f}", display=False)

# %% [markdown]
# Where did the time go? Once rendering is out of the way, the discriminator takes most of it. It runs in bfloat16 where
# the processor or the GPU multiplies matrices in it, and sees the real and the synthetic image in one pass.

# %%
gan.time_spent(exp).style.format({"seconds": "{:.1f}", "share": "{:.0%}"})

# %% [markdown]
# ## How near do the images come?
#
# Losses of a GAN say little: both networks improve at once, and a standstill may be a draw between two good players or
# between two bad ones. So after each epoch as many images are rendered as there are real patches, and both sets are
# described by the features of a network that was trained on everyday photographs.
#
# - The **Frechet distance** fits a normal law to each of the two clouds of features and measures how far apart the laws
#   are. With the features of Inception it is the well-known FID. Where Inception's weights cannot be had, features of
#   EfficientNet-Lite0 are used and the figure is called `fd_efficientnet_lite0`: its values cannot be compared with a
#   FID from a paper.
# - The **kernel distance** compares the clouds without assuming a shape; with Inception's features it is the kernel
#   inception distance (KID). It is unbiased, so it can be
#   trusted with few images, and it comes with a standard error.
#
# This run used {glue:text}`distance_name`. It was
# {glue:text}`distance_untrained` before training and
# {glue:text}`distance_selected` in the selected epoch, with a kernel distance of
# {glue:text}`kid_selected`. One epoch took
# {glue:text}`seconds_per_epoch` seconds on average.

# %% mystnb={"figure": {"name": "fig-gan-curves", "caption": "Losses, distances to the real patches, and parameter spread by epoch. The red line marks the selected epoch; epoch 0 is the untrained generator."}}
Image(gan.plot_curves(exp), alt="Four curves by epoch: losses, Frechet distance, kernel distance and parameter spread")

# %% [markdown]
# ## Choosing the epoch
#
# The epoch of the lowest distance is not always the best one. A generator may learn one setting that is always
# accepted, and then all its images look alike; a segmentation network trained on them would know one look only. So the
# rule is: among the five epochs of lowest distance (of fewer than ten trained epochs, among the better half) take the
# one whose parameters are spread most broadly. The *spread* is the standard deviation of a parameter in units of the one
# that a uniform law over its bounds would have, averaged over the parameters: 0 means one value, 1 means the whole range.
#
# Epoch {glue:text}`selected_epoch` was selected, with a spread of
# {glue:text}`spread_selected`.

# %%
pd.DataFrame(selected["candidates"]).set_index("epoch")

# %% mystnb={"figure": {"name": "fig-gan-samples", "caption": "Real training patches (above) and synthetic images of the selected epoch (below), on the same grey scale."}}
generator = gan.load_generator(exp)
Image(
    gan.plot_samples(exp, patches, generator, renderer, layouts),
    alt="A row of real patches above a row of synthetic images",
)

# %% [markdown]
# ## What was learned?
#
# A painting network hides what it knows in millions of weights. This one can be read: each parameter has a name. The
# figure shows how its distribution moves from epoch to epoch, with its bounds as the limits of the axis. For a `twin`
# the true law is known, and drawn in green.

# %% mystnb={"figure": {"name": "fig-gan-parameters", "caption": "Learned distribution of each parameter by epoch: median, middle half, and 5 to 95 percent. The axes end at the bounds. The red line marks the selected epoch; for a twin, green marks the truth."}}
truth = dataset_folder(exp) / "truth.csv" if exp.material.dataset.twin_of else None
Image(gan.plot_parameters(exp, truth=truth), alt="One panel per parameter: its distribution by epoch")

# %% [markdown]
# For a twin the distance between the learned and the true distribution can be measured: the Wasserstein distance, the
# mean way that the values would have to be moved, in units of the width of the bounds. Not every parameter can be
# recovered: two parameters with like effects on the image can stand in for each other (see the liveness table of
# chapter 02).
#
# The twin's micrographs hold more than the training models: blur, shot noise, uneven scan lines, dirt,
# and, since their view is wider, particles that are seen more from the side.
# What it finds of the parameters it finds in spite of that, and some of that noise has to go into its own
# `noise_sigma`.

# %% mystnb={"figure": {"name": "fig-gan-recovery", "caption": "Mean and standard deviation of each parameter, as positions within its bounds: those of the twin's training micrographs, learned by the selected epoch, and of the untrained network."}}
recovered = gan.recovery(exp, truth) if truth else None
gan.write_figures_json(exp)
unknown = "The true parameters of this material are not known."
Image(gan.plot_recovery(exp, recovered), alt="Dots with bars: three per parameter") if recovered else print(unknown)

# %%
pd.DataFrame(recovered["parameters"]).T.round(4) if recovered else print(unknown)

# %% [markdown]
# ## Exercises
#
# 1. Set `overrides = {"gan.initial_position": 0.6}` (and another `runs` folder) and train again. Do the parameters end
#    where they ended before?
#
# ```{dropdown} Solution
# Parameters that show in the image (brightness of particles and stage, noise) should come back to about the same
# values. Those that barely show stay near where they started: the discriminator has no reason to move them.
# ```
#
# 2. Interrupt the training cell in the middle of an epoch, and run it again. Which epoch is logged first?
#
# ```{dropdown} Solution
# The one that was interrupted: it starts again from its beginning, since checkpoints are written between epochs. Its
# random numbers depend only on seed, epoch and iteration, so it ends as it would have ended, up to float rounding.
# ```
#
# ## Quiz
#
# **Why does the generator not receive the real image as input?**
#
# ```{dropdown} Answer
# There are no pairs. The generator knows where its own particles are, and nobody knows where those of the real image
# are. The discriminator compares looks, not images.
# ```
#
# **A colleague reports a FID of 134, and your run an `fd_efficientnet_lite0` of 30. Is yours better?**
#
# ```{dropdown} Answer
# Nobody can say. The distances live in different feature spaces. Compare only figures of the same name, and of sets of
# the same size.
# ```
#
# ## Takeaways
#
# - The generator turns the knobs of a physical scene; the renderer makes the image, and annotations come for free.
# - Losses do not tell the quality of a GAN's images. Feature distances do, and they need a name and a sample size.
# - The epoch is chosen by a written rule: near the real images, and varied.
