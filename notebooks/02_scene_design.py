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
# # Scene design
#
# A renderer needs what a painter needs: objects, a place to put them, light, and an eye. In this chapter we make the
# particles, lay them on a stage, light them like the secondary electrons of a microscope would, and look at what each
# parameter that the network will learn does to the image.
#
# **What you will learn**
#
# - how particle shapes and layouts are made, and why particles never overlap
# - what the virtual scene of the paper consists of
# - how one call turns parameters into an image that PyTorch can differentiate
# - which parameters the image really depends on
#
# **What you need**: chapter 01 for the micrographs, nothing else.
#
# **How long it takes**: under a minute on two cores.

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

from drgan_lib import scene
from drgan_lib.config import load_experiment
from drgan_lib.scene import figures
from drgan_lib.scene.liveness import at_position

exp = load_experiment(material, profile, overrides, seed=seed, runs=runs)
folder = scene.prepare(exp)
layouts = scene.load_layouts(exp)
renderer = scene.make_renderer(exp, stage="gan")
print(f"{exp.material.title}: {len(renderer.meshes)} shapes, {len(layouts)} layouts, rendered on {renderer.variant}")

# %% [markdown]
# ## Shapes
#
# Each shape starts as a cube. Its eight corners are moved at random and the surface follows, then the cube is blended
# with a sphere and smoothed. All shapes are watertight and have the volume of a sphere of diameter 1, so that the scale
# in a layout *is* the equivalent diameter. `drgan meshes` writes them as PLY files for use in other programs.

# %% mystnb={"figure": {"caption": "Particle shapes: cubes, deformed by their corners and smoothed.", "name": "fig-meshes"}, "image": {"alt": "Gallery of rounded, irregular cubes"}}
figure = figures.mesh_gallery(renderer.meshes)

# %% [markdown]
# ## Layouts
#
# A layout says which shape lies where, how large and how it is turned: the transformation tensor of the paper, (x, y, z,
# scale) for each particle, plus a rotation. Sizes follow a lognormal law. Positions are agglomerated: cluster seeds keep
# a least distance (Poisson-disk sampling), and each further particle is dropped beside, or partly on top of, a particle
# of its cluster until it rests.
#
# Two convex bodies do not overlap if a plane separates them. A placement counts only when such a plane was found, so
# non-overlap is not a hope but a certificate. The smallest gap found between any two particles in the first layouts:

# %%
gaps = [scene.layout.separation(layout, renderer.meshes).min() for layout in layouts[:20]]
glue("smallest_gap", f"{min(gaps):.1e}")
print(f"smallest gap between two particles in 20 layouts: {min(gaps):.1e} scene units")

# %% mystnb={"figure": {"caption": "Number and size of the placed particles, with the law asked for.", "name": "fig-layout-statistics"}, "image": {"alt": "Two histograms"}}
figure = figures.layout_statistics(layouts, exp.material)

# %% mystnb={"figure": {"caption": "Layouts as rendered (top) and their instance ids (bottom), one ray through each pixel centre.", "name": "fig-layouts"}, "image": {"alt": "Four rendered layouts and their label images"}}
figure = figures.layout_gallery(renderer, layouts)

# %% [markdown]
# ## The virtual scene
#
# A camera looks straight down on a stage. Most of the light comes from the side, from a bright ring around the stage,
# as if the particles glowed at their edges; a weak light above fills the rest. Only direct light is followed.

# %% mystnb={"figure": {"caption": "The scene from outside (lengths in scene units). The ring light is cut open.", "name": "fig-scene"}, "image": {"alt": "Stage, ring light, upper light, camera and particles in 3-D"}}
figure = figures.scene_from_outside(renderer, layouts[0])

# %% [markdown]
# ## From parameters to image, and back
#
# `renderer.image` takes physical parameters and returns a PyTorch tensor. Gradients flow back through Mitsuba: here is
# the derivative of the mean brightness with respect to each parameter, beside its finite difference.

# %%
parameters = at_position(exp.material, 0.2).requires_grad_()
renderer.image(parameters, layouts[0], seed=1).mean().backward()

rows = []
for i, name in enumerate(exp.material.parameters):
    step = torch.zeros_like(parameters)
    step[i] = 0.01 * max(float(parameters[i].detach()), 0.05)
    with torch.no_grad():
        ends = [renderer.image(parameters + s * step, layouts[0], seed=1).double().mean() for s in (1, -1)]
    rows.append((name, float(parameters.grad[i]), float((ends[0] - ends[1]) / (2 * step[i]))))
pd.DataFrame(rows, columns=["parameter", "gradient", "finite difference"]).set_index("parameter")

# %% [markdown]
# The noise level has no gradient here because noise is added after the render, by the detector's part of the generator.
#
# ## What each parameter does
#
# A parameter that does not change the image cannot be learned. The liveness table moves each parameter alone from one
# end of its bounds to the other and measures the change of the image (1 is white).

# %%
liveness = pd.read_csv(folder / "liveness.csv")
glue("n_live", int(liveness["alive"].sum()), display=False)
liveness.set_index("parameter")

# %% mystnb={"figure": {"caption": "Each row changes one parameter across its bounds, the others stay.", "name": "fig-effects"}, "image": {"alt": "Grid of rendered images"}}
figure = figures.parameter_effects(renderer, layouts[0])

# %% [markdown]
# ## Exercises
#
# 1. Why are the particles in the middle of a dense cluster darker at their sides than single ones?
# 2. Predict what happens to the image if the ring light's radiance is doubled and the base colours are halved.
#
# ```{dropdown} Solutions
# 1. Their neighbours hide part of the ring light: direct light that is blocked is lost, as are electrons in a crevice.
# 2. The diffuse and sheen parts stay the same, since both are proportional to base colour times radiance or to sheen
#    times radiance; the white specular part, which does not carry the base colour, doubles.
# ```
#
# ## Quiz
#
# *Is the id image filtered like the grey image?* No: ids are names, not numbers; averaging 3 and 5 would give particle 4.
#
# ## Takeaways
#
# - Shapes, sizes and places are chosen by the expert; appearance is left to the network.
# - Particles are certified not to overlap, and every pixel has exactly one owner.
# - The image is differentiable in every learned parameter, and the liveness table says which ones matter.
