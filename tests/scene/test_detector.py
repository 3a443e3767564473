"""The point spread: blur after the film is a wide filter, and keeps derivatives and sums. Noise by its closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from drgan_lib.config import DETECTOR_BOUNDS, PIXEL_STD_PX, ConfigError
from drgan_lib.scene import Renderer, TransportRenderer, at_position, liveness
from drgan_lib.scene.backend import mi
from drgan_lib.scene.build import SCENE_KEYS, build_scene
from drgan_lib.scene.detector import WHITE, blur_std_px, detect, exposed, share_of_white, spread
from drgan_lib.scene.parameters import micrograph
from tests.scene.conftest import AT_KNOTS, SPP, small_material


def test_film_and_blur_make_up_the_filter():
    for std in (PIXEL_STD_PX, 0.3, 0.5, 1.0, 3.0):
        settings = small_material(scene__filter_std_px=std).scene
        point = torch.zeros(61, 61, dtype=torch.float64)
        point[30, 30] = 1
        seen = spread(point, blur_std_px(settings)).sum(dim=0).numpy()
        variance = (seen * (np.arange(61) - 30) ** 2).sum()
        assert seen.sum() == pytest.approx(1)
        assert variance + 1 / 12 == pytest.approx(std**2), "1/12 is that of light even over a pixel"
    with pytest.raises(ConfigError, match="filter_std_px"):
        small_material(scene__filter_std_px=0.28)


@settings(max_examples=20)
@given(st.floats(0.1, 3), st.floats(0.1, 3))
def test_blur_after_blur_is_one_blur(one, other):
    point = torch.zeros(101, 101, dtype=torch.float64)
    point[50, 50] = 1
    twice, once = spread(spread(point, one), other), spread(point, float(np.hypot(one, other)))
    assert twice[40:61, 40:61].numpy() == pytest.approx(once[40:61, 40:61].numpy(), abs=1e-6)


@pytest.mark.parametrize(("std", "close"), [(1.5, 0.02), (3.0, 0.002)])
def test_inside_it_comes_close_to_a_sampled_gaussian(std, close):
    image = torch.rand(48, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = spread(image, std).numpy(), gaussian_filter(image.numpy(), std, truncate=8)
    assert ours[20:28, 25:-25] == pytest.approx(theirs[20:28, 25:-25], abs=close)


def test_a_constant_stays_and_no_blur_changes_nothing():
    assert spread(torch.full((20, 30), 0.3), 3.0) == pytest.approx(torch.full((20, 30), 0.3))
    image = torch.rand(5, 6)
    assert torch.equal(spread(image, 0.0), image)


def test_each_image_has_its_own_blur_and_it_is_that_of_the_image_alone():
    points, stds = torch.zeros(3, 41, 31, dtype=torch.float64), torch.tensor([0.2, 0.9, 2.0], dtype=torch.float64)
    points[:, 20, 15] = 1
    seen = spread(points, stds)
    for profile in (seen.sum(dim=2)[:, 5:36], seen.sum(dim=1)):
        variance = (profile * (torch.arange(31) - 15) ** 2).sum(dim=1)
        assert variance == pytest.approx(stds**2, rel=1e-4)
    for image, alone, std in zip(seen, points, stds.tolist(), strict=True):
        assert image == pytest.approx(spread(alone, std), abs=1e-12)


def of_each(n: int, **values: float) -> dict[str, torch.Tensor]:
    """The same values of the detector for each of n images."""
    return {name: torch.full((n,), value, dtype=torch.float64) for name, value in values.items()}


def test_photon_transfer_is_a_line_with_the_dose_as_slope_and_read_noise_at_black():
    levels = torch.linspace(0.2, 0.8, 7, dtype=torch.float64)
    flat = levels[:, None, None].expand(-1, 300, 300)
    values = of_each(7, noise_sigma=0.02, blur_px=1.0, shot_noise=400**-0.5, line_noise=0.0)
    images = detect(flat, values, seeds=range(7))
    assert images.mean(dim=(1, 2)) == pytest.approx(levels, abs=1e-3)
    slope, at_black = np.polyfit(levels, images.var(dim=(1, 2)), 1)
    assert (slope, at_black) == pytest.approx((1 / 400, 0.02**2), rel=0.1)


def test_a_scan_line_is_offset_as_a_whole_and_apart_from_the_others():
    flat, values = torch.full((1, 3000, 8), 0.5), of_each(1, noise_sigma=0.0, shot_noise=0.0, line_noise=0.01)
    (offsets,) = detect(flat, values, seeds=[3]) - 0.5
    assert offsets.std(dim=1).max() < 1e-5
    assert offsets[:, 0].std() == pytest.approx(0.01, rel=0.05)
    assert abs(np.corrcoef(offsets[:-1, 0], offsets[1:, 0])[0, 1]) < 0.06


@given(st.floats(0.05, 20), st.floats(0.01, 0.5))
def test_of_an_overexposed_image_next_to_nothing_stays_white_and_others_stay_as_they_are(gain, share):
    light = torch.rand(2, 50, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    light[0] *= gain * (torch.rand(50, 40, generator=torch.Generator().manual_seed(2)) < share)
    seen = exposed(light)
    assert torch.equal(seen[1], light[1])
    assert (seen[0] > 1 + 1e-9).double().mean() <= WHITE + 1 / 2000
    ratios = seen[0][light[0] > 0] / light[0][light[0] > 0]
    assert ratios == pytest.approx(float(ratios[0]), rel=1e-12)
    assert ratios[0] == 1 or (light[0] > 1).double().mean() > WHITE - 1 / 2000


def test_what_may_be_white_is_found_in_the_patches():
    images = np.full((100, 10, 10), 0.5, np.float32)
    assert share_of_white(images) == WHITE
    images[:, 0, :3], images[0] = 1.0, 1.0
    assert share_of_white(images) == pytest.approx(0.03)
    light = torch.full((1, 10, 10), 0.5)
    light[0, 0, :3] = 2
    assert torch.equal(exposed(light, share_of_white(images)), light)


def test_ten_per_cent_of_twice_white_halve_the_gain_where_electrons_are_counted():
    light = torch.full((1, 10, 10), 0.5)
    light[0, 0] = 2
    counted = {"noise_sigma": torch.zeros(1), "shot_noise": torch.zeros(1)}
    torch.testing.assert_close(detect(light, counted, seeds=[0]), light / 2, atol=1e-5, rtol=0)
    assert detect(light, {"noise_sigma": torch.zeros(1)}, seeds=[0]).unique().tolist() == [0.5, 1.0]


NOISE = {"noise_sigma": 0.02, "blur_px": 0.8, "shot_noise": 0.05, "line_noise": 0.01}


@pytest.mark.parametrize("name", NOISE)
def test_derivatives_are_finite_differences_also_of_the_light(name):
    generator = torch.Generator().manual_seed(0)
    light, mask = (torch.rand(2, 20, 30, dtype=torch.float64, generator=generator) for _ in range(2))
    light = 0.3 + 0.4 * light

    def at(change: float) -> torch.Tensor:
        values = of_each(2, **NOISE)
        return (detect(light * (1 + change), values | {name: values[name] + change}, seeds=[4, 5]) * mask).sum()

    change = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    at(change).backward()
    with torch.no_grad():
        assert float(change.grad) == pytest.approx(float(at(1e-5) - at(-1e-5)) / 2e-5, rel=1e-5)


def test_black_without_noise_has_derivatives():
    values = {name: value.requires_grad_() for name, value in of_each(1, **dict.fromkeys(NOISE, 0.0)).items()}
    detect(torch.zeros(1, 9, 9), values, seeds=[0]).sum().backward()
    assert all(value.grad.isfinite().all() for value in values.values())


def test_an_image_is_the_same_in_any_batch_and_the_paper_s_where_there_is_nothing_else():
    light = torch.rand(3, 24, 24, generator=torch.Generator().manual_seed(2))
    values = {name: value.float() for name, value in of_each(3, **NOISE).items()}
    alone = detect(light[1:2], {name: value[1:2] for name, value in values.items()}, seeds=[7])
    torch.testing.assert_close(detect(light, values, seeds=[6, 7, 8])[1:2], alone)
    paper = detect(light, {"noise_sigma": values["noise_sigma"]}, seeds=[6, 7, 8])
    nothing = {name: torch.zeros(3) for name in DETECTOR_BOUNDS}
    torch.testing.assert_close(detect(light, nothing | {"noise_sigma": values["noise_sigma"]}, seeds=[6, 7, 8]), paper)


def test_it_lies_behind_both_renderers(meshes, crowd):
    material = small_material(gan__detector="poisson_gaussian")
    parameters = at_position(material, 0.3)
    images = [
        micrograph(kind(material, meshes, spp=SPP), parameters, crowd, seed=crowd.seed)
        for kind in (Renderer, TransportRenderer)
    ]
    assert (images[0] - images[1]).abs().max() < 5e-3
    table = liveness(TransportRenderer(material, meshes, spp=SPP), crowd).set_index("parameter")
    assert table["alive"][[*DETECTOR_BOUNDS]].all()
    lines = DETECTOR_BOUNDS["line_noise"][1]
    assert table["mean_change"]["line_noise"] == pytest.approx((2 / np.pi) ** 0.5 * lines, rel=0.3)


def test_it_is_the_wide_filter_of_mitsuba(meshes, crowd):
    """But for the samples, which the two ways weigh differently."""
    material = small_material(scene__filter_std_px=3.0)
    values = torch.tensor([0.5, 0.6, 0.3, 0.5, 0.2, 0.01])
    renderer = Renderer(material, meshes, spp=256)
    ours = renderer.image(values, crowd, seed=1)
    built = build_scene(material, meshes, crowd, spp=256, lit=True)
    for name, value in zip(material.parameters, values.tolist(), strict=True):
        for key in SCENE_KEYS.get(name, ()):
            built.params[key] = mi.Float(value)
    built.params.update()
    scene, size = built.scene, material.scene.size_px
    wide = {"type": "hdrfilm", "width": size, "height": size, "pixel_format": "luminance"}
    wide["rfilter"] = {"type": "gaussian", "stddev": 3.0}
    camera = {"type": "perspective", "fov": material.scene.fov_deg, "film": wide, "sampler": {"type": "multijitter"}}
    camera["to_world"] = mi.ScalarTransform4f(np.array(mi.traverse(scene.sensors()[0])["to_world"].matrix)[..., 0])
    direct = mi.load_dict({"type": "direct", "emitter_samples": 16, "bsdf_samples": 0})
    theirs = torch.tensor(np.array(mi.render(scene, sensor=mi.load_dict(camera), integrator=direct, spp=256, seed=2)))[
        ..., 0
    ]
    difference = (ours - theirs).abs()
    assert difference.max() < 0.03 * theirs.max()
    assert difference.mean() < 0.003 * theirs.max()


def test_transport_and_mitsuba_still_agree_and_so_do_their_derivatives(meshes, crowd):
    material = small_material(scene__filter_std_px=3.0)
    transport = TransportRenderer(material, meshes, spp=16)
    values = torch.tensor([transport.terms.knots[3].item(), 0.6, 0.3, 0.5, 0.2, 0.01], requires_grad=True)
    image = transport.image(values, crowd)
    expected = Renderer(material, meshes, spp=16).image(values.detach(), crowd, seed=crowd.seed)
    assert (image - expected).abs().max() < AT_KNOTS * expected.max()
    mask = torch.rand(image.shape, generator=torch.Generator().manual_seed(1))
    (image * mask).sum().backward()
    step = torch.zeros(6)
    step[1] = 0.01
    with torch.no_grad():
        ends = [(transport.image(values + s * step, crowd) * mask).sum().double() for s in (1, -1)]
    assert values.grad[1] == pytest.approx(float(ends[0] - ends[1]) / 0.02, rel=1e-3)
