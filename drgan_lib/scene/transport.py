"""Precomputed light transport: the renderer of the training loop, a weighted sum of basis images.

Ray tracing is paid once per layout. After that an image costs a product of a vector and a small matrix, with exact
derivatives, for any values of the parameters, on any device. Bases stay on the disk (`drgan_lib.scene.cache`), one file
per layout, under a key that changes with anything they depend on.
"""

import inspect
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

import torch
import trimesh
from torch import Tensor

from drgan_lib.config import Material
from drgan_lib.digest import code_behind, digest
from drgan_lib.executors import outcomes
from drgan_lib.files import require_free_space
from drgan_lib.hardware import choose_device
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.basis import Basis, learned_lights, trace_basis
from drgan_lib.scene.cache import BasisCache
from drgan_lib.scene.detector import blur_std_px, spread
from drgan_lib.scene.electrons import Electrons, trace_electrons
from drgan_lib.scene.ground import Ground
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.meshes import meshes_digest
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.terms import Terms
from drgan_lib.scene.uneven import charge, charged, uneven
from drgan_lib.shared import Shared

# What is imaged for each appearance, and how.
TRACED = {"principled": (Terms, trace_basis), "sem": (Electrons, trace_electrons)}
MEMORY_BYTES = 2 * 2**30


class TransportRenderer(Renderer):
    """Renders like `Renderer`, from basis images that are traced on the first use of a layout.

    The bases stay in memory up to `memory_bytes` (the ones used longest ago go first, the last one stays) and in
    `cache`, if there is one. The Monte Carlo samples belong to the layout, so that the seed of an image does not change
    it.
    """

    appearances = tuple(TRACED)

    def __init__(
        self,
        material: Material,
        meshes: list[trimesh.Trimesh],
        *,
        spp: int,
        ground: Ground | None = None,
        cache: BasisCache | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ):
        super().__init__(material, meshes, spp=spp, ground=ground)
        terms, self._images_of = TRACED[material.appearance]
        self.terms = terms.of(material)
        self.cache, self.memory_bytes, self.device = cache, memory_bytes, choose_device()
        self._bases: OrderedDict[str, Basis] = OrderedDict()
        self._recipe = self._describe()

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_bases": OrderedDict()}

    def prepare(
        self, layouts: Sequence[Layout], *, executor: Executor | None = None, log: Callable[[str], None] = print
    ) -> None:
        """Makes the bases of all `layouts` ready, traced or read from the cache, as many in memory as it holds.

        Workers of an `executor` trace those that the cache lacks, if processors trace: what a GPU does in milliseconds
        is done here. If the disk has no room for them, the cache is left alone, and all are traced here.
        """
        if self.cache is not None:
            missing = [layout for layout in layouts if not self.cache.path(self.key(layout)).is_file()]
            images = len(self.terms.settings) * max(1, len(learned_lights(self.material)))
            n_bytes = 4 * images * self.material.scene.size_px**2 * len(missing)  # if particles cover everything
            try:
                require_free_space(self.cache.folder, n_bytes, "precomputed light transport")
            except OSError as error:
                log(f"{error}. Light transport is not kept on the disk")
                self.cache = None
        if self.cache is not None and missing and executor is not None and self.variant.startswith("llvm"):
            log(f"workers trace {len(missing)} layouts")
            with Shared(self, self.cache.folder) as shared:
                for _, future in outcomes(partial(_trace_away, shared), missing, executor):
                    future.result()
        began = said = time.perf_counter()
        for number, layout in enumerate(layouts, 1):
            self.basis(layout)
            if time.perf_counter() - said > 30 or number == len(layouts):
                said = time.perf_counter()
                log(
                    f"light transport of {number} of {len(layouts)} layouts: {said - began:.1f} s, "
                    f"{self.n_bytes / 2**20:.0f} MiB in memory"
                )
        dr.flush_malloc_cache()  # what tracing needed, training does not
        if len(self._bases) < len({layout.key for layout in layouts}):
            log(
                f"{len(self._bases)} of {len(layouts)} layouts fit into {self.memory_bytes / 2**30:.1f} GiB; the "
                "others are read or traced again at every use. Lower gan.n_layouts"
            )

    @property
    def n_bytes(self) -> int:
        """Memory that the bases take."""
        return sum(basis.n_bytes for basis in self._bases.values())

    def basis(self, layout: Layout) -> Basis:
        """The basis of `layout`: from memory, from the cache, or traced now."""
        if layout.key not in self._bases:
            key = self.key(layout)
            basis = self.cache.read(key) if self.cache else None
            if basis is None:
                basis = self._trace(layout, key)
            self._bases[layout.key] = basis.to(self.device)
            while self.n_bytes > self.memory_bytes and len(self._bases) > 1:
                self._bases.popitem(last=False)
        self._bases.move_to_end(layout.key)
        return self._bases[layout.key]

    def _trace(self, layout: Layout, key: str) -> Basis:
        """Traces the basis of `layout`, and keeps it in the cache as `key`."""
        basis = self._images_of(self.material, self.scene(layout), self.terms, spp=self.spp, seed=layout.seed)
        if self.cache:
            self.cache.write(key, basis)
        return basis

    def image(
        self, parameters: Tensor, layout: Layout, *, seed: int = 0, each: dict[str, Tensor] | None = None
    ) -> Tensor:
        """float32 [h, w]: linear, unclamped radiance of `layout`, differentiable in `parameters` and `each`.

        As `Renderer.image`; `seed` chooses the ground and what is uneven about particles, no samples. `each` gives
        parameters of the BSDF a value per particle [len(layout)], by name, in place of the common one.
        """
        self._require_parameters(parameters)
        return self._images(parameters[None], [layout], [seed], each=each)[0]

    def images(self, parameters: Tensor, layouts: Sequence[Layout], *, seeds: Sequence[int]) -> Tensor:
        """float32 [b, h, w] of b layouts with parameters [b, n_parameters], differentiable; `seeds` as in `image`."""
        return self._images(parameters, layouts, seeds)

    def _images(
        self,
        parameters: Tensor,
        layouts: Sequence[Layout],
        seeds: Sequence[int],
        *,
        each: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The fragments of all images, one after the other, added up at once."""
        settings, bases = self.material.scene, [self.basis(layout) for layout in layouts]
        values = dict(zip(self.material.parameters, parameters.to(self.device).T, strict=True))
        if each:
            weights = self.terms.weights(self._own_values(values, each, len(layouts[0])))
            particles = (weights[:, bases[0].particle.long()] * bases[0].particles).sum(dim=0)
        else:
            weights = self.terms.weights(values).T
            particles = torch.cat([row @ basis.particles for row, basis in zip(weights, bases, strict=True)])
        fragments = [(basis.particle.long(), basis.pixel.long()) for basis in bases]
        particles = particles * uneven(self.material, parameters.to(self.device), layouts, fragments, seeds=seeds)
        if settings.charge and self.material.appearance == "sem":  # the first image of a particle is its area
            drawn = charge(self.material, layouts, seeds=seeds, like=particles)
            rows = zip(particles.split([len(which) for which, _ in fragments]), drawn, fragments, bases, strict=True)
            particles = torch.cat([charged(light, own[which], b.particles[0]) for light, own, (which, _), b in rows])
        of_support = self.terms.of_support(values).T
        support = torch.stack([row @ basis.stage for row, basis in zip(of_support, bases, strict=True)])
        if lights := learned_lights(self.material):
            fixed = {name: torch.full_like(of_support[:, 0], getattr(settings, name)) for name in lights}
            radiances = torch.stack([values.get(name, fixed[name]) for name in lights], dim=1)  # [b, n_lights]
            rows = zip(radiances, bases, strict=True)
            particles = torch.cat([row[basis.light.long()] for row, basis in rows]) * particles
            support = radiances[..., None] * support  # [b, n_lights, h w]
        n_pixels = settings.size_px**2
        pixels = torch.cat([basis.pixel.long() + k * n_pixels for k, basis in enumerate(bases)])
        support = support.sum(dim=1)
        if self.ground is not None:
            support = support * self.ground.draw(seeds).to(self.device).flatten(1)
        image = support.flatten().index_add(0, pixels, particles)
        image = image.view(-1, settings.size_px, settings.size_px)
        return spread(image, blur_std_px(settings)).to(parameters.device)

    def _own_values(self, values: dict[str, Tensor], each: dict[str, Tensor], n: int) -> dict[str, Tensor]:
        """Values of the particles' parameters [n], by name."""
        known = [name for name in self.terms.own if name in values]
        wrong = [name for name, value in each.items() if name not in known or value.shape != (n,)]
        if wrong:
            raise ValueError(
                f"expected values per particle, [{n}], of {', '.join(known)}; got "
                f"{', '.join(f'{name} {list(each[name].shape)}' for name in wrong)}"
            )
        return {name: each[name].to(self.device) if name in each else values[name].expand(n) for name in known}

    def _describe(self) -> str:
        """What all bases of this renderer depend on, besides the layout."""
        code = code_behind(inspect.getfile(self._images_of))
        scene = self.material.scene.model_dump_json(exclude={"spp", "filter_std_px", "skin_unlike", "charge"})
        lights = {name: self.material.bounds.get(name) for name in learned_lights(self.material)}
        parts = (meshes_digest(self.meshes), code, scene, lights, self.terms, self.spp, mi.__version__, self.variant)
        return " ".join(map(str, parts))

    def key(self, layout: Layout) -> str:
        """Name of the basis of `layout` in the cache: a digest of all that it depends on."""
        return digest(f"{self._recipe} {layout.key}")


def _trace_away(shared: Shared, layout: Layout) -> None:
    """Traces the basis of `layout` into the cache of the renderer that is `shared`."""
    renderer = shared.value
    renderer._trace(layout, renderer.key(layout))
