"""The stages of a run: one for each chapter of the book, and what its results depend on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One chapter of the run.

    `settings` are dotted names within the `Experiment`, `data` splits of the dataset (train: images; masks: theirs;
    test: images and masks). These, the code behind the notebook, and the keys of the stages that it `needs` make its
    key. `page_data` are splits that the page lists but that no result depends on.
    """

    name: str
    notebook: str
    folder: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    page_data: tuple[str, ...] = ()


WORLD = (
    "material.meshes",
    "material.layout",
    "material.scene",
    "material.bounds",
    "material.dataset.pixel_size_nm",  # by which sizes in nm become scene units
)
STAGES = (
    Stage("quickstart", "00_quickstart", "quickstart", settings=("material", "profile.name", "profile.synthesis")),
    Stage(
        "data",
        "01_data_preparation",
        "data",
        settings=("material.dataset", "material.patches"),
        data=("train",),
        page_data=("test",),
    ),
    Stage(
        "scene",
        "02_scene_design",
        "scene",
        settings=(*WORLD, "profile.gan.n_layouts", "profile.gan.renderer", "profile.gan.spp"),
    ),
    Stage("gan", "03_gan_training", "gan", needs=("data", "scene"), settings=("profile.gan",)),
    Stage(
        "synthesis",
        "04_inference_and_masks",
        "synthetic",
        needs=("gan",),
        settings=("profile.synthesis", "material.contour_px"),
    ),
    Stage(
        "segmentation",
        "05_segmentation_evaluation",
        "segmentation",
        needs=("synthesis",),
        settings=("profile.segmentation", "material.min_area_px"),
        data=("test", "masks"),
    ),
    Stage(
        "quantification",
        "06_quantification",
        "quantification",
        needs=("segmentation",),
        settings=("material.dataset.pixel_size_nm", "material.min_area_px", "material.meshes.shape"),
        data=("test",),
    ),
)


def find_stage(name: str) -> Stage:
    """The stage of this name; raises `KeyError` if there is none."""
    return {stage.name: stage for stage in STAGES}[name]
