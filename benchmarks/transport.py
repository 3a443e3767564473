"""Precomputed light transport against ray tracing: 256 x 256, 16 spp; what it costs beforehand, in time and memory."""

from __future__ import annotations

from statistics import median

import torch
from torch import Tensor

from benchmarks.measure import WARM_UP, busy_processes, duration, row
from drgan_lib.config import load_experiment
from drgan_lib.gan.networks import Generator
from drgan_lib.scene import Layout, Renderer, TransportRenderer, at_position, make_meshes, sample_layout
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.build import LIGHT_KEYS, SCENE_KEYS, BuiltScene, build_scene
from drgan_lib.scene.detector import blur_std_px, spread

SPP = 16
STEPS_PER_REFERENCE = 5  # of transport between two of Mitsuba, which take a hundred times as long
SET_SIZE = 126  # layouts of a whole set
SPEEDUP_TARGET = 100
PRECOMPUTATION_TARGET_S = 0.6
BESIDE_TARGET = 2  # times as long beside a busy process
# With a Gaussian film, before the box film, on two idle cores of a server; beside a busy process it was 22 s.
SPLAT_S = 0.68
MEMORY_TARGET_GIB = 2
GRAIN_TARGET = 0.04
POSITION = 0.2  # within the bounds, of the parameters at which grain is measured: where training starts


class Direct(Renderer):
    """Mitsuba's own integrator `direct`, its film and its automatic differentiation."""

    def scene(self, layout: Layout) -> BuiltScene:
        if self._built is None:
            self._built = layout, build_scene(self.material, self.meshes, layout, spp=self.spp, lit=True)
        return super().scene(layout)

    def image(self, parameters: Tensor, layout: Layout, *, seed: int) -> Tensor:
        built, integrator = (
            self.scene(layout),
            mi.load_dict({"type": "direct", "emitter_samples": 1, "bsdf_samples": 0}),
        )

        @dr.wrap(source="torch", target="drjit")
        def render(values):
            for i, name in enumerate(self.material.parameters):
                for key in (SCENE_KEYS | LIGHT_KEYS).get(name, ()):
                    built.params[key] = dr.gather(mi.Float, values.array, i)
            built.params.update()
            return mi.render(built.scene, built.params, integrator=integrator, spp=self.spp, seed=seed)

        return spread(render(parameters * 1.0)[..., 0], blur_std_px(self.material.scene))


def benchmark(repeats: int = 9, n_layouts: int = 12) -> dict[str, dict]:
    """The generator's speedup over `repeats` steps of the reference; precomputation over `n_layouts` layouts."""
    return {**generator_steps(repeats), **precomputation(n_layouts), **grain(repeats)}


def generator_steps(repeats: int) -> dict[str, dict]:
    """Forward and backward pass of the generator (regressor, renderer, noise) with 40 particles, by renderer.

    The two take turns, so that what else the machine does falls on both. Every step has another layout than the one
    before: Mitsuba puts it into its scene, as in training, and transport has it precomputed.
    """
    exp = load_experiment("twin", "paper", {"layout.n_particles": [40, 40]})
    meshes = make_meshes(exp.material)
    layouts = [sample_layout(exp.material, meshes, seed=k) for k in range(STEPS_PER_REFERENCE)]
    references = [kind(exp.material, meshes, spp=SPP) for kind in (Direct, Renderer)]
    transport = TransportRenderer(exp.material, meshes, spp=SPP)
    transport.prepare(layouts, log=lambda line: None)
    generator = Generator(exp.material, exp.profile.gan)

    def step(renderer: Renderer, layout: Layout, seed: int) -> None:
        generator.zero_grad(set_to_none=True)
        generator.sample(renderer, [layout], seeds=[seed])[0].mean().backward()

    times = []
    for k in range(repeats + WARM_UP):
        slow = [duration(lambda k=k, r=r: step(r, layouts[k % len(layouts)], k)) for r in references]
        fast = [duration(lambda k=k, layout=layout: step(transport, layout, k)) for layout in layouts]
        times.append([*slow, median(fast)])
    direct, traced, transported = map(median, zip(*times[WARM_UP:], strict=True))
    return {
        "generator_step_mitsuba_direct": row(direct, "s"),
        "generator_step_mitsuba": row(traced, "s"),
        "generator_step_transport": row(transported, "s"),
        "generator_step_speedup_over_direct": row(direct / transported, "x", at_least=SPEEDUP_TARGET),
    }


def grain(n_seeds: int) -> dict[str, dict]:
    """Standard deviation of a pixel over seeds of the light paths, by the mean: root mean square over particles."""
    exp = load_experiment("twin", "paper", {"gan.spp": 100})
    meshes, spp = make_meshes(exp.material), exp.profile.gan.spp
    layout, parameters = sample_layout(exp.material, meshes, seed=3), at_position(exp.material, POSITION)
    renderer = Renderer(exp.material, meshes, spp=spp)  # along the same paths as transport
    images = torch.stack([renderer.image(parameters, layout, seed=seed) for seed in range(max(2, n_seeds))])
    images = images[:, torch.from_numpy(renderer.instance_ids(layout) > 0)]
    share = images.var(dim=0).mean().sqrt() / images.mean()
    return {f"grain_at_{spp}_samples": row(float(share), "", at_most=GRAIN_TARGET)}


def precomputation(n_layouts: int) -> dict[str, dict]:
    """Seconds per layout of the material's own law, and the memory of a set of `SET_SIZE`, from the mean of these."""
    material = load_experiment("twin", "paper").material
    meshes = make_meshes(material)
    layouts = [sample_layout(material, meshes, seed=k) for k in range(1 + n_layouts)]
    times = []
    for n_busy in range(3):
        with busy_processes(n_busy):
            renderer = TransportRenderer(material, meshes, spp=SPP)
            laps = [duration(lambda r=renderer, layout=layout: r.basis(layout)) for layout in layouts]
            times.append(median(laps[1:]))
    alone, beside_one, beside_two = times
    n_bytes = sum(renderer.basis(layout).n_bytes for layout in layouts[1:])
    return {
        "precomputation_per_layout": row(alone, "s", at_most=PRECOMPUTATION_TARGET_S),
        "precomputation_beside_a_busy_process": row(beside_one / alone, "x", at_most=BESIDE_TARGET),
        "precomputation_beside_two": row(beside_two / alone, "x"),
        "precomputation_against_splatting": row(SPLAT_S / alone, "x"),
        f"memory_of_{SET_SIZE}_layouts": row(n_bytes * SET_SIZE / n_layouts / 2**30, "GiB", at_most=MEMORY_TARGET_GIB),
    }
