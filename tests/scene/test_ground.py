"""The ground below rendered particles: what patches show, without noise, and nothing else of the image."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from drgan_lib.config import GanSettings
from drgan_lib.data.detect import detect_particles
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.scene import Ground, GroundError, Renderer, TransportRenderer, at_position, choose_ground
from drgan_lib.scene.ground import LEAST, noise_std, without_noise
from tests.scene.conftest import AT_KNOTS, SIZE, SPP, small_material

STRIPES = 1 + 0.5 * np.sin(np.arange(SIZE) / 2)[None].repeat(SIZE, axis=0)


def patches(n: int, n_micrographs: int) -> SampleSet:
    rng = np.random.default_rng(0)
    return SampleSet.of(
        Sample(f"{k}", rng.uniform(0.2, 0.4, (SIZE, SIZE)), provenance={"micrograph": f"m{k % n_micrographs}"})
        for k in range(n)
    )


@pytest.fixture(scope="module")
def both(meshes):
    material, ground = small_material(), Ground(STRIPES[None] / STRIPES.mean())
    return [kind(material, meshes, spp=SPP, ground=ground) for kind in (Renderer, TransportRenderer)]


def test_both_renderers_show_the_same_ground(both, crowd):
    parameters = at_position(both[0].material, 0.2)
    images = [renderer.image(parameters, crowd, seed=crowd.seed) for renderer in both]
    assert (images[0] - images[1]).abs().max() < AT_KNOTS * images[0].max()


def test_ground_multiplies_the_light_of_the_support_and_no_other(both, crowd):
    _, ours = both
    plain = TransportRenderer(ours.material, ours.meshes, spp=SPP)
    parameters, ids = at_position(ours.material, 0.2), ours.instance_ids(crowd)
    ratio = (ours.image(parameters, crowd, seed=5) / plain.image(parameters, crowd)).numpy()
    support, particles = (ndimage.binary_erosion(mask, iterations=3) for mask in (ids == 0, ids > 0))
    assert particles.any()
    assert ratio[particles] == pytest.approx(1, abs=1e-3)
    (factor,) = ours.ground.draw([5]).numpy()
    assert np.corrcoef(ratio[support], factor[support])[0, 1] > 0.99


def test_an_even_ground_is_the_flat_support(meshes, crowd):
    material, even = small_material(), Ground(np.ones((3, SIZE, SIZE)))
    parameters = at_position(material, 0.2)
    images = [TransportRenderer(material, meshes, spp=SPP, ground=g).image(parameters, crowd) for g in (None, even)]
    assert torch.equal(*images)


def test_a_seed_means_the_same_ground_in_any_batch_and_all_turns_come():
    ground = Ground(np.arange(2 * 9, dtype=float).reshape(2, 3, 3))
    together = ground.draw(range(200))
    assert torch.equal(together[17:19], ground.draw([17, 18]))
    assert len(torch.unique(together, dim=0)) == 2 * 8


def test_ground_has_mean_one_and_is_that_of_every_second_micrograph():
    found = Ground.of(patches(12, 4))
    assert found.lenders == {"m0", "m2"}
    assert found.factors.shape == (6, SIZE, SIZE)
    assert found.factors.mean(dim=(1, 2)).numpy() == pytest.approx(1, abs=0.02)
    assert found.key != Ground.of(patches(13, 4)).key


def test_distances_are_taken_on_other_micrographs():
    ground, many = Ground.of(patches(4, 2)), patches(2 * LEAST, 2)
    assert {patch.provenance["micrograph"] for patch in ground.apart(many)} == {"m1"}
    with pytest.raises(GroundError, match=f"at least {LEAST} patches of these, found {LEAST - 1}"):
        ground.apart(many[: 2 * LEAST - 1])


def between_discs(n: int) -> SampleSet:
    """Bright discs on stripes of known period and strength, with a little noise."""
    y, x = np.mgrid[:128, :128]
    stripes, rng = 0.2 * (1 + 0.1 * np.sin(2 * np.pi * x / 8)), np.random.default_rng(1)
    images = []
    for _ in range(n):
        places = rng.uniform(20, 108, (3, 2))
        disc = np.any([np.hypot(y - a, x - b) < 12 for a, b in places], axis=0)
        images.append(np.where(disc, 0.8, stripes) + rng.normal(0, 0.002, y.shape))
    return SampleSet.of(
        Sample(f"{k}", image.astype(np.float32), provenance={"micrograph": f"m{k % 4}"})
        for k, image in enumerate(images)
    )


def test_a_texture_has_the_spectrum_and_the_levels_of_what_lies_between_particles():
    found = Ground.between(between_discs(8))
    assert len(found.apart(between_discs(LEAST))) == LEAST
    fields = found.factors.numpy()
    assert fields.std() == pytest.approx(0.1 / 2**0.5, rel=0.15)
    power = (np.abs(np.fft.fft2(fields - 1)) ** 2).mean(axis=0)
    assert np.unravel_index(power.argmax(), power.shape) in ((0, 16), (0, 112))


def test_a_patch_in_which_no_particle_is_found_lends_no_texture():
    """Its particles, no brighter than the support, would be taken for a texture of it."""
    discs, (y, x) = between_discs(4), np.mgrid[:128, :128]
    faint = 0.2 * (1 + 0.3 * np.sin(x / 9) * np.sin(y / 9)) + np.random.default_rng(2).normal(0, 0.002, x.shape)
    unseen = Sample("unseen", faint.astype(np.float32), provenance={"micrograph": "m0"})
    assert not detect_particles([unseen.image])[0].suspect.any()
    assert Ground.between(discs + SampleSet.of([unseen])).key == Ground.between(discs).key


def test_the_ground_is_chosen_by_the_settings_and_what_there_is():
    discs, none, lines = between_discs(4), SampleSet.of([]), []
    assert choose_ground(GanSettings(), discs, none) is None
    real, texture = GanSettings(support="real"), GanSettings(support="texture")
    assert choose_ground(real, discs, patches(4, 2)).key == Ground.of(patches(4, 2)).key
    assert not lines
    assert choose_ground(real, discs, none, log=lines.append).key == Ground.between(discs).key
    assert "the ground is a texture" in lines[0]
    assert choose_ground(texture, discs, patches(4, 2)).key == Ground.between(discs).key
    image = between_discs(1)[0].image
    crowded = Sample("crowded", np.kron(np.ones((4, 4)), image[52:76, 52:76]), provenance={"micrograph": "m"})
    with pytest.raises(GroundError, match="less than a tenth of them free"):
        choose_ground(texture, SampleSet.of([crowded]), none)
    assert choose_ground(real, SampleSet.of([crowded]), none, log=lines.append) is None
    assert "The support stays flat" in lines[-1]


@pytest.mark.parametrize("std", [0.003, 0.02, 0.1])
def test_noise_is_told_from_what_is_smooth(std):
    noise = np.random.default_rng(0).normal(0, std, (256, 256))
    shading = np.outer(np.linspace(0.4, 0.5, 256), np.ones(256))
    assert noise_std(shading + noise) == pytest.approx(std, rel=0.05)
    assert (without_noise(shading + noise) - shading).std() < 0.35 * std


def test_structure_well_above_the_noise_stays_and_even_patches_are_fine():
    noise = np.random.default_rng(0).normal(0, 0.005, STRIPES.shape)
    assert (without_noise(STRIPES + noise) - STRIPES).std() < 0.01
    assert without_noise(np.full((16, 16), 0.25)) == pytest.approx(0.25)
