"""The weights of the basis images: exact where they claim to be, smooth between, with exact derivatives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.scene.terms import CONSTANT_BELOW, FIXED_ROUGHNESS, KNOT_SPACING, Terms
from tests.scene.conftest import MORE, random_parameters, small_material

PAPER, ALL = small_material(), small_material(**MORE)
FIXED = PAPER.model_copy(update={"bounds": {k: v for k, v in PAPER.bounds.items() if k != "roughness"}})
MATERIALS = {"paper": PAPER, "all": ALL, "fixed": FIXED}
CASES = pytest.mark.parametrize("case", MATERIALS)
TERMS = Terms.of(ALL)


def values_of(material, parameters):
    """{name: [...]} of parameters [..., n_parameters], in float64."""
    return dict(zip(material.parameters, parameters.double().movedim(-1, 0), strict=True))


def rows(terms, **wanted):
    """Numbers of the images whose settings hold all of `wanted`, roughness aside."""
    return [
        i
        for i, setting in enumerate(terms.settings)
        if {k: v for k, v in setting.items() if k != "roughness"} == wanted
    ]


@CASES
def test_there_is_one_weight_for_every_image(case):
    material = MATERIALS[case]
    terms = Terms.of(material)
    parameters = random_parameters(material, 5, seed=0)
    weights = terms.weights(values_of(material, parameters))
    assert weights.shape == (len(terms.settings), 5)
    assert weights.dtype == torch.float32
    for k in range(5):
        assert terms.weights(values_of(material, parameters[k])) == pytest.approx(weights[:, k], abs=1e-6)


def test_lagrange_is_exact_for_polynomials_of_second_degree():
    """Also below the least roughness at which the specular terms change."""
    x = torch.linspace(0.01, 5, 200, dtype=torch.float64)
    at = torch.from_numpy(TERMS.nodes)
    for power in range(3):
        assert at**power @ TERMS._lagrange(x) == pytest.approx(x**power, abs=1e-12)


def test_the_splines_are_1_at_their_own_knot_and_0_at_the_others():
    at_knots = TERMS.spline.weights(torch.from_numpy(TERMS.knots))
    assert at_knots == pytest.approx(torch.eye(len(TERMS.knots)).double(), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(roughness=st.floats(0, 10))
def test_weights_are_a_partition_of_unity(roughness):
    """Whatever the roughness, an image that does not depend on it is reproduced."""
    x = torch.tensor(roughness, dtype=torch.float64)
    assert float(TERMS._lagrange(x).sum()) == pytest.approx(1, abs=1e-9)
    assert float(TERMS.spline.weights(x).sum()) == pytest.approx(1, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(a=st.floats(-2, 2), b=st.floats(-2, 2), c=st.floats(-2, 2), d=st.floats(-2, 2))
def test_the_spline_is_exact_for_cubics_in_the_logarithm(a, b, c, d):
    x = torch.logspace(*np.log10(TERMS.knots[[0, -1]]), 60, dtype=torch.float64)
    cubic = lambda r: ((a * r.log() + b) * r.log() + c) * r.log() + d  # noqa: E731
    assert cubic(torch.from_numpy(TERMS.knots)) @ TERMS.spline.weights(x) == pytest.approx(cubic(x), abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(low=st.floats(0, 1), width=st.floats(1e-3, 10))
def test_knots_cover_the_bounds_closely_enough(low, width):
    terms = Terms(("roughness", "base_color"), max(low, CONSTANT_BELOW), max(low + width, CONSTANT_BELOW))
    assert (terms.knots[0], terms.knots[-1]) == pytest.approx((terms.low, terms.high))
    assert (terms.nodes[0], terms.nodes[-1]) == pytest.approx((terms.low, terms.high))
    if terms.low < terms.high:
        steps = np.diff(np.log(terms.knots))
        assert steps.min() > 0
        assert steps.max() <= KNOT_SPACING + 1e-9


def test_derivatives_are_those_of_finite_differences():
    """In float64, away from the clamp's edges and on the knots, where the spline's derivative is continuous."""
    inner = torch.from_numpy(TERMS.knots[1:-1:4])
    x = torch.cat([inner, torch.tensor([0.005, 0.02, 0.04, 0.3, 1.7, 4.9, 6.0]).double()]).requires_grad_()
    for part in (TERMS._lagrange, TERMS.spline.weights):
        assert torch.autograd.gradcheck(part, x, eps=1e-7, atol=1e-4, rtol=1e-4)


def test_below_mitsubas_least_roughness_only_the_diffuse_weights_move():
    x = torch.tensor([0.001, 0.01, 0.03], dtype=torch.float64, requires_grad=True)
    assert x.max() < CONSTANT_BELOW
    spline = TERMS.spline.weights(x)
    assert spline.detach() == pytest.approx(torch.eye(len(TERMS.knots)).double()[:, :1].expand(-1, 3), abs=1e-12)
    (slope,) = torch.autograd.grad(spline[0].sum(), x)
    assert (slope == 0).all()
    (slope,) = torch.autograd.grad(TERMS._lagrange(x)[0].sum(), x)
    assert (slope != 0).all()


@CASES
def test_weights_have_the_derivatives_of_all_values(case):
    """The product rule through base color, tint, metallic and the rest; the weights are float32, hence 1e-3."""
    material = MATERIALS[case]
    terms = Terms.of(material)
    names = [name for name in terms.learned if name in material.bounds]
    start = random_parameters(material, 1, seed=4)[0].double()
    start[names.index("base_color")] = 0.7
    start.requires_grad_()
    chosen = torch.rand(len(terms.settings), generator=torch.Generator().manual_seed(0))
    total = lambda p: (terms.weights(values_of(material, p)) * chosen).double().sum()  # noqa: E731
    (slope,) = torch.autograd.grad(total(start), start)
    for i, name in enumerate(names):
        step = torch.zeros_like(start)
        step[i] = 1e-3 * max(1.0, float(start[i].detach()))
        expected = float((total(start.detach() + step) - total(start.detach() - step)) / (2 * step[i]))
        assert float(slope[i]) == pytest.approx(expected, rel=1e-3, abs=1e-3), name


def test_a_fixed_roughness_needs_one_image_a_term():
    terms = Terms.of(FIXED)
    assert terms.knots.tolist() == terms.nodes.tolist() == [FIXED_ROUGHNESS]
    assert len(terms.settings) == 4  # diffuse, sheen, specular, tinted specular
    values = {"base_color": 0.3, "sheen": 0.2, "spec_tint": 0.25}
    weights = terms.weights({name: torch.tensor(value) for name, value in values.items()})
    assert weights == pytest.approx([0.3, 0.2, 0.75, 0.25])


def test_only_what_is_learned_gets_images():
    n, k = len(TERMS.nodes), len(TERMS.knots)
    assert len(Terms.of(PAPER).settings) == n + 1 + 2 * k
    assert len(TERMS.settings) == 2 * n + 2 + 4 * k
    assert not any({"metallic", "clearcoat", "flatness"} & setting.keys() for setting in Terms.of(PAPER).settings)


RANGES = {"base_color": 5, "sheen": 5, "spec_tint": 5, "metallic": 1, "clearcoat": 1, "flatness": 1}


@settings(max_examples=50, deadline=None)
@given(roughness=st.floats(0.01, 5), values=st.fixed_dictionaries({k: st.floats(0, v) for k, v in RANGES.items()}))
def test_each_term_gets_the_share_that_the_bsdf_gives_it(roughness, values):
    """Summed over its knots, a term's weight is its factor in Burley's formula."""
    base, sheen, tint, metallic, clearcoat, flatness = (values[name] for name in RANGES)
    weights = TERMS.weights({k: torch.tensor(v).double() for k, v in {**values, "roughness": roughness}.items()})
    share = lambda **wanted: float(weights[rows(TERMS, **wanted)].sum())  # noqa: E731
    close = lambda value: pytest.approx(value, rel=1e-4, abs=1e-4)  # noqa: E731
    assert share(base_color=1.0, specular=0.0) == close((1 - metallic) * base * (1 - flatness))
    assert share(base_color=1.0, specular=0.0, flatness=1.0) == close((1 - metallic) * base * flatness)
    assert share(sheen=1.0, specular=0.0) == close((1 - metallic) * sheen)
    assert share(clearcoat=1.0, specular=0.0) == close(clearcoat)
    assert share() == close((1 - metallic) * (1 - tint))
    assert share(spec_tint=1.0) == close((1 - metallic) * tint)
    assert share(metallic=1.0) == close(metallic * (1 - base))
    assert share(metallic=1.0, base_color=1.0) == close(metallic * base)
