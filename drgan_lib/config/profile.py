"""How much work is done: training, synthesis, segmentation, as the profiles `demo`, `laptop` and `paper`.

The defaults of the optimiser and of the networks are those of DiffRenderGAN (npj Comput. Mater. 11, 197, 2025).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from drgan_lib.config.base import Section


class GanSettings(Section):
    """Adversarial training: the paper's networks and optimisers; `spp` None takes the material's.

    `renderer`: precomputed light transport, or Mitsuba's ray tracing and automatic differentiation at every step.
    `precision`: of the discriminator's convolutions; `auto` is bfloat16 where the hardware has it.
    """

    epochs: int = Field(50, ge=1)
    n_layouts: int = Field(124, ge=1)
    renderer: Literal["transport", "mitsuba"] = "transport"
    precision: Literal["auto", "float32"] = "auto"
    spp: int | None = Field(None, ge=1)
    lr_generator: float = Field(2e-4, gt=0)
    lr_discriminator: float = Field(1e-4, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    dropout: float = Field(0.2, ge=0, lt=1)
    hidden: int = Field(128, ge=1)
    initial_position: float = Field(0.2, gt=0, lt=1, description="where in its bounds a parameter starts")
    discriminator_layers: int = Field(3, ge=1)
    discriminator_channels: int = Field(64, ge=1)
    features: Literal["auto", "inception", "efficientnet_lite0"] = "auto"
    inception_weights: Path | None = None


class SynthesisSettings(Section):
    """The annotated set; an image is kept if the particles are `min_contrast` brighter than the background."""

    n_images: int = Field(1000, ge=1)
    min_contrast: float = Field(0.15, ge=0)
    max_attempts_per_image: int = Field(20, ge=1)
    spp: int | None = Field(None, ge=1)


COMPACT_ONLY = ("iterations", "batch_size", "features", "stages")


class SegmentationSettings(Section):
    """nnU-Net v2: its own defaults (`nnUNetTrainer`) or the CPU-sized trainer of this library.

    `iterations`, `batch_size`, `features` and `stages` are those of the compact trainer; nnU-Net plans its own.
    """

    trainer: Literal["default", "compact"] = "default"
    iterations: int = Field(250_000, ge=1)
    batch_size: int | None = Field(None, ge=1)
    features: int = Field(32, ge=4)
    stages: int = Field(7, ge=3)
    fold: Literal["all", "0", "1", "2", "3", "4"] = "all"

    @model_validator(mode="after")
    def _default_trainer_plans_itself(self) -> SegmentationSettings:
        fields = SegmentationSettings.model_fields
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


PROFILES = {
    "demo": Profile(
        name="demo",
        gan=GanSettings(epochs=12, n_layouts=48, spp=36),
        synthesis=SynthesisSettings(n_images=60, spp=16),
        segmentation=SegmentationSettings(trainer="compact", iterations=250, batch_size=4, features=16, stages=6),
        patches={"max_train": 48, "n_background": 20},
    ),
    "laptop": Profile(
        name="laptop",
        gan=GanSettings(epochs=50, n_layouts=124, spp=64),
        synthesis=SynthesisSettings(n_images=1000, spp=25),
        segmentation=SegmentationSettings(trainer="compact", iterations=2000, batch_size=4, features=16, stages=6),
    ),
    "paper": Profile(name="paper"),
}
