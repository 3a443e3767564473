"""How much work is done: training, synthesis, segmentation, as the profiles `demo`, `laptop`, `gpu` and `paper`.

The defaults of the optimiser and of the networks are those of DiffRenderGAN (npj Comput. Mater. 11, 197, 2025).
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from drgan_lib.config.base import Section
from drgan_lib.registry import SEGMENTERS, SELF, split_arm


class GanSettings(Section):
    """Training of the generator: the paper's networks and optimisers; `spp` None takes the material's.

    `objective`: images are to deceive a discriminator (`gan`, the paper's) or to have the moments of real ones.
    `renderer`: precomputed light transport, or Mitsuba's ray tracing and automatic differentiation at every step.
    `support`: below the particles lies the scene's own, flat one; or what background patches of the micrographs show,
    and where chapter 01 found none a `texture`: random fields like what can be seen between particles, if anything can.
    `appearance`: of the principled BSDF, or of secondary electrons (`drgan_lib.scene.electrons`), by transport alone.
    `detector`: the paper's adds Gaussian noise; the other one has a beam's width, shot noise and line noise as well.
    `precision`: of the discriminator's convolutions; `auto` is bfloat16 where the hardware has it.
    """

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(1, ge=1, description="images per step; 1 is the paper's")
    n_layouts: int = Field(124, ge=1)
    objective: Literal["gan", "moments"] = "gan"
    renderer: Literal["transport", "mitsuba"] = "transport"
    support: Literal["flat", "real", "texture"] = "flat"
    appearance: Literal["principled", "sem"] = "principled"
    detector: Literal["gaussian", "poisson_gaussian"] = "gaussian"
    precision: Literal["auto", "float32"] = "auto"
    spp: int | None = Field(None, ge=1)
    lr_generator: float = Field(2e-4, gt=0)
    lr_discriminator: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    averaging: float = Field(0.0, ge=0, lt=1, description="decay per step of the generator's running mean; 0: none")
    dropout: float = Field(0.2, ge=0, lt=1)
    hidden: int = Field(128, ge=1)
    initial_position: float = Field(0.2, gt=0, lt=1, description="where in its bounds a parameter starts")
    discriminator_layers: int = Field(3, ge=1)
    discriminator_channels: int = Field(64, ge=1)
    features: Literal["auto", "inception", "efficientnet_lite0"] = "auto"
    inception_weights: Path | None = None

    @model_validator(mode="after")
    def _mitsuba_can_do_it(self) -> Self:
        if self.renderer == "mitsuba" and self.batch_size > 1:
            raise ValueError(
                f"gan.renderer=mitsuba holds one scene at a time, got gan.batch_size={self.batch_size}; set it to 1, "
                "or set gan.renderer=transport"
            )
        if self.renderer == "mitsuba" and self.appearance == "sem":
            raise ValueError("gan.appearance=sem needs gan.renderer=transport, got mitsuba; change one of them")
        return self

    @model_validator(mode="after")
    def _moments_compare_sets(self) -> Self:
        if self.objective == "moments" and self.batch_size < 2:
            raise ValueError(
                f"gan.objective=moments compares sets of images, got gan.batch_size={self.batch_size}; set "
                "gan.batch_size=12 and gan.lr_generator=0.001, or set gan.objective=gan"
            )
        return self


class SynthesisSettings(Section):
    """The annotated set; an image is kept if the particles are `min_contrast` brighter than the background.

    With `textures`, networks learn from images with textures of the support laid over them, and from bare supports.
    """

    n_images: int = Field(1000, ge=1)
    min_contrast: float = Field(0.15, ge=0)
    max_attempts_per_image: int = Field(20, ge=1)
    spp: int | None = Field(None, ge=1)
    textures: bool = False


COMPACT_ONLY = ("iterations", "batch_size", "patch_px", "features", "stages")


class SegmentationSettings(Section):
    """nnU-Net v2: its own defaults (`nnUNetTrainer`) or the CPU-sized trainer of this library.

    `arms` are the models to compare (see `drgan_lib.registry`), with the number of seeds of each. `real:3,otsu` says
    the same as `{"real": 3, "otsu": 1}`; the metrics of a run are those of the first. `iterations`, `batch_size`,
    `patch_px` (at most, and by default, that of the images), `features` and `stages` are those of the compact trainer;
    nnU-Net plans its own, with `planner`. `fold` is one of nnU-Net's five splits of the training set, all of it, or
    `five` for five networks whose predictions are averaged. `seam_px` is how far from where two particles meet pixels
    have classes of their own (`drgan_lib.classes.with_seams`); 0 are the paper's three classes.
    """

    arms: dict[str, int] = Field({"synthetic+background": 1}, min_length=1)
    trainer: Literal["default", "compact"] = "default"
    planner: Literal["ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL"] = (
        "ExperimentPlanner"
    )
    normalization: Literal["zscore", "rescale_to_0_1"] = "zscore"
    iterations: int = Field(250_000, ge=1)
    batch_size: int | None = Field(None, ge=1)
    patch_px: int | None = Field(None, ge=32)
    features: int = Field(32, ge=4)
    stages: int = Field(7, ge=3)
    seam_px: int = Field(0, ge=0)
    fold: Literal["all", "five", "0", "1", "2", "3", "4"] = "all"

    @property
    def needs_masks(self) -> bool:
        """Whether an arm learns from the masks of training micrographs."""
        return any("real" in split_arm(arm)[0] for arm in self.arms)

    @field_validator("arms", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        """`a:2,b` as `{"a": 2, "b": 1}`; what is no text stays."""
        if not isinstance(value, str):
            return value
        arms: dict[str, Any] = {}
        for item in value.split(","):
            name, _, seeds = item.strip().partition(":")
            if name in arms:
                raise ValueError(f"{name} stands there twice; name each arm once")
            arms[name] = seeds.strip() or 1
        return arms

    @field_serializer("arms", when_used="json")
    def _in_order(self, arms: dict[str, int]) -> list[tuple[str, int]]:
        """Pairs, since the first arm gives the metrics of the run: what sorts keys must not lose the order."""
        return list(arms.items())

    @field_validator("arms")
    @classmethod
    def _known_arms(cls, arms: dict[str, int]) -> dict[str, int]:
        for name, seeds in arms.items():
            sources, segmenter = split_arm(name)
            if sources and {*sources} <= {"background", SELF}:
                raise ValueError(f"the arm {name!r} has no particles to learn from; add real or synthetic to it")
            if SELF in sources and ("real" in sources or segmenter != next(iter(SEGMENTERS))):
                raise ValueError(
                    f"{name}: self is for a network of {next(iter(SEGMENTERS))} that has seen no mask of the training "
                    "micrographs; leave self out"
                )
            drawn = SEGMENTERS[segmenter].trained
            if seeds < 1 or (seeds > 1 and not drawn):
                wanted = "at least 1 seed" if drawn else "1 seed, nothing is drawn there"
                raise ValueError(f"{name}: expected {wanted}, got {seeds}")
        return arms

    @model_validator(mode="after")
    def _self_goes_on(self) -> Self:
        going_on = [arm for arm in self.arms if SELF in split_arm(arm)[0]]
        if going_on and (self.trainer == "default" or self.fold != "all"):
            raise ValueError(
                f"{going_on[0]}: only a single network of the compact trainer goes on from where it stands; set "
                "segmentation.trainer=compact and segmentation.fold=all, or leave this arm out"
            )
        return self

    @model_validator(mode="after")
    def _default_trainer_plans_itself(self) -> Self:
        fields = SegmentationSettings.model_fields
        if self.trainer == "compact" and self.planner != fields["planner"].default:
            raise ValueError(
                f"segmentation.planner={self.planner} plans a network of its own, the compact trainer has another; "
                "leave the planner out, or set segmentation.trainer=default"
            )
        changed = [name for name in COMPACT_ONLY if getattr(self, name) != fields[name].default]
        if self.trainer == "default" and changed:
            raise ValueError(
                f"segmentation.{', segmentation.'.join(changed)}: nnU-Net's default trainer plans this itself; "
                "leave the setting out, or set segmentation.trainer=compact"
            )
        return self


class Profile(Section):
    """How much work is done."""

    name: str
    gan: GanSettings = GanSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    segmentation: SegmentationSettings = SegmentationSettings()
    patches: dict[str, Any] = Field(default_factory=dict, description="replaces settings of Material.patches")


# What made renders most alike to micrographs that no objective saw, without annotations: see book/appearance.md.
BEYOND: dict[str, Any] = {
    "objective": "moments",
    "batch_size": 12,
    "lr_generator": 2e-3,
    "averaging": 0.95,
    "support": "real",
    "appearance": "sem",
    "detector": "poisson_gaussian",
}
PROFILES = {
    "demo": Profile(
        name="demo",
        gan=GanSettings(epochs=12, n_layouts=48, spp=36),
        synthesis=SynthesisSettings(n_images=60, spp=16, textures=True),
        segmentation=SegmentationSettings(
            trainer="compact", iterations=500, batch_size=2, patch_px=128, features=16, stages=5, seam_px=2
        ),
        patches={"max_train": 48, "n_background": 20},
    ),
    "laptop": Profile(
        name="laptop",
        gan=GanSettings(epochs=10, n_layouts=124, spp=36, **BEYOND),
        synthesis=SynthesisSettings(n_images=1000, spp=49),
        segmentation=SegmentationSettings(
            trainer="compact", iterations=4000, batch_size=2, patch_px=128, features=16, stages=5, seam_px=2
        ),
    ),
    "gpu": Profile(
        name="gpu",
        gan=GanSettings(epochs=20, n_layouts=124, spp=36, **BEYOND),
        synthesis=SynthesisSettings(n_images=1000, spp=49),
        segmentation=SegmentationSettings(
            trainer="compact", iterations=20_000, batch_size=8, patch_px=128, features=32, stages=6, seam_px=2
        ),
    ),
    "paper": Profile(name="paper"),
}
