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
# particles, lay them on a support, light them like the secondary electrons of a microscope would, and look at what each
# parameter that the network will learn does to the image.
#
# **What you will learn**
#
# - how particle shapes and layouts are made, and why particles do not overlap unless they are to
# - what the virtual scene of the paper consists of
# - how one call turns parameters into an image that PyTorch can differentiate
# - which parameters the image really depends on
# - why the image is a weighted sum of images that never change, and what that is worth
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
import time

import pandas as pd
import torch
from myst_nb import glue

from drgan_lib import scene
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.scene import at_position, plots

chapter = open_chapter("scene", material, profile, overrides, seed=seed, runs=runs)
exp = chapter.exp
with chapter.executor() as executor:  # none, unless the run was given one
    folder = scene.prepare(exp, chapter.folder, executor=executor)
layouts = scene.load_layouts(folder)
renderer = scene.make_renderer(exp, stage="gan")
print(f"{exp.material.title}: {len(renderer.meshes)} shapes, {len(layouts)} layouts, rendered on {renderer.variant}")

# %% [markdown]
# ## Shapes
#
# The paper's shapes were modelled by hand, 10 to 40 for a material. Here the material names a kind of shape, and the
# library makes as many different ones as asked for. All are watertight, with normals that point outwards, and of unit
# size, so that the scale in a layout *is* the particle's size. These are the settings of this material:

# %%
pd.Series(exp.material.meshes.model_dump(mode="json"), name=exp.material.name).to_frame()

# %% mystnb={"figure": {"caption": "Shapes of this material.", "name": "fig-meshes"}, "image": {"alt": "Gallery of particle shapes"}}
figure = plots.mesh_gallery(renderer.meshes)

# %% mystnb={"figure": {"caption": "The kinds of shapes, four of each by their default settings. Each column has its own scale: all shapes of a set have unit size, of a rod or wire that is its diameter.", "name": "fig-shape-library"}, "image": {"alt": "Seven columns of shapes: cubes, spheres, ellipsoids, rods, wires, octahedra, platelets"}}
figure = plots.shape_library()

# %% [markdown]
# `meshes.shape` of a material names one of seven kinds. Each mesh of a set draws its own values from the ranges, so no two
# are the same, and the seed decides them all. (Only settings without any spread, such as even spheres, give copies.)
#
# | shape | looks like | settings beside `count`, `seed`, `max_triangles` |
# | --- | --- | --- |
# | `cube` | cubes with moved corners, smoothed | `deformation`, `roundness` |
# | `sphere` | spheres with broad, shallow bumps | `deformation` (spread of ln radius) |
# | `ellipsoid` | ellipsoids lying flat | `aspect` (longest over shortest axis) |
# | `rod` | cylinders, or prisms with up to 8 sides | `aspect` (length over diameter), `cap`, `bend_deg`, `sides` |
# | `wire` | long rods, thinner at the ends, bent | `aspect`, `taper`, `bend_deg`, `sides` |
# | `octahedron` | crystals with the facets {111} and {100} | `truncation` (1: cuboctahedron), `deformation` |
# | `platelet` | flat prisms with rounded rims | `aspect` (width over thickness), `sides`, `roundness` |
# | `grain` | irregular convex grains with flat places | `facets` (their number), `aspect`, `roundness`, `bumpy` (the share with an uneven surface) |
#
# Another kind takes one setting. Rods are sized by their diameter, so they need a smaller one than cubes:
#
# ```bash
# drgan run twin -P meshes.shape=rod -P layout.sizes.median=0.3
# ```
#
# A mesh has unit size and the layout's distribution gives the sizes. The size of a rod or wire is its diameter, of any other shape the
# equivalent diameter, that of the sphere of the same volume. How different the shapes of a set are can be measured:
# `scene.meshes.variety(renderer.meshes)` is the smallest difference between any two of them, in equivalent diameters, after
# turning and scaling have been taken out.

# %%
different = scene.meshes.variety(renderer.meshes)
glue("variety", f"{different:.2g}", display=False)
print(f"the two most alike of {len(renderer.meshes)} shapes differ by {different:.2g} equivalent diameters")

# %% [markdown]
# ### Bring your own from Blender
#
# If your particles look like none of these, model them. A handful of different ones is enough, since each is placed in many
# sizes and turns; the paper used 10 to 40.
#
# 1. **Model one particle per object**, at any size and place. A few hundred triangles do: what is beyond `max_triangles` is
#    simplified away. It must be closed, like something that holds water. *Select > All by Trait > Non Manifold* in edit mode
#    marks what is not. Parts that merely overlap are joined on import; the modifier *Remesh* does it in Blender.
# 2. **Apply what only Blender knows.** *Object > Apply > All Transforms* fixes scale and rotation in the mesh. In the export
#    dialogue, tick *Apply Modifiers*, or bevels and subdivisions stay behind.
# 3. **Lay it down** as it would lie on the support, if the layout uses `orientation: lying`. Blender's floor is the x-y plane
#    and z points up. Here y is up, which the export has to turn.
# 4. **Export each object to a file of its own**, *Selection Only*, as PLY, STL, OBJ or glTF. Set *Forward Axis -Z* and
#    *Up Axis Y* (for glTF: tick *+Y Up*); the presets differ between formats and versions. Tick *Triangulated Mesh* where
#    it is offered; otherwise polygons are split when they are read.
# 5. **Import them**, with one line of report for each file:
#
# ```bash
# drgan import ~/particles/*.stl --folder ~/particles/ready
# ```
#
# ```text
# crystal.stl: 320 triangles; 798 duplicate vertices merged
# dumbbell.stl: 592 triangles; 1596 duplicate vertices merged; 2 bodies that overlap or lie in each other joined into 1
# scan.stl: 1300 triangles; 204798 duplicate vertices merged; 81920 triangles simplified to 1300 (volume changed by 0.4 %)
# ```
#
# 6. **Use them** in place of the material's shapes:
#
# ```bash
# drgan run tio2_sem -P meshes.path=~/particles/ready
# ```
#
# STL stores every triangle with corners of its own, so its vertices are always merged; that is no fault of your model. Small
# holes are closed and faces that point inwards are turned. What cannot be guessed is refused with the file's name and the
# remedy: large holes (with the number of open edges), inner walls, two separate particles in a file, the same shape in two
# files (even if turned or scaled), a million triangles.
#
# Size and place in the file do not matter: each mesh is moved to its centroid and scaled to the unit size of
# the material's `meshes.shape`: unit equivalent diameter, for `rod` and `wire` unit thickness in the middle of its length.
# Its proportions stay, and sizes come from the layout's distribution. Edges that turn by more than 45° stay sharp in the image; to see the
# bright rims of rounded edges, give them a bevel of two segments (modifier *Bevel*).
# Raw files work in `meshes.path` too: they are repaired each time they are read, and findings are printed as warnings.
#
# ## Layouts
#
# A layout says which shape lies where, how large and how it is turned: the transformation tensor of the paper, (x, y, z,
# scale) for each particle, plus a rotation. The material says how many particles there are, how large, and where:
#
# - `sizes`: a `normal`, `lognormal` or `bimodal` distribution, in scene units, pixels or nanometres; or `empirical`, your own
#   table of diameters in nm.
# - `placement`: anywhere (`random`); or `agglomerated`: cluster seeds keep a least distance (Poisson-disk sampling
#   {cite}`bridson2007`), and each further particle is put beside one of its cluster, touching or looser by `tightness`;
#   or `packed` in a layer around such seeds, at the places of a triangular lattice, as spheres of one size arrange themselves.
# - `space`: all on the support (`planar`), a share of them, `stacking`, dropped onto others (`stacked`), or floating above it
#   (`volume`).
# - `orientation`: turned at random (`free`), or as they lie on the support (`lying`), a share of them (`alignment`) in one
#   direction, as rods of a bundle do.
# - `sintering`: grains that have grown together, as many metal oxides do. When every particle has its place, those of a
#   cluster are drawn towards its centre by this share. Off, (0, 0), if you do not ask for it.
#
# `tightness`, `stacking`, `alignment` and `sintering` are ranges. Each layout draws its own values, as one patch of a
# micrograph shows loose particles and the next one a heap: with the mean of both in all layouts, a network never sees a heap.

# %%
pd.Series(exp.material.layout.model_dump(mode="json"), name=exp.material.name).to_frame()

# %% [markdown]
# Two convex bodies do not overlap if a plane separates them. Bent wires are split into convex parts, and two particles
# count as disjoint only if a plane was found between every pair of their parts: non-overlap is not a hope but a
# certificate. What is set onto others is lowered until it touches one of them, and keeps its orientation: a wire that
# crosses another lies level on it. (Sintered ones do overlap; of each you see what the others leave.) The smallest gap that a plane proves in the first layouts:

# %%
gaps = [scene.layout.separation(layout, renderer.meshes).min() for layout in layouts[:20] if len(layout) > 1] or [
    float("inf")
]
glue("smallest_gap", f"{min(gaps):.1e}", display=False)
print(f"smallest gap between two particles in 20 layouts: {min(gaps):.1e} scene units")
print(f"particles that found no place: {sum(layout.missing for layout in layouts)}")
print(f"clusters that found no place: {sum(layout.missing_clusters for layout in layouts)}")

# %% [markdown]
# Sizes are drawn before the first particle is placed, and none is exchanged for a smaller one that fits better: the
# histogram follows the distribution asked for. The coverage is the share of the image that particles hide.

# %% mystnb={"figure": {"caption": "Number and size of the placed particles, with the distribution asked for, and the share of the image that they cover.", "name": "fig-layout-statistics"}, "image": {"alt": "Three histograms"}}
covered = [scene.layout.coverage(layout, renderer.meshes, exp.material) for layout in layouts]
figure = plots.layout_statistics(layouts, covered, exp.material)

# %% mystnb={"figure": {"caption": "Layouts as rendered (top) and their instance ids (bottom), one ray through each pixel centre.", "name": "fig-layouts"}, "image": {"alt": "Four rendered layouts and their label images"}}
figure = plots.layout_gallery(renderer, layouts)

# %% [markdown]
# ## Settings from the images: `drgan suggest`
#
# How large are the particles, how many lie in a patch, how tightly do they cluster? So far you had to know. Much of it
# can be read off the unannotated training micrographs:
#
# ```bash
# drgan suggest FOLDER --shape cube
# ```
#
# writes a material's YAML file, with the origin of every number as a comment, and a figure that lays what was found
# over what the settings give. `FOLDER` holds your micrographs, or is the name of a material. `--pixel-size-nm` and
# `--sample-rows` say what the files do not. Only training files are opened, no mask is, and no file is overwritten.
#
# ### Measure
#
# Agglomerates have to be cut into particles, and a length set by hand (look for peaks 6 px apart) decides what comes
# out: such a detector found 14 px particles 30 % too large and 65 px ones 25 to 50 % too small on renders. Here, as in
# chapter 01, every length is a share of the typical diameter, which is itself measured, again and again until it stays.
# Two numbers without a unit remain: how dark a gap between two particles is, and how narrow a neck. For sizes they were
# set on renders, whose masks are exact; chapter 01, which is to find as many particles as possible, cuts at wider necks.
# Of rods and wires the diameter is measured along the midline, and the length follows from the number of ends: two
# crossing wires are one region, but have four ends. Particles that the border cuts have no size, and since that befalls
# large ones more often, the whole large ones count more.
#
# ### Undo the error of measuring
#
# The measurement is still wrong: neighbours stay merged, parts are hidden. But it is wrong on renders in about the same
# way, and there the truth is known. So layouts with the settings found are rendered at the gray levels and the noise of
# the micrographs, and measured by the same code. The settings are corrected, in four rounds, towards those whose
# renders measure like the micrographs (statisticians call it indirect inference). What was really visible on these
# renders, times what little is left between the two measurements, is the estimate. Coverage decides the number of
# particles, as it hardly depends on how well particles are told apart; gaps within clusters decide their tightness.
#
# | twin | median visible | as found | estimate | 90 % interval | distribution, whole | setting |
# | --- | --- | --- | --- | --- | --- | --- |
# | cubes | 14.8 px | +19 % | -5 % | -8 % to -1 % | 14 px | -1 % |
# | cubes, much stacked | 20.6 px | +24 % | +2 % | -2 % to +8 % | 20 px | +7 % |
# | cubes, none stacked | 24.7 px | -1 % | -11 % | -15 % to -8 % | 22 px | -3 % |
# | cubes | 30.8 px | +23 % | -8 % | -15 % to +1 % | 30 px | -6 % |
# | cubes | 47.3 px | +14 % | -7 % | -21 % to +4 % | 45 px | -2 % |
# | spheres | 20.8 px | +14 % | +0 % | -4 % to +4 % | 20 px | +5 % |
# | spheres, none stacked | 38.1 px | -2 % | -15 % | -20 % to -12 % | 35 px | -7 % |
# | rods, thickness | 8.0 px | -16 % | -4 % | -18 % to +1 % | 8 px | -22 % |
# | wires, thickness | 5.0 px | -21 % | +1 % | -0 % to +3 % | 5 px | +2 % |
#
# *Nine twins of ten images of 512 px each, with meshes, roughness, blur and noise that the estimate does not know
# (`python -m benchmarks.suggestions FOLDER` makes the table). The table is of layouts that set onto others whatever found no
# clear place; now those are the share `stacking`, and estimates come out larger.*
#
# The 32 training micrographs of `tio2_sem` give 202 nm [195, 209], as found 224 nm. Their annotations, used for this
# check only, give 164 nm over all regions, 175 nm without specks below 3 px, 182 nm without those below 50 px², which
# is what the estimate counts. With the layouts of the table it was 179 nm [173, 186], with 48 patches in place of 124 170 nm
# [160, 182], and with another seed 191 nm [180, 203]: what is uncertain is rather 10 % than what the intervals say. On three of the nine twins the truth
# lies outside of them; in two of these no particle lies on another, while the renders take it that some do.
#
# ### What it cannot tell
#
# A view from above does not show how much is stacked, so `space`, `stacking` and `height` stay at their defaults, and
# what is set there moves the estimate by some percent. The width of the distribution is the least certain: set from 0.03 to
# 0.41 where 0.1 to 0.35 was true, because merged and hidden particles widen what is seen. The intervals are those of
# chance, from resampled micrographs and renders; they know nothing of particles that look unlike the renders. The
# shape is yours to say, and so is everything in the file: edit it, look at the figure, and run it.
#
# ## The virtual scene
#
# A camera looks straight down on a support. Most of the light comes from the side, from a bright ring around it,
# as if the particles glowed at their edges; a weak light above fills the rest. Only direct light is followed.
# (With `gan.appearance=sem`, see below, there is no light at all.)

# %% mystnb={"figure": {"caption": "The scene from outside (lengths in scene units). The ring light is cut open.", "name": "fig-scene"}, "image": {"alt": "Support, ring light, upper light, camera and particles in 3-D"}}
figure = plots.scene_from_outside(renderer, layouts[0])

# %% [markdown]
# ## From parameters to image, and back
#
# `renderer.image` takes physical parameters and returns a PyTorch tensor. Gradients flow back through the render: here
# is the derivative of the mean brightness with respect to each parameter, beside its finite difference.

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
# So it is with all else that a detector may learn (`gan.detector`).
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
figure = plots.parameter_effects(renderer, layouts[0])

# %% [markdown]
# ## The render is a weighted sum
#
# Training asks for thousands of images of the same layouts, and between two of them only the parameters change. The
# rays do not: camera, particles and lights stay where they are, so each ray hits the same point and sees the same
# light. What changes is only how much of that light the surface throws towards the camera. That is the BSDF's business.
#
# The principled BSDF {cite}`burley2012` is a sum of terms, and in monochrome nearly every parameter is a plain factor of
# one of them. If the light takes one bounce (from a light, off a surface, into the camera), the pixel is an integral of
# the BSDF against that light. An integral of a sum is the sum of the integrals, and factors may be taken outside:
#
# ```text
# I  =  b Σⱼ ℓⱼ(r) Dⱼ  +  s H  +  b′ T
#      +  (1 − t) Σₖ wₖ(ln r) Sₖ  +  t Σₖ wₖ(ln r) Bₖ
# ```
#
# with the particles' base colour *b*, roughness *r*, sheen *s* and specular tint *t* (the last two 0 where they are not
# learned), and the support's base colour *b′*. The images *Dⱼ* (diffuse), *Sₖ* (specular), *Bₖ* (tinted specular), *H*
# (sheen) and *T* (support)
# hold no parameter at all. They are the *basis images* of the layout, the whole of its light transport. They are traced
# once; from then on an image is a product of a vector of weights with a small matrix, and its derivative is as exact as
# the derivative of a product can be.
#
# You need not believe it. The next cell renders with Mitsuba alone, with the same rays each time, and moves each
# parameter from one end of its bounds to the other. If the image is linear in the parameter, the image in the middle is
# the mean of the images at the ends.

# %%
# The claim from scratch: how far is the middle from the mean of the ends?
kind = {"principled": scene.Renderer, "sem": scene.TransportRenderer}[exp.material.appearance]
traced = kind(exp.material, renderer.meshes, spp=renderer.spp)
rows = []
for i, name in enumerate(exp.material.parameters):
    images = []
    for position in (0.0, 0.5, 1.0):
        values = at_position(exp.material, 0.2)
        values[i] = at_position(exp.material, position)[i]
        images.append(traced.image(values, layouts[0], seed=1))
    images = torch.stack(images)
    error = (images[1] - (images[0] + images[2]) / 2).abs().max() / images.max()
    rows.append((name, f"{error:.0e}"))
columns = ["parameter", "largest error, share of the maximum"]
pd.DataFrame(rows, columns=columns).set_index("parameter")

# %% [markdown]
# Rounding errors for every parameter but one.
#
# ### Roughness
#
# Roughness is no factor. It decides the *width* of the highlight, and a wide highlight is no multiple of a narrow one.
# It enters twice, in two ways:
#
# - The diffuse term is Burley's: two factors, each of the first degree in *r*. Their product is a polynomial of second
#   degree, and three images at any three roughnesses determine such a polynomial in every pixel. The weights
#   *ℓⱼ* are Lagrange's polynomials, and nothing is approximated.
# - The specular terms follow no polynomial. They are rendered at several roughnesses, the *knots*, and a cubic spline is
#   laid through them. Its weights *wₖ* are 1 at their own knot and 0 at the others, so at the knots the sum is
#   exact; between them it is close. The spline has a continuous first and second derivative, so the training sees a
#   slope without jumps. It runs in ln *r* because ratios count: from 0.05 to 0.1 the highlight changes about as much as
#   from 0.5 to 1, and evenly spaced logarithms put as many knots into the one interval as into the other.
#
# All knots share their rays. A ray is traced once, and the BSDF of every basis image is evaluated where it hits, so
# thirty images cost little more than one.

# %%
transport = scene.TransportRenderer(traced.material, traced.meshes, spp=traced.spp)
basis = transport.basis(layouts[0])
glue("n_basis_images", len(basis.particles) + 1, display=False)
glue("basis_mib", f"{basis.n_bytes / 2**20:.1f}", display=False)
print("knots:", *transport.terms.knots.round(2))

# %% mystnb={"figure": {"caption": "Basis images of one layout, each with a grey scale of its own: the support, then a row for each term of the BSDF, at some of the roughnesses that it is rendered at.", "name": "fig-basis"}, "image": {"alt": "Grid of images of the same particles: diffuse ones that hardly differ, and specular ones from scattered highlights to broad ones"}}
figure = plots.basis_images(transport, layouts[0])

# %% [markdown]
# This layout has {glue:text}`n_basis_images` basis images, in {glue:text}`basis_mib` MiB. Do they give Mitsuba's image?
# Both renderers get the same samples here (those of the basis are chosen by the layout), so that what differs is the sum
# and not the grain. Parameters are drawn at random from their bounds.

# %%
samples = layouts[0].seed
low, high = torch.tensor(list(transport.material.bounds.values())).T
generator = torch.Generator().manual_seed(seed)
draws = low + torch.rand(5, len(low), generator=generator) * (high - low)
rows = []
for values in draws:
    began = time.perf_counter()
    expected = traced.image(values, layouts[0], seed=samples)
    peak = float(expected.max())  # waits for the rays
    between = time.perf_counter()
    image = transport.image(values, layouts[0])
    ended = time.perf_counter()
    error = float((image - expected).abs().max()) / peak
    rows.append((f"{error:.0e}", 1e3 * (between - began), 1e3 * (ended - between)))
columns = ["largest error, share of the maximum", "traced, ms", "sum, ms"]
pd.DataFrame(rows, columns=columns).round(1)

# %% [markdown]
# ### Particles of their own
#
# A pixel at the rim of a particle holds light of its neighbour as well. A basis image for each particle would keep them apart, at as many times the memory. But a particle
# covers only a small part of the image. So what is stored are *fragments*: the parts of a pixel, one for each particle
# that shares in it. Only the rims are stored twice, and since each fragment knows its particle, it can be weighed with
# that particle's own parameters. The result is as exact as with common ones.

# %% mystnb={"figure": {"caption": "The same basis, summed with common parameters and with one parameter drawn for each particle.", "name": "fig-apart"}, "image": {"alt": "The same layout with particles alike, and with particles of different brightness or shine"}}
figure = plots.particles_apart(transport, layouts[0])

# %% [markdown]
# `transport.image(parameters, layout, each={"base_color": ...})` takes one value for each particle. Shadows are those of
# the common geometry, and light that one particle throws onto another is not followed here anyway.
#
# ### More parameters
#
# The paper fixes the rest of the scene. Some of it is linear too, and becomes learnable as soon as the material's
# `bounds` name it: `metallic`, `clearcoat`, `flatness`, and the radiance of the two lights, `torus_radiance` and
# `top_radiance` (then each light has its own share of the basis). For example:
#
# ```bash
# drgan run tio2_sem -P "bounds.metallic=[0, 1]" \
#     -P "bounds.torus_radiance=[0.5, 2]"
# ```
#
# `brightness_spread` is another one: in micrographs, particles of one kind differ in brightness, for charge, or the tilt
# of their lattice. Each gets a factor of its own, whose logarithm has this standard deviation; the seed of the image
# draws it. `facet_spread` does the same for the two sides of a straight line across two fifths of the particles, and for the
# line: a facet, or a twin in a crystal. A network that never saw one takes such a line for the end of a particle;
# one that saw strong ones takes seams for such lines. With `skin_spread` surfaces are uneven in finer places,
# and with `scene.skin_unlike` those of some particles much more than those of others. `scene.charge`, which is no learned
# parameter, adds light to some particles and takes it from others; those that get more have no more contrast for it, so
# that seams in bright heaps are as faint as in micrographs.
#
# The specular level is not among them. It sets the index of refraction, and how much a surface mirrors then follows from
# Fresnel's formula, in which index and angle cannot be pulled apart: each pixel sees another angle and so another
# curve, and no finite set of images holds them all.
#
# ### Secondary electrons in place of light
#
# A microscope has no lamps. The principled BSDF under a ring light looks like secondary electrons, at best; no setting of it
# gives flat grains with a thin bright rim. With
#
# ```bash
# drgan run tio2_sem -P gan.appearance=sem
# ```
#
# the basis images are other ones, of nothing but the geometry, and each follows from what is known about these electrons
# (Joy, J. Microsc. 147, 51, 1987; `drgan_lib/scene/electrons.py` has the formulas):
#
# | parameter | its image |
# | --- | --- |
# | `flat`, `stage_flat` | 1 on particles, on the support |
# | `tilt`, `sharpness` | 0 face-on, 1 where the beam grazes: electrons are set free nearer to the surface; `sharpness` is the depth that the beam reaches, in escape depths |
# | `edge_fine`, `edge_coarse` | the upper side of a step in depth, of a width of 1 and 4 px: electrons leave through the wall as well. Of these electrons, and those of the tilt, other particles catch their share: rims are dark where particles meet |
# | `sky`, `stage_sky` | the share of the electrons that neither particles nor support catch: dark gaps, and shadows around particles |
# | `detector_x`, `detector_z` | from where the detector draws, right and down in the image: the first moments of that sky |
# | `elevation` | the height above the support, in median particle sizes: what lies low is dim |
# | `thickness` | how much of the particle the beam meets: small ones are dim |
#
# All but `sharpness` are factors, in units of full white, so the sum is as exact as the other one; `sharpness` has knots and
# a spline, as the roughness. Shading goes from full to none as `flat` takes over, and seams between grains from a bright
# line over nothing to a dark one. Rays are traced by Mitsuba, but there is no BSDF that its automatic differentiation could take; so
# `gan.renderer=mitsuba` is refused, and chapter 04 sums as well.
#
# ### Where the sum ends
#
# The sum does not hold for every scene. When geometry is learned, the rays move, and another BSDF has other terms. Such
# scenes are refused with a `TransportError` that names the reason. Set `gan.renderer=mitsuba` for them: the GAN then
# traces rays at every step, slowly, and asks for none of this. Light that goes from particle to particle before it
# reaches the camera would carry the product of two surfaces' colours. Neither renderer follows it: here all light is
# direct.
#
# ## Turn the knobs
#
# The panel below has a slider for each parameter (a logarithmic one where the bounds span more than two decades) and
# one for the detector's noise. A weighted sum takes milliseconds, so the image follows while you drag. A page cannot
# compute: open the notebook with `make lab` and run it to move the sliders. Some of what you will see:

# %% mystnb={"figure": {"caption": "Micrographs at random parameters from the lower half of the bounds, detector noise included. The values stand above each image.", "name": "fig-sliders"}, "image": {"alt": "Six noisy grey images of particles, dark and bright, rough and shiny"}}
figure = plots.micrographs(transport, layouts)

# %% tags=["skip-execution"]
from drgan_lib.scene.panel import panel

panel(transport, layouts)

# %% [markdown]
# ## Exercises
#
# 1. Why are the particles in the middle of a dense cluster darker at their sides than single ones?
# 2. Predict what happens to the image if the ring light's radiance is doubled and the base colours are halved.
# 3. Build the image of `draws[0]` from `basis` and `transport.terms.weights` in three lines of PyTorch (as long as no
#    light is learned).
# 4. In the panel, find two different settings that look alike. What does that mean for the training?
#
# ````{dropdown} Solutions
# 1. Their neighbours hide part of the ring light: direct light that is blocked is lost, as are electrons in a crevice.
# 2. The diffuse and sheen parts stay the same, since both are proportional to base colour times radiance or to sheen
#    times radiance; the white specular part, which does not carry the base colour, doubles.
# 3. Fragments of one pixel are added up by `index_add`:
#
#    ```python
#    values = dict(zip(exp.material.parameters, draws[0]))
#    support = (1 - values["stage_base_color"]) * basis.stage[0, 0] + values["stage_base_color"] * basis.stage[0, 1]
#    image = support.index_add(0, basis.pixel, transport.terms.weights(values) @ basis.particles).view(256, 256)
#    ```
# 4. At high roughness the highlight is as broad as the diffuse shading, so more of the one makes up for less of
#    the other. The images then fit, but the single parameters are not to be trusted: appearance is learned, not
#    material constants.
# ````
#
# ## Quiz
#
# *Is the id image filtered like the grey image?* No: ids are names, not numbers; averaging 3 and 5 would give particle 4.
#
# *Would a second light break the weighted sum?* No: light adds up. A mirror that sends light from one particle to another
# would.
#
# ## Takeaways
#
# - Shapes, sizes and places are chosen by the expert; appearance is left to the network.
# - Particles are certified not to overlap, unless they are sintered, and every pixel has exactly one owner.
# - The image is differentiable in every learned parameter, and the liveness table says which ones matter.
# - With direct light and fixed geometry the image is linear in every parameter but roughness: trace the basis images
#   once, then weigh them.
