"""Precomputed light transport against ray tracing: 256 x 256, 16 spp; what it costs beforehand, in time and memory."""

from __future__ import annotations

from statistics import median

from benchmarks.measure import WARM_UP, busy_process, duration, row
from drgan_lib.config import load_experiment
from drgan_lib.gan.networks import Generator
from drgan_lib.scene import Layout, Renderer, TransportRenderer, make_meshes, sample_layout

SPP = 16
STEPS_PER_REFERENCE = 5  # of transport between two of Mitsuba, which take a hundred times as long
SET_SIZE = 126  # layouts of a whole set
SPEEDUP_TARGET = 100
PRECOMPUTATION_TARGET_S = 0.6
BESIDE_TARGET = 2  # times as long beside a busy process; with a Gaussian film it was 12 to 26 s in place of 2.2
MEMORY_TARGET_GIB = 2


def benchmark(repeats: int = 9, n_layouts: int = 12) -> dict[str, dict]:
    """The generator's speedup over `repeats` steps of the reference; precomputation over `n_layouts` layouts."""
    return {**generator_steps(repeats), **precomputation(n_layouts)}


def generator_steps(repeats: int) -> dict[str, dict]:
    """Forward and backward pass of the generator (regressor, renderer, noise) with 40 particles, by renderer.

    The two take turns, so that what else the machine does falls on both. Every step has another layout than the one
    before: Mitsuba puts it into its scene, as in training, and transport has it precomputed.
    """
    exp = load_experiment("tio2_sem", "laptop", {"layout.n_particles": [40, 40]})
    meshes = make_meshes(exp.material)
    layouts = [sample_layout(exp.material, meshes, seed=k) for k in range(STEPS_PER_REFERENCE)]
    reference = Renderer(exp.material, meshes, spp=SPP)
    transport = TransportRenderer(exp.material, meshes, spp=SPP)
    transport.prepare(layouts, log=lambda line: None)
    generator = Generator(exp.material, exp.profile.gan)

    def step(renderer: Renderer, layout: Layout, seed: int) -> None:
        generator.zero_grad(set_to_none=True)
        generator.sample(renderer, layout, seed=seed)[0].mean().backward()

    slow, fast = [], []
    for k in range(repeats + WARM_UP):
        slow.append(duration(lambda k=k: step(reference, layouts[k % len(layouts)], k)))
        fast += [duration(lambda k=k, layout=layout: step(transport, layout, k)) for layout in layouts]
    slow, fast = median(slow[WARM_UP:]), median(fast[WARM_UP * len(layouts) :])
    return {
        "generator_step_mitsuba": row(slow, "s"),
        "generator_step_transport": row(fast, "s"),
        "generator_step_speedup": row(slow / fast, "x", at_least=SPEEDUP_TARGET),
    }


def precomputation(n_layouts: int) -> dict[str, dict]:
    """Seconds per layout of the material's own law, and the memory of a set of `SET_SIZE`, from the mean of these."""
    material = load_experiment("tio2_sem", "laptop").material
    meshes = make_meshes(material)
    layouts = [sample_layout(material, meshes, seed=k) for k in range(1 + n_layouts)]
    renderer = TransportRenderer(material, meshes, spp=SPP)
    times = [duration(lambda layout=layout: renderer.basis(layout)) for layout in layouts][1:]
    with busy_process():
        again = TransportRenderer(material, meshes, spp=SPP)
        beside = [duration(lambda layout=layout: again.basis(layout)) for layout in layouts][1:]
    n_bytes = sum(renderer.basis(layout).n_bytes for layout in layouts[1:])
    return {
        "precomputation_per_layout": row(median(times), "s", at_most=PRECOMPUTATION_TARGET_S),
        "precomputation_beside_a_busy_process": row(median(beside) / median(times), "x", at_most=BESIDE_TARGET),
        f"memory_of_{SET_SIZE}_layouts": row(n_bytes * SET_SIZE / n_layouts / 2**30, "GiB", at_most=MEMORY_TARGET_GIB),
    }
