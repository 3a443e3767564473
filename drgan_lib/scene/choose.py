"""Which renderer a stage of an experiment uses."""

from __future__ import annotations

from drgan_lib.config import Experiment
from drgan_lib.scene.cache import BasisCache
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer


def make_renderer(exp: Experiment, *, stage: str) -> Renderer:
    """The renderer of the experiment's material for stage "gan" or "synthesis", with that stage's samples per pixel.

    The GAN renders the same layouts again and again, and `gan.renderer` says how; synthesis renders each layout once,
    which Mitsuba does best. Precomputed transport is kept in `<runs>/cache/transport`, for all runs there.
    """
    spp = {"gan": exp.profile.gan.spp, "synthesis": exp.profile.synthesis.spp}[stage] or exp.material.scene.spp
    meshes = make_meshes(exp.material)
    if stage == "gan" and exp.profile.gan.renderer == "transport":
        cache = BasisCache(exp.runs / "cache" / "transport")
        return TransportRenderer(exp.material, meshes, spp=spp, cache=cache)
    return Renderer(exp.material, meshes, spp=spp)
