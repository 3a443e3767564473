# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3 (ipykernel), language: python, name: python3}
# ---

# %% [markdown]
# # Quantification
#
# **What you will learn.** What the diameter of a particle is when it is not round; why the border of the image makes
# particles look smaller; how many of them have to be counted; what D10, D50 and D90 say, and when a powder is a
# nanomaterial by European rules; how thick wires are; and how to measure your own images with a model of this run.
#
# **What you need.** The predictions of chapter 05. Masks of the test micrographs are used to judge, as there.
#
# **How long it takes.** Under a minute on two cores.

# %% tags=["parameters"]
material = "twin"
profile = "demo"
seed = 0
runs = "runs"
overrides = {}

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue
from skimage.draw import disk

from drgan_lib import quantify, segmentation
from drgan_lib.config import ELONGATED
from drgan_lib.runs.chapter import open_chapter
from drgan_lib.samples import open_samples

chapter = open_chapter("quantification", material, profile, overrides, seed=seed, runs=runs)
exp, folder, segmented = chapter.exp, chapter.folder, chapter.earlier("segmentation")
truth = open_samples(segmented / "truth")
models = [
    (arm, number, segmentation.load_predictions(segmented, arm, number))
    for arm, number in segmentation.list_models(segmented)
]
arm, _, predictions = models[0]
counting = quantify.Counting(min_area_px=exp.material.min_area_px)
glue("arm", arm, display=False)
glue("min_area_px", counting.min_area_px, display=False)
truth.table()

# %% [markdown]
# ## One particle, many diameters
#
# A disc has one diameter. Anything else has as many as there are definitions, and a size without its definition is not
# a size. The table of particles holds three:
#
# - the **{term}`equivalent diameter`**, that of the disc of the same area: what most instruments and papers report
# - the **largest Feret diameter**: the widest opening of a calliper that touches the particle on both sides
# - the **smallest Feret diameter**: the narrowest opening through which the particle slips, the width of a rod
#
# Here are a disc and a rod of nearly the same area:

# %%
labels = np.zeros((80, 160), int)
labels[disk((40, 35), 20.3)] = 1
labels[33:47, 60:153] = 2
shapes = quantify.measure_particles(labels)
columns = ["area_px2", "equivalent_diameter_px", "feret_max_px", "feret_min_px", "aspect_ratio", "circularity"]
shapes[columns].set_axis(["disc", "rod"]).round(2)

# %% [markdown]
# By area they are the same particle; by the smallest Feret diameter the rod is a third of the disc. The equivalent diameter
# averages, the Feret diameters look at the extremes: one wrong pixel at a tip changes the largest, and hardly the area.
#
# All of them are sizes of what is *seen*: the projection, as far as nothing lies on top. A plate that lies flat looks larger
# than one that stands on its edge, and a particle half hidden by another is measured as half a particle.
#
# ## Measure the run
#
# Each test micrograph is measured from its mask, if it has one, and from the prediction of the arm {glue:text}`arm` by each
# rule of chapter 05.
# `plain` takes the connected pixels of class 1, as the paper does; `border_core` also cuts them where the contour has gaps.
# Particles below {glue:text}`min_area_px` px² count in neither.

# %%
wires = exp.material.meshes.shape in ELONGATED
found = quantify.quantify(truth, predictions, folder, counting=counting, thickness=wires)
rule = "border_core" if "border_core" in found else "plain"
unit = found[rule].unit
found[rule].table.head()

# %% [markdown]
# The tables lie beside this run as CSV, for people and spreadsheets, and as Parquet, for programs, each with a JSON file
# that says how every column is defined. They hold all particles; which ones count is decided afterwards.

# %% mystnb={"figure": {"caption": "The particles of a test micrograph, coloured by their equivalent diameter. Pink and crossed ones do not count.", "name": "fig-particles"}, "image": {"alt": "Micrograph with coloured particles, those at the border in pink, small ones crossed"}}
shown = predictions[rule][0]
particles = quantify.measure_particles(shown.instances, shown.pixel_size_nm if unit == "nm" else None)
picture = quantify.draw_particles(shown.image, shown.instances, particles, f"equivalent_diameter_{unit}", counting)
picture.save(folder / "particles.png")
picture

# %% [markdown]
# ## What the border hides
#
# A particle that the border cuts has no known size, so it is left out. But a large particle meets the border more often than
# a small one: what is left is too small on average, the more so the larger particles are in comparison with the image. To
# see it, drop discs of two sizes, as many of each, on a field, and look through a small window:

# %%
rng, tables = np.random.default_rng(seed), {}
for number in range(300):
    field = np.zeros((300, 300), int)
    field[disk(rng.uniform(0, 300, 2), (8, 30)[number % 2], shape=field.shape)] = 1
    tables[f"{number}"] = quantify.measure_particles(field[60:240, 60:240])
seen = quantify.pool(tables)
means = {
    words: quantify.distribution(seen, "equivalent_diameter_px", quantify.Counting(border=border)).metrics["mean"].value
    for words, border in (("whole discs only", "exclude"), ("whole discs, weighted", "weight"))
}
pd.Series(means | {"all discs": (16 + 60) / 2}, name="mean diameter, px").round(1).to_frame()

# %% [markdown]
# The weight is the inverse of the chance that a particle of this height and width, put anywhere in the image, stays off the
# border {cite}`miles1974,lantuejoul1980`; it stands in the column `edge_weight`, and `Counting(border="weight")` uses
# it. Small images of large particles need it. In the rest of this chapter, truth and prediction are both without it.
#
# ## D10, D50, D90
#
# A distribution is more than its mean. **D50**, the median, is the size that half of the particles, by number, stay
# below; **D10** and **D90** bound the middle 80 percent, and the span (D90 - D10) / D50 says how broad they are. By number
# is not by mass: a particle twice as large weighs as much as eight, so a D50 from light scattering or sieving, by volume,
# can be several times this one.

# %% mystnb={"figure": {"caption": "Equivalent diameters of the test micrographs' particles, from the masks where there are any, and from the predictions.", "name": "fig-sizes"}, "image": {"alt": "Histograms and cumulative curves of the diameters, with D10, D50 and D90 marked"}}
words = {"true": "masks", "border_core": "predictions, border_core", "plain": "predictions, plain"}
diameters = {words[source]: measured.distributions["equivalent_diameter"] for source, measured in found.items()}
figure = quantify.plot_distribution(diameters)
figure.savefig(folder / "distribution.png", dpi=110)
figure

# %%
rows = pd.read_csv(folder / "distribution.csv").set_index(["size", "figure", "source"])
of_diameter = rows.loc[f"equivalent_diameter_{unit}"]
of_diameter.loc[["n", "mean", "d10", "d50", "d90", "span"], ["value", "low", "high", "true", "error_percent"]].round(2)

# %%
for name in ("true", "border_core", "plain"):
    row = of_diameter.loc["d50"].reindex([name]).iloc[0]
    glue(f"d50_{name}", "not known" if np.isnan(row["value"]) else f"{row['value']:.4g} {unit}", display=False)
    error = "not known" if np.isnan(row["error_percent"]) else f"{row['error_percent']:+.1f} %"
    glue(f"error_{name}", error, display=False)

# %% [markdown]
# The median diameter is {glue:text}`d50_border_core` by `border_core` (error {glue:text}`error_border_core`) and
# {glue:text}`d50_plain` by `plain` (error {glue:text}`error_plain`); from the masks it is {glue:text}`d50_true`.
#
# Read the table from the top. If `n` is wrong, the rest can be right only by chance: two merged particles make one
# that is 1.4 times as large, and a speck of noise makes one that does not exist. A few of either show first at the ends of
# the distribution, where specks pull D10 down and merged particles push D90 up; many of them move the median as well. A
# contour that is one pixel off on each side changes every diameter by two pixels, which is a tenth of a particle of 20 px.
#
# ## Every model
#
# So far one model spoke, the first of the run. Would another have measured the same? Here are all arms, seeds and
# rules beside the masks; errors are in percent. Where the seeds of an arm differ by more than the interval above, the luck
# of the training matters more than the number of particles.

# %%
by_model = quantify.compare_models(truth, models, folder / "models.csv", counting=counting)
by_model.round(1) if len(by_model) else "no masks, nothing to compare with"

# %% [markdown]
# ## How many particles are enough?
#
# The intervals come from a bootstrap: draw as many particles with replacement as there are, compute D50, and repeat it 2000
# times. They narrow with the square root of the number, so four times as many particles halve them, and the number
# that is needed follows from the one that was counted; ISO 13322-1 {cite}`iso13322` argues in the same way from an assumed
# distribution.

# %%
result = found[rule].distributions["equivalent_diameter"]
needed = {target: [result.needed(name, target) for name in ("d10", "d50", "d90")] for target in (0.1, 0.05, 0.02)}
print(f"{result.n} particles were counted; needed for a half-width of")
pd.DataFrame(needed, index=["D10", "D50", "D90"]).rename(columns="{:.0%} of the size".format)

# %% [markdown]
# Which of the three needs most depends on the distribution: few particles near a percentile make it uncertain, and the ends
# have the fewest as a rule, but a D10 at the smallest area that counts is well known. From few particles there
# is no interval at all: a bootstrap never leaves what was counted, and below 36 particles (6 for D50) the
# smallest or the largest of them may well lie on the wrong side of the true D10 or D90.
#
# And a bootstrap knows only chance: it takes particles as independent draws from the powder. A wrong pixel size, an image
# of one unusual corner of the sample, or a model that misses small particles moves all of them alike, and no number of
# particles helps. Compare the error above with the interval: where the error is the larger, do not count more particles but
# train a better model.
#
# ## A nanomaterial?
#
# The European Commission recommends {cite}`eu2022nano` to call a material a *nanomaterial* if it consists of solid
# particles of which **50 % or more by number** have at least one external dimension from 1 nm to 100 nm (there are
# further clauses for fibres and plates below 1 nm). It counts constituent particles, also those within an
# {term}`agglomerate`, which is why they must be separated first. Of what an image shows, the smallest Feret
# diameter comes closest to the smallest dimension.

# %%
feret = found[rule].distributions["feret_min"]
criterion = feret.nano_criterion if unit == "nm" else "unknown, since no pixel size is known"
glue("criterion", criterion, display=False)
print(f"share up to 100 nm: {feret.metrics.get('nano_fraction', 'not known')}; the criterion is {criterion}")

# %% [markdown]
# For this run the criterion is: {glue:text}`criterion`. *Open* means that 50 % lies within the interval, or that the
# particles left out as too small could tip the balance: count more, or smaller ones. *Unknown* means that the smallest area
# leaves out particles of 100 nm, or that there are no sizes in nm. It is a statement about what was
# segmented on a few images, and no certificate: particles too small for the model would count too, and the smallest area
# of {glue:text}`min_area_px` px² hides them from this share.
#
# ## Wires: local thickness
#
# A network of wires has no particles to speak of: they cross, bend and leave the image, and the equivalent diameter of such a
# thing says nothing. What can be measured at each of its pixels is the *local thickness*: the diameter of the largest
# disc that fits inside and contains the pixel {cite}`hildebrand1997`. It asks for no separation. (The package
# `localthickness` gives up to a pixel more: it takes wires of 9 px for 10.)

# %% mystnb={"figure": {"caption": "Local thickness, over a test micrograph of wires, or (for other materials) of two drawn wires of 8 and 14 px.", "name": "fig-thickness"}, "image": {"alt": "Map of the thickness in colour, and its histogram"}}
if wires and (shown.instances == 0).any():
    map_ = quantify.local_thickness(shown.instances, shown.pixel_size_nm if unit == "nm" else None)
    figure = quantify.plot_thickness(shown.image, map_)
    figure.savefig(folder / "thickness.png", dpi=110)
else:
    drawn = np.zeros((160, 240), bool)
    drawn[40:48], drawn[:, 150:164] = True, True
    figure = quantify.plot_thickness(np.where(drawn, 0.7, 0.2), quantify.local_thickness(drawn))
figure

# %%
pd.read_csv(folder / "thickness.csv") if wires else "this run has no wires"

# %% [markdown]
# Each pixel counts, so thick wires weigh more than thin ones of the same length. Where two wires cross, the disc is larger
# than either: crossings make a faint tail on the right.
#
# ## Your own images
#
# The models of this run are ready for images that they have never seen:
#
# ```bash
# drgan measure my_images/ --model runs/twin/demo --pixel-size-nm 2.1
# ```
#
# It takes an image or a folder of TIFF or PNG files and writes, to `my_images_measured/` or where `--out` says, for each
# image `labels.tif`, the table of `particles`, an `overlay.png`, and for rods and wires the thickness; and for all of
# them together the distribution with D10, D50, D90, their intervals and whether enough particles were counted. In a
# notebook it is `quantify.measure_images("my_images", segmentation.load_model("runs/twin/demo"), "my_images_measured")`.
#
# - **Pixel size**: read from the tags of Zeiss, FEI, OME and ImageJ files and from the text files that JEOL and Hitachi
#   write beside an image; `--pixel-size-nm` overrides it. Without one, all is measured in pixels. A scale bar in the image
#   is read to compare, and never used. If the size differs from that of the training images by more than a factor of 1.5,
#   you are warned: a network knows particles at the size in pixels that it was trained on.
# - **Data bar**: `--sample-rows N` keeps the rows above it. Scale bars and letters inside the image are found and left
#   out. `overlays.tsv` in the results says where; corrected and put beside the images, it decides.
# - **Who counts**: particles off the border, from the smallest area of the run on; `--border weight` and `--min-area-px N`
#   change that.
# - **Large images** are segmented in tiles that overlap, so memory stays below what a laptop has, up to 150 megapixels
#   (one of 100, with a small network and 840,000 specks to measure, took 2.9 GB).
# - **Empty images**: nnU-Net brings every image to the same contrast, and a network that has only seen images with
#   particles may find some in pure noise. Leave images without particles out.
# - What cannot be measured (colour, stacks, damaged files, pixels that are not square) is refused before the network
#   starts. A screenshot in which the three colours are equal is gray, and welcome.
# - Nothing is overwritten, and an interrupted measurement keeps the images that are complete.
#
# **Look at the overlays.** There are no masks of your images, so no number says how good the result is. If another
# microscope, coating or contrast was used, train for it: chapter 02 shows how to suggest a material from your images.
#
# ## Exercises
#
# 1. A rod of 40 nm by 400 nm lies flat. Which of the three diameters is below 100 nm? Does it count as nanoscale?
# 2. You counted 100 particles and D50 is known within 8 %. How many do you need for 2 %?
# 3. All particles have a diameter of 20 px and no border touches them. A tenth of them are merged into pairs. What are D50 and D90?
# 4. Measure the run again with `Counting(border="weight")` and a `folder` of your own. Which number moves most?
#
# ```{dropdown} Solutions
# 1. Equivalent: 2 sqrt(40 * 400 / pi) = 143 nm. Largest Feret: 402 nm. Smallest: 40 nm, so it counts: one dimension
#    is enough.
# 2. Intervals narrow with the square root of the number: 100 * (8 / 2)² = 1600.
# 3. Of 100 particles, 90 are single and 10 form 5 pairs: 95 regions, of which 5 % have 20 sqrt(2) = 28 px. Both D50
#    and D90 are still 20 px. The number is off by 5 %, D95 and more show the rest.
# 4. D90 and the mean, since weights are largest for large particles; how much depends on how large particles are in
#    comparison with the image.
# ```
#
# ## Quiz
#
# *Why not simply count cut particles as they are?* Their sizes are wrong, all of them too small: a systematic error that no
# number of particles averages out. Leaving them out is a bias as well, but one that can be computed and undone.
#
# *D50 is right within 1 %, but twice as many particles were found as there are. Is the measurement good?* No. The extra
# ones may happen to have the same median; look at the overlay, at D10 and at the metrics of chapter 05 that count instances.
#
# ## Takeaways
#
# - Say which diameter you mean: equivalent, largest or smallest Feret.
# - Leave out what the border cuts, and remember (or weigh) what that does to large particles.
# - From enough particles on, a size has an interval, and the interval says how many are enough. It does not know of wrong pixels.
# - The criterion for nanomaterials counts particles by number, which asks for their separation.
# - `drgan measure` does all of this to your own images; the overlay is the evidence.
